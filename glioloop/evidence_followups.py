"""One correction at a patient's first date, judged at the dates after it.

Each patient is generated once and kept as features (`glioloop.evidence_patients`); all heads are
fitted and scored from those. What comes of a patient is a file of its own: an experiment that was
broken off goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.head import Head
from engine.sampling import FeatureSample
from glioloop import durable
from glioloop.evidence_corrections import KINDS
from glioloop.evidence_dates import KeptDate, Overlap
from glioloop.evidence_heads import ARMS, OURS, Fitter, plain
from glioloop.evidence_patients import Models, Order, each, kept_dates, read_dates
from study.errors import RefusedError

BASE = "base"
OTHER = "another patient's head"
CEILING = "fitted to the date itself"
"""Not to be had in life: what a head can reach at most."""

Scores = dict[str, dict[str, Overlap]]
"""By arm and region."""


@dataclass(frozen=True)
class Task:
    """One patient, and where what comes of it is put."""

    order: Order
    folder: Path
    models: Models

    @property
    def dates(self) -> Path:
        """File of the kept dates."""
        return self.folder / f"patient-{self.order.number:03d}.npz"

    @property
    def answer(self) -> Path:
        """File of what came of it."""
        return self.folder / f"patient-{self.order.number:03d}.json"


def run(tasks: Sequence[Task], workers: int, tell: Callable[[int], None]) -> list[dict[str, Any]]:
    """Every patient; those that have an answer are left as they are.

    Parameters
    ----------
    tasks
        One for each patient.
    workers
        Processes.
    tell
        Told how many are done.

    Returns
    -------
    list of dict
        Of each patient ``scanners`` and ``operated`` by date, ``fits`` by arm, and ``follow_ups``:
        for each date after the first, by arm and region, the `Overlap` with the truth.
    """
    waiting = [task for task in tasks if not task.answer.is_file()]
    tell(len(tasks) - len(waiting))
    for done, _ in enumerate(each(judge_patient, waiting, workers), len(tasks) - len(waiting) + 1):
        tell(done)
    answers = [json.loads(task.answer.read_text(encoding="utf-8")) for task in tasks]
    _judge_others(tasks, answers)
    return answers


def judge_patient(task: Task) -> None:
    """Make a patient, fit every arm's head to the first date, and score it at the others."""
    fitter = Fitter.of(task.models.base)
    base = fitter.base
    first, *later = kept_dates(task.dates, task.order, task.models)
    scores: list[Scores] = [{BASE: date.overlaps(base)} for date in later]
    fits: dict[str, Any] = {}
    for name, arm in ARMS.items():
        head = base
        try:
            fit = fitter.fit([corrected(first, base, task.order, 0, arm.correction)], arm)
            fits[name], head = plain(fit), fit.head
        except RefusedError as error:
            fits[name] = {"accepted": False, "reason": f"refused: {error}"}
        for date, scored in zip(later, scores, strict=True):
            scored[name] = date.overlaps(head)
    for place, (date, scored) in enumerate(zip(later, scores, strict=True), 1):
        scored[CEILING] = date.overlaps(_ceiling(date, fitter, task.order, place))
    answer = {
        "patient": task.order.number,
        "scanners": [date.scanner for date in (first, *later)],
        "operated": [date.operated for date in (first, *later)],
        "fits": fits,
        "follow_ups": scores,
    }
    durable.write(task.answer, json.dumps(answer).encode())


def corrected(date: KeptDate, base: Head, order: Order, place: int, kind: str) -> FeatureSample:
    """What is kept of a correction of one kind.

    Raises
    ------
    RefusedError
        If nothing can be learnt of it (`engine.sampling.sample_voxels`).
    """
    ranges = order.ranges
    seed = (ranges.seed, order.number, place, list(KINDS).index(kind))
    made = KINDS[kind](
        date.labels,
        date.found(base),
        ranges.spacing_mm,
        ranges.reader,
        np.random.default_rng(seed),
    )
    return date.sample(base, made, ranges.spacing_mm, ranges.voxels, order.number)


def _ceiling(date: KeptDate, fitter: Fitter, order: Order, place: int) -> Head:
    """The head of a date's own truth; the base head where nothing can be learnt of it."""
    try:
        return fitter.ceiling(corrected(date, fitter.base, order, place, "truth"))
    except RefusedError:
        return fitter.base


def _judge_others(tasks: Sequence[Task], answers: Sequence[dict[str, Any]]) -> None:
    """Score each patient with the head of the next one whose head was accepted."""
    own = [a["fits"][OURS] for a in answers]
    for place, (task, answer) in enumerate(zip(tasks, answers, strict=True)):
        turns = [(place + step) % len(tasks) for step in range(1, len(tasks))]
        other = next((own[turn] for turn in turns if own[turn]["accepted"]), None)
        if other is None:
            for scored in answer["follow_ups"]:
                scored[OTHER] = scored[BASE]
            continue
        head = Head.from_json(other["head"])
        later = read_dates(task.dates)[1:]
        for date, scored in zip(later, answer["follow_ups"], strict=True):
            scored[OTHER] = date.overlaps(head)
