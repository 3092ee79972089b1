"""What a person asks of a training, and the whole of what then holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from engine.augment import NONE, Augmentation
from engine.examples import Recipe
from engine.network import NetworkConfig
from engine.normalisations import Z_NORMALISATION, normalisation
from engine.normalise import HEAD_NORMALISATION, NORMALISATION
from engine.plan import PUBLISHED, Plan
from engine.processor import threads_given
from engine.weights import Manifest, load_network, shipped
from glioloop.label_map import numbers
from study.errors import RefusedError

SMALL_FILTERS = (8, 16, 32, 64)
"""Of the shipped networks."""
PUBLISHED_FILTERS = (24, 48, 96, 192)
PLANS = {
    "tumour": (Plan(), Recipe()),
    "brain": (
        Plan(
            task="brain",
            steps=1000,
            crops=2,
            edge=64,
            rate=3e-3,
            warm_up=30,
            class_weights=(1.0, 1.0, 1.0),
            strategy="whole",
            outside=0.0,
        ),
        Recipe("brain", (56, 72, 56), (3.1, 3.6), fine_share=0.0),
    ),
}
"""Plan and recipe of each task; the shipped models were made with them."""
_SPACING_MM = {"tumour": 2.0, "brain": 3.3}
_MOST_WORKERS = 8


@dataclass(frozen=True)
class Wish:
    """What is asked for; None leaves it to the plan, or to the model that is begun from.

    Parameters
    ----------
    out
        Folder of the training.
    anatomy
        Folder of head label maps.
    data
        Folders of cases.
    task
        ``"tumour"`` or ``"brain"``.
    plan
        ``"default"`` or ``"published"``.
    strategy, output, loss, optimiser, schedule, rate, steps, epoch, edge, per_volume
        As in `engine.plan.Plan`.
    batch
        Patches of a step.
    filters
        Of the network, as ``"8,16,32,64"``.
    norm
        ``"batch"`` or ``"instance"``.
    spacing
        Edge of a voxel in mm.
    normalisation
        Name of one of `engine.normalisations.NORMALISATIONS`.
    labels
        What label numbers mean, as ``"1=necrosis,2=edema,4=enhancing"``.
    held_out
        Share of the patients whose cases choose the checkpoint.
    generated
        Share of generated heads where there are both.
    augment
        Whether cases are changed at random each time they are shown.
    start
        ``"shipped"``, or the folder of a model to begin from.
    seed
        Of weights and samples.
    minutes
        Longest time of this slice.
    workers
        Processes that make or read heads.
    compiled
        Compile the network first.
    """

    out: Path
    anatomy: Path | None = None
    data: tuple[Path, ...] = ()
    task: str = "tumour"
    plan: str = "default"
    strategy: str | None = None
    output: str | None = None
    loss: str | None = None
    optimiser: str | None = None
    schedule: str | None = None
    rate: float | None = None
    steps: int | None = None
    epoch: int | None = None
    edge: int | None = None
    per_volume: int | None = None
    batch: int | None = None
    filters: str | None = None
    norm: str | None = None
    spacing: float | None = None
    normalisation: str | None = None
    labels: str | None = None
    held_out: float = 0.2
    generated: float = 0.5
    augment: bool = True
    start: str | None = None
    seed: int = 1
    minutes: float = 9.0
    workers: int | None = None
    compiled: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Wish:
        """Those of some values that are part of a wish."""
        return cls(**{f.name: given[f.name] for f in fields(cls) if f.name in given})


@dataclass(frozen=True)
class Order:
    """Everything that a training is; made by `order`.

    Parameters
    ----------
    wish
        What was asked for.
    plan, network, recipe
        How to train what on which generated heads.
    spacing_mm, normalisation
        Of what the network sees.
    label_map
        Of the cases; None for what their layout declares.
    augmentation
        Of the cases.
    start
        Folder of the model to begin from.
    workers
        Processes that make or read heads.
    """

    wish: Wish
    plan: Plan
    network: NetworkConfig
    recipe: Recipe
    spacing_mm: float
    normalisation: str
    label_map: Mapping[int, int] | None
    augmentation: Augmentation
    start: Path | None
    workers: int


def order(wish: Wish) -> Order:
    """Work out what a wish means.

    Raises
    ------
    RefusedError
        If something is unknown, missing, or does not fit the rest.
    """
    _check(wish)
    published = wish.plan == "published"
    start = _start(wish)
    begun = load_network(start)[1] if start else None
    spacing, normal = _seen(wish, begun)
    plan = _plan(wish, normal)
    filters = _filters(wish.filters) or (PUBLISHED_FILTERS if published else SMALL_FILTERS)
    network = NetworkConfig(3, len(plan.labels), filters, wish.norm or "batch")
    if begun and wish.filters is None and wish.norm is None:
        network = begun.network
    if begun and begun.labels != plan.labels:
        raise RefusedError(
            f"model {begun.name} tells {', '.join(begun.labels)} apart, this training"
            f" {', '.join(plan.labels)}: begin from another model, or choose its --output"
        )
    changes = Augmentation(drop_t2=0.0) if published else Augmentation()
    return Order(
        wish=wish,
        plan=plan,
        network=network,
        recipe=_recipe(wish.task, spacing),
        spacing_mm=spacing,
        normalisation=normal,
        label_map=numbers(wish.labels),
        augmentation=changes if wish.augment else NONE,
        start=start,
        workers=_workers(wish),
    )


def _check(wish: Wish) -> None:
    """Refuse what no training can be."""
    if wish.task not in PLANS:
        raise RefusedError(f"task {wish.task!r} is none of {sorted(PLANS)}")
    if wish.plan not in ("default", "published"):
        raise RefusedError(f"plan {wish.plan!r} is none of default, published")
    if wish.anatomy is None and not wish.data:
        raise RefusedError(
            "there is nothing to train on: name head label maps with --anatomy, cases with --data,"
            " or both"
        )
    if wish.task == "brain" and (wish.data or wish.plan == "published"):
        raise RefusedError(
            "the brain network is trained on whole generated heads alone: leave out --data and"
            " --plan published"
        )
    if not 0.0 < wish.generated < 1.0:
        raise RefusedError(f"a mixture needs a share between 0 and 1, not {wish.generated:g}")
    if wish.spacing is not None and not 0.5 <= wish.spacing <= 5.0:
        raise RefusedError(f"a voxel's edge is 0.5 to 5 mm, not {wish.spacing:g}")


def _start(wish: Wish) -> Path | None:
    """Folder of the model to begin from."""
    if wish.start == "shipped":
        return shipped_for(wish.task)
    return Path(wish.start) if wish.start else None


def shipped_for(task: str) -> Path:
    """Folder of the shipped model of a task."""
    return shipped("base" if task == "tumour" else "brain")


def _seen(wish: Wish, begun: Manifest | None) -> tuple[float, str]:
    """Spacing in mm and normalisation: as asked for, as begun with, or as usual."""
    published = wish.plan == "published"
    spacing = 1.0 if published else _SPACING_MM[wish.task]
    normal = NORMALISATION if wish.task == "tumour" else HEAD_NORMALISATION
    if published and wish.anatomy is None:
        normal = Z_NORMALISATION
    if begun is not None:
        spacing, normal = begun.spacing_mm, begun.normalisation
    return wish.spacing or spacing, wish.normalisation or normal


def _plan(wish: Wish, normal: str) -> Plan:
    """The plan with what the wish changes."""
    plan = PUBLISHED if wish.plan == "published" else PLANS[wish.task][0]
    names = ("strategy", "output", "loss", "optimiser", "schedule", "rate", "steps", "epoch")
    values = {n: getattr(wish, n) for n in (*names, "edge", "per_volume")}
    values["crops"] = wish.batch
    given = {name: value for name, value in values.items() if value is not None}
    if wish.task == "tumour":
        given["outside"] = normalisation(normal).outside
        if wish.anatomy is not None and normal != NORMALISATION:
            raise RefusedError(
                f"generated heads are normalised as {NORMALISATION}: with --anatomy leave out"
                f" --normalisation {normal}"
            )
    if given.get("schedule") == "plateau" and not plan.epoch:
        given.setdefault("epoch", PUBLISHED.epoch)
    return plan.changed(**given)


def _recipe(task: str, spacing_mm: float) -> Recipe:
    """The task's recipe, for heads as large on another grid as on the usual one."""
    recipe = PLANS[task][1]
    factor = spacing_mm / _SPACING_MM[task]
    if factor == 1.0:
        return recipe
    least, most = recipe.spacing_mm
    k, i, j = (8 * math.ceil(n / factor / 8) for n in recipe.shape)
    return replace(
        recipe, shape=(k, i, j), spacing_mm=(least * factor, most * factor), fine_share=0.0
    )


def _workers(wish: Wish) -> int:
    """As many as leave the training a processor."""
    if wish.workers is not None:
        return wish.workers
    return max(1, min(_MOST_WORKERS, threads_given() - 1))


def _filters(text: str | None) -> tuple[int, ...] | None:
    """Read '8,16,32,64'."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise RefusedError(
            f"filters are numbers with commas, like 8,16,32,64, not {text!r}"
        ) from error
