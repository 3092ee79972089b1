"""A slice of a training: heads from their sources to a model on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np

from engine.crops import Example
from engine.examples import Producer
from engine.feed import Take, mixed, validation_batches
from engine.labelmaps import pack
from engine.network import Network
from engine.normalise import DROPPED
from engine.plan import Plan
from engine.ranks import ALONE, Ranks
from engine.train import PROGRESS_FILE, Trainer, train
from engine.weights import Manifest, load_network, save
from glioloop.training_order import Order
from study.errors import FailedError

HEADS_FILE, CASES_FOLDER, MODEL_FOLDER, LAST_FOLDER = "heads.npz", "cases", "model", "last"
LEAST_EPOCH = 20
"""Steps of an epoch, at least: with few cases validation would take longer than training."""
VALIDATION_HEADS = 8
"""Generated heads of held-out anatomies that an epoch is validated on, where there is no case."""
_GRID_PATCHES = 27
"""Patches that a grid lays over a brain, about; only the length of an epoch depends on it."""

Report = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Cases:
    """Prepared cases, as `glioloop.preparation.PreparedCases`, or none."""

    training: tuple[Path, ...] = ()
    held_out: tuple[Path, ...] = ()
    without_t2: int = 0


@dataclass(frozen=True)
class Trained:
    """What a slice of training left behind.

    Parameters
    ----------
    model
        Folder of the model: that of the least validation loss, or the last one.
    steps
        Steps so far.
    validation
        Least validation loss; None where nothing was validated.
    cases
        What it was trained on beside generated heads.
    """

    model: Path
    steps: int
    validation: float | None
    cases: Cases


def train_model(
    order: Order,
    report: Report,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train for a slice of time, and write the model as it then stands.

    Parameters
    ----------
    order
        What to train on what; where its folder holds a state, that is resumed.
    report
        Told step, losses, rate and seconds now and then.
    tell
        Told how many cases are prepared, of how many.
    ranks
        Which of several processes this is; the first one writes.

    Returns
    -------
    Trained
        In the folder of the order: ``model``, and the last one beside it as ``last`` where the
        model is the best of several.

    Raises
    ------
    RefusedError
        If heads or cases are unusable, or the state there is another training's.
    """
    out = order.wish.out
    out.mkdir(parents=True, exist_ok=True)
    cases = _cases(order, ranks, tell)
    plan = _with_epoch(order, len(cases.training), ranks.world)
    trainer = Trainer(
        order.network,
        plan,
        ranks.device,
        order.wish.seed,
        compiled=order.wish.compiled,
        ranks=ranks,
    )
    if (out / PROGRESS_FILE).exists():
        trainer.resume(out)
    elif order.start is not None:
        trainer.start_from(load_network(order.start)[0])
    with _sources(order, cases, trainer) as (take, held_out):

        def validate(network: Network) -> float:
            stride = order.network.stride
            return trainer.validation_loss(network, validation_batches(held_out(), plan, stride))

        asked = validate if cases.held_out or not cases.training else None
        minutes = order.wish.minutes
        heads = train(trainer, take, minutes=minutes, folder=out, report=report, validate=asked)
        while ranks.first and plan.averaging and len(heads) < plan.crops:
            heads.append(_waited_for(take))
    if ranks.first:
        _write(order, cases, trainer, heads)
    ranks.wait()
    least = trainer.best_loss if math.isfinite(trainer.best_loss) else None
    return Trained(out / MODEL_FOLDER, trainer.steps_done, least, cases)


def _cases(order: Order, ranks: Ranks, tell: Callable[[int, int], None]) -> Cases:
    """Prepare the cases, if there are any."""
    if not order.wish.data:
        return Cases()
    from glioloop.preparation import prepare  # noqa: PLC0415 - generated heads do without

    wish = order.wish
    found = prepare(
        wish.data,
        wish.out / CASES_FOLDER,
        order.spacing_mm,
        order.label_map,
        wish.held_out,
        ranks,
        tell,
    )
    return Cases(found.training, found.held_out, found.without_t2)


def _with_epoch(order: Order, cases: int, world: int) -> Plan:
    """The plan with an epoch that shows each case once, unless the wish says another."""
    plan = order.plan
    if not cases or order.wish.epoch is not None:
        return plan
    each = {"whole": 1, "sequential": _GRID_PATCHES}.get(plan.strategy, plan.per_volume)
    steps = cases * each / plan.crops if plan.per_volume else cases
    return plan.changed(epoch=max(LEAST_EPOCH, math.ceil(steps / world)))


@contextmanager
def _sources(
    order: Order, cases: Cases, trainer: Trainer
) -> Iterator[tuple[Take, Callable[[], Iterable[Example]]]]:
    """Where heads to learn from, and heads to validate on, come from."""
    ranks, wish = trainer.ranks, order.wish
    takes: list[Take] = []
    generated: Producer | None = None
    if wish.anatomy is not None:
        packed = _packed(order, ranks)
        first = int(time.time()) + 1000 * ranks.rank
        generated = Producer(packed, order.recipe, first, order.workers, device=ranks.device)
        takes.append(_of_producer(generated))
    if cases.training:
        takes.append(_of_cases(order, cases, trainer))
    take = takes[0]
    if len(takes) > 1:
        take = mixed(takes[0], takes[1], wish.generated, np.random.default_rng(trainer.rng))
    try:
        yield take, _held_out(order, cases, trainer)
    finally:
        if generated is not None:
            generated.stop()


def _packed(order: Order, ranks: Ranks) -> Path:
    """Head maps as one file, made by the first process."""
    packed = order.wish.out / HEADS_FILE
    if ranks.first and not packed.exists() and order.wish.anatomy is not None:
        pack(order.wish.anatomy, packed)
    ranks.wait()
    return packed


def _of_producer(producer: Producer) -> Take:
    """The producer as training wants it."""
    return lambda wait: producer.take(wait=wait)


def _of_cases(order: Order, cases: Cases, trainer: Trainer) -> Take:
    """Cases, again and again, each time changed otherwise."""
    from engine.prepared import case_stream  # noqa: PLC0415 - generated heads do without

    stream = case_stream(
        cases.training,
        order.normalisation,
        order.augmentation,
        (order.wish.seed * 1_000_003 + trainer.steps_done) % 2**31,
        order.workers,
        (trainer.ranks.rank, trainer.ranks.world),
    )
    return lambda _wait: next(stream)


def _held_out(order: Order, cases: Cases, trainer: Trainer) -> Callable[[], Iterable[Example]]:
    """Heads to validate on: held-out cases, else generated heads of held-out anatomies."""
    if cases.training:
        from engine.prepared import held_out_examples  # noqa: PLC0415 - as above

        return lambda: held_out_examples(cases.held_out, order.normalisation)
    made: list[Example] = []

    def generated() -> list[Example]:
        if not made:
            packed = order.wish.out / HEADS_FILE
            producer = Producer(packed, order.recipe, trainer.seed, held_out=True)
            try:
                made.extend(_waited_for(_of_producer(producer)) for _ in range(VALIDATION_HEADS))
            finally:
                producer.stop()
        return made

    return generated


def _waited_for(take: Take) -> Example:
    """The next head, waited for."""
    example = take(True)  # noqa: FBT003 - the protocol of heads' sources
    if example is None:
        raise FailedError("no head was made for five minutes")
    return example


def _write(order: Order, cases: Cases, trainer: Trainer, heads: list[Example]) -> None:
    """Write the model, and the last one beside it where an earlier one was better."""
    out = order.wish.out
    manifest = _manifest(order, cases, trainer)
    last, best = trainer.finished(heads), trainer.best(out)
    if best is not None:
        save(out / LAST_FOLDER, last, manifest)
    save(out / MODEL_FOLDER, best or last, manifest)


def _manifest(order: Order, cases: Cases, trainer: Trainer) -> Manifest:
    """How the model was made."""
    tumour, augmentation = trainer.plan.task == "tumour", order.augmentation
    fine = tumour and order.wish.anatomy is not None and order.recipe.fine_share > 0.0
    optional = order.wish.anatomy is not None or cases.without_t2 or augmentation.drop_t2
    return Manifest(
        name=f"glioloop-{'base' if tumour else 'brain'}",
        version=metadata.version("glioloop"),
        network=trainer.config,
        spacing_mm=order.spacing_mm,
        finest_spacing_mm=min(order.recipe.fine_spacing_mm) if fine else 0.0,
        normalisation=order.normalisation,
        labels=trainer.plan.labels,
        outside_value=trainer.plan.outside,
        dropped_value=DROPPED,
        tolerates_missing=("T2",) if optional else (),
        anatomies=tuple(_origins(order, cases)),
        steps=trainer.steps_done,
        seed=trainer.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=_notes(order, cases),
    )


def _origins(order: Order, cases: Cases) -> Iterator[str]:
    """What it was trained on."""
    if order.wish.anatomy is not None:
        maps = len(list(order.wish.anatomy.glob("*.nii.gz")))
        yield f"{maps} head label maps, the last 4 held out"
    if cases.training:
        whole = len(cases.training) + len(cases.held_out)
        yield f"{whole} cases of patients, {len(cases.held_out)} held out"


def _notes(order: Order, cases: Cases) -> str:
    """What a person should know of its origin."""
    if cases.training:
        note = "Trained on images of patients."
        if order.wish.anatomy is not None:
            note = f"Trained on images of patients; a share of {order.wish.generated:g} generated."
    else:
        note = "Trained on generated heads alone; no image of a patient was used."
    if order.start is not None:
        begun = load_network(order.start)[1]
        note += f" Begun from {begun.name} {begun.version}, backbone {begun.backbone_sha256[:12]}."
    return note
