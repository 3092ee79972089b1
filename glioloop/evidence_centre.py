"""The published experiment: corrections of one centre's cases against as many of others'.

The target centre has one scanner with its protocol. A head is fitted to the corrections of its
first 5, 10, ... cases, and another one to as many of cases of other scanners; all are judged on
cases of the target centre that nothing was learnt from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from engine.head import Head
from engine.sampling import FeatureSample
from engine.scanner import SCANNERS
from engine.weights import load
from glioloop import durable
from glioloop.evidence_dates import Overlap
from glioloop.evidence_followups import corrected
from glioloop.evidence_heads import ARMS, BIAS, OURS, PUBLISHED, Arm, Fitter, plain
from glioloop.evidence_patients import Models, Order, each, kept_dates, read_dates
from glioloop.evidence_ranges import Centres

JUDGED, FURTHER = 500, 1000
"""Numbers of the first case that is judged, and of the first one of the other centres."""
TARGET, OTHERS = "target", "others"
BIAS_CURVE = "its own, biases alone"
CURVES: Mapping[str, tuple[str, Arm]] = {
    "its own": (TARGET, ARMS[OURS]),
    "others'": (OTHERS, ARMS[OURS]),
    BIAS_CURVE: (TARGET, ARMS[BIAS]),
    "its own, the published way": (TARGET, ARMS[PUBLISHED]),
}
"""Whose corrections, and how a head is fitted to them; in the order of the figure."""


@dataclass(frozen=True)
class Case:
    """One case of a centre.

    Parameters
    ----------
    order
        Whom to make.
    learnt
        Whether its correction is learnt from; else heads are judged on it.
    folder, models
        Where it is kept, and whose features.
    """

    order: Order
    learnt: bool
    folder: Path
    models: Models

    @property
    def file(self) -> Path:
        """The sample of the correction, or the kept date."""
        return self.folder / f"case-{self.order.number:04d}.npz"


@dataclass(frozen=True)
class Fitting:
    """One point of a curve: a head of so many corrections."""

    curve: str
    corrections: int
    samples: tuple[Path, ...]
    judged: tuple[Path, ...]
    folder: Path
    models: Models

    @property
    def answer(self) -> Path:
        """File of what came of it."""
        number = list(CURVES).index(self.curve)
        name = f"curve-{number}-{self.corrections:02d}-of-{len(self.judged)}.json"
        return self.folder / name


def cases_of(
    centres: Centres, anatomies: tuple[Path, ...], folder: Path, models: Models
) -> list[Case]:
    """All cases: those of the target centre that are learnt from, those judged on, the others'."""
    own = SCANNERS[centres.target]
    others = [scanner for scanner in SCANNERS if scanner is not own]
    most = max(centres.corrections)
    ranges = replace(centres.patients, voxels=centres.voxels)

    def case(number: int, place: int, *, learnt: bool) -> Case:
        scanner = own if number < FURTHER else others[place % len(others)]
        order = Order(number, ranges, anatomies, scanner, one_date=True)
        return Case(order, learnt, folder, models)

    return [
        *(case(n, n, learnt=True) for n in range(most)),
        *(case(JUDGED + n, n, learnt=False) for n in range(centres.held_out_cases)),
        *(case(FURTHER + n, n, learnt=True) for n in range(most)),
    ]


def run(
    centres: Centres,
    cases: Sequence[Case],
    workers: int,
    tell: Callable[[str, int, int], None],
) -> list[dict[str, Any]]:
    """Make every case, then every head; what is there already is left as it is.

    Parameters
    ----------
    centres
        What is asked.
    cases
        From `cases_of`.
    workers
        Processes.
    tell
        Told of which work how many are done of how many.

    Returns
    -------
    list of dict
        Of each head its ``curve``, its number of ``corrections``, its ``fit``, and ``cases``: for
        each case that is judged, by region, the `Overlap` with the truth.
    """
    waiting = [case for case in cases if not case.file.is_file()]
    for done, _ in enumerate(each(make, waiting, workers), 1):
        tell("cases", done, len(waiting))
    fittings = _fittings(centres, cases)
    unfitted = [fitting for fitting in fittings if not fitting.answer.is_file()]
    for done, _ in enumerate(each(fit, unfitted, workers), 1):
        tell("heads", done, len(unfitted))
    return [json.loads(fitting.answer.read_text(encoding="utf-8")) for fitting in fittings]


def make(case: Case) -> None:
    """Generate a case and keep it: the sample of its correction, or all that a score needs."""
    if not case.learnt:
        kept_dates(case.file, case.order, case.models)
        return
    whole = case.file.with_suffix(".whole.npz")
    date = kept_dates(whole, case.order, case.models)[0]
    sample = corrected(date, load(case.models.base).head, case.order, 0, "truth")
    durable.write(case.file, sample.to_npz())
    whole.unlink()


def fit(fitting: Fitting) -> None:
    """Fit one head and judge it."""
    fitter = Fitter.of(fitting.models.base)
    head, about = fitter.base, {}
    if fitting.samples:
        samples = [FeatureSample.from_npz(path.read_bytes()) for path in fitting.samples]
        fitted = fitter.fit(samples, CURVES[fitting.curve][1])
        head, about = fitted.head, plain(fitted)
    answer = {
        "curve": fitting.curve,
        "corrections": fitting.corrections,
        "fit": about,
        "cases": [_overlaps(path, head) for path in fitting.judged],
    }
    durable.write(fitting.answer, json.dumps(answer).encode())


def _overlaps(path: Path, head: Head) -> dict[str, Overlap]:
    """How a head agrees with the truth of a kept case."""
    return read_dates(path)[0].overlaps(head)


def _fittings(centres: Centres, cases: Sequence[Case]) -> list[Fitting]:
    """All points of all curves; those of most corrections, which take longest, first."""
    judged = tuple(case.file for case in cases if not case.learnt)
    learnt = {
        TARGET: [c.file for c in cases if c.order.number < JUDGED],
        OTHERS: [c.file for c in cases if c.order.number >= FURTHER],
    }
    return [
        Fitting(
            curve, count, tuple(learnt[CURVES[curve][0]][:count]), judged, one.folder, one.models
        )
        for count, curve in product(sorted(centres.corrections, reverse=True), CURVES)
        for one in cases[:1]
    ]
