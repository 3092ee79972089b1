"""How to train, as data: what is minimised, on which patches, how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from engine.crops import check_strategy
from engine.outputs import BRAIN_LABELS, REGION_LABELS, TISSUE_LABELS, Output
from study.errors import RefusedError

REGIONS = {"tumour": ((1, 2, 3), (1, 3), (3,)), "brain": ((1, 2), (2,))}
"""Classes of the regions whose Dice is trained, for each task; outermost first."""
OUTPUTS = ("multi-class", "multi-label")
LOSSES = ("dice", "dice+cross-entropy")
OPTIMISERS = ("adamw", "adam")
SCHEDULES = ("cosine", "plateau")


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train, on what, and for what.

    Parameters
    ----------
    task
        ``"tumour"`` or ``"brain"``.
    steps
        Steps of the whole schedule, all slices together.
    crops
        Patches of one step.
    edge
        Edge of a patch in voxels; ``"whole"`` does not heed it.
    rate
        Greatest learning rate. ``"cosine"``: reached after `warm_up` steps, then a cosine down to a
        hundredth. ``"plateau"``: kept until the validation loss no longer falls.
    warm_up
        Steps, for ``"cosine"``.
    ring
        Heads kept to take patches from.
    renewal
        Batches between two heads that a full ring takes in: how long generating a head may take.
    class_weights
        Weights in the cross-entropy, of the classes or, for ``"multi-label"``, of the regions.
    strategy
        Where patches lie, as for `engine.crops.windows`.
    per_volume
        Patches that a volume gives before it is laid aside; 0: as long as it stays in the ring.
    output
        ``"multi-class"`` or ``"multi-label"``.
    loss
        ``"dice"`` or ``"dice+cross-entropy"``.
    entropy_weight
        Weight of the cross-entropy beside a Dice loss of weight 1.
    optimiser
        ``"adamw"`` or ``"adam"``.
    weight_decay
        Of the optimiser.
    schedule
        ``"cosine"`` or ``"plateau"``.
    patience, factor
        ``"plateau"``: after more than `patience` epochs without a new least validation loss, the
        rate is multiplied by `factor`.
    epoch
        Steps between two validations; 0: none is done.
    averaging
        Share of the running average of weights that each step keeps; 0: weights as they are.
    outside
        Normalised value outside the brain: what patches are filled up with.

    Raises
    ------
    RefusedError
        If a name is unknown, a number is out of range, or two of them do not fit.
    """

    task: str = "tumour"
    steps: int = 2000
    crops: int = 8
    edge: int = 48
    rate: float = 2.5e-3
    warm_up: int = 40
    ring: int = 64
    renewal: int = 2
    class_weights: tuple[float, ...] = (1.0, 2.0, 1.5, 2.5)
    strategy: str = "lesions"
    per_volume: int = 0
    output: Output = "multi-class"
    loss: str = "dice+cross-entropy"
    entropy_weight: float = 1.0
    optimiser: str = "adamw"
    weight_decay: float = 1e-4
    schedule: str = "cosine"
    patience: int = 10
    factor: float = 0.5
    epoch: int = 0
    averaging: float = 0.996
    outside: float = -2.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_weights", tuple(self.class_weights))
        check_strategy(self.strategy)
        for name, known in (
            ("task", tuple(REGIONS)),
            ("output", OUTPUTS),
            ("loss", LOSSES),
            ("optimiser", OPTIMISERS),
            ("schedule", SCHEDULES),
        ):
            if getattr(self, name) not in known:
                raise RefusedError(f"{name} {getattr(self, name)!r} is none of {', '.join(known)}")
        if min(self.steps, self.crops, self.edge, self.ring, self.renewal) < 1 or self.rate <= 0.0:
            raise RefusedError("steps, patches, their edge, the ring and the rate are positive")
        if self.output == "multi-label" and self.task == "brain":
            raise RefusedError("the brain's classes exclude one another: it is multi-class")
        if len(self.class_weights) != len(self.labels):
            raise RefusedError(
                f"{len(self.class_weights)} class weights do not fit labels {list(self.labels)}"
            )
        if self.schedule == "plateau" and self.epoch < 1:
            raise RefusedError("a plateau is found by validation: say the steps of an epoch")

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the network's channels, for a manifest."""
        if self.task == "brain":
            return BRAIN_LABELS
        return TISSUE_LABELS if self.output == "multi-class" else REGION_LABELS

    def changed(self, **values: Any) -> Plan:
        """The plan with other values; equal weights where the number of channels changes."""
        other = values.get("output", self.output)
        if other != self.output and "class_weights" not in values:
            count = len(REGION_LABELS if other == "multi-label" else TISSUE_LABELS)
            values["class_weights"] = (1.0,) * count
        return replace(self, **values)


PUBLISHED = Plan(
    steps=60_000,
    crops=24,
    edge=64,
    rate=1e-3,
    warm_up=0,
    ring=16,
    class_weights=(1.0, 1.0, 1.0, 1.0),
    strategy="balanced",
    per_volume=12,
    optimiser="adam",
    weight_decay=0.0,
    schedule="plateau",
    patience=10,
    factor=0.5,
    epoch=500,
    averaging=0.0,
)
"""The published values: 64x64x64 patches, 12 a volume, 24 a step; Adam; halved on a plateau."""


@dataclass(frozen=True)
class Plateau:
    """Where a plateau schedule stands.

    Parameters
    ----------
    rate
        Learning rate now.
    best
        Least validation loss so far; None before the first.
    bad_epochs
        Epochs since then, or since the rate was last lowered.
    """

    rate: float
    best: float | None = None
    bad_epochs: int = 0

    def after(self, loss: float, plan: Plan) -> Plateau:
        """Where it stands after another epoch; a loss that is not a number is no improvement."""
        if self.best is None or loss < self.best:
            return Plateau(self.rate, loss if math.isfinite(loss) else None)
        if self.bad_epochs < plan.patience:
            return replace(self, bad_epochs=self.bad_epochs + 1)
        return Plateau(self.rate * plan.factor, self.best)


def learning_rate(plan: Plan, step: int) -> float:
    """Learning rate of a step: linear warm-up, then a cosine to a hundredth of the greatest."""
    if step < plan.warm_up:
        return plan.rate * (step + 1) / plan.warm_up
    done = min(1.0, (step - plan.warm_up) / max(1, plan.steps - plan.warm_up))
    return plan.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))
