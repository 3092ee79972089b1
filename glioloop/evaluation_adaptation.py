"""``glioloop evaluate --adaptation``: learn from one date of a patient, judge at the others."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, permutations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
from rich import box
from rich.table import Table

from engine.adapt import Fit, FitSettings
from glioloop import durable, label_file, outlines, results
from glioloop.cases import Case
from glioloop.learning import learn
from glioloop.lessons import Lesson
from glioloop.networks import Networks, Options
from glioloop.pipeline import Segmentation, segment_volumes
from glioloop.scores import RegionScore, compare, without_nan
from study.errors import HeldError, RefusedError
from study.tissue import Tissue

CAPTION = (
    "Learnt from the known answer of one date, judged at another that nothing was learnt from.\n"
    "base, adapted: Dice with the base head and with the patient's own. HD95 in mm."
)


@dataclass(frozen=True)
class Transfer:
    """One date learnt from, another one judged.

    Parameters
    ----------
    learnt, judged
        Names of the cases.
    accepted, reason
        Of the fit; what is not accepted leaves the base head.
    base, adapted
        Scores by region of the judged date.
    """

    learnt: str
    judged: str
    accepted: bool
    reason: str
    base: Mapping[str, RegionScore]
    adapted: Mapping[str, RegionScore]


def transfers(
    cases: Sequence[Case], networks: Networks, options: Options, settings: FitSettings, voxels: int
) -> Iterator[Transfer]:
    """Every ordered pair of dates of every patient.

    Parameters
    ----------
    cases
        With their truth; those of one patient have the same `Case.patient`.
    networks, options
        As for `glioloop.pipeline.segment_volumes`.
    settings, voxels
        As for `glioloop.learning.learn`.

    Raises
    ------
    RefusedError
        If no patient has two dates.
    """
    patients = [list(dates) for _, dates in groupby(cases, key=lambda case: case.patient)]
    several = [dates for dates in patients if len(dates) > 1]
    if not several:
        raise RefusedError(
            f"none of {len(patients)} patients has two dates with a known answer: adaptation is"
            " judged at a date that nothing was learnt from"
        )
    for dates in several:
        made = [segment_volumes(case.volumes, networks, options=options) for case in dates]
        fits = [
            _learnt(case, one, networks, options, settings, voxels)
            for case, one in zip(dates, made, strict=True)
        ]
        for first, other in permutations(range(len(dates)), 2):
            yield _judged(
                dates[other], made[other], dates[first].name, fits[first], networks, options
            )


def plain(found: Sequence[Transfer]) -> dict[str, Any]:
    """All numbers as plain values; NaN, which JSON lacks, becomes null."""
    raw = {
        "mean_dice": {
            name: {"base": base, "adapted": adapted}
            for name, (base, adapted) in mean_dice(found).items()
        },
        "transfers": [asdict(one) for one in found],
    }
    return without_nan(raw)


def mean_dice(found: Sequence[Transfer]) -> dict[str, tuple[float, float]]:
    """Mean Dice with the base head and the patient's own, of each region."""
    names = dict.fromkeys(name for one in found for name in one.base)
    return {
        name: (
            fmean(one.base[name].dice for one in found if name in one.base),
            fmean(one.adapted[name].dice for one in found if name in one.adapted),
        )
        for name in names
    }


def table_of(found: Sequence[Transfer]) -> Table:
    """Every pair of dates, then the means."""
    table = Table(caption=CAPTION, box=box.SIMPLE, padding=(0, 1), caption_justify="left")
    for name in ("learnt from", "judged", "region"):
        table.add_column(name, overflow="fold")
    for name in ("base", "adapted", "HD95 base", "adapted"):
        table.add_column(name, justify="right")
    for one in found:
        for name, before in one.base.items():
            after = one.adapted[name]
            distances = (f"{s.hausdorff95_mm:.1f}" for s in (before, after))
            dice = (f"{before.dice:.3f}", f"{after.dice:.3f}")
            table.add_row(one.learnt, one.judged, name, *dice, *distances)
        table.add_row("", one.reason, style="dim")
    for name, (base, adapted) in mean_dice(found).items():
        table.add_row("mean", "", name, f"{base:.3f}", f"{adapted:.3f}", style="bold")
    return table


def known_tissues(
    truth: Mapping[str, npt.NDArray[np.bool_]],
) -> dict[Tissue, npt.NDArray[np.bool_]]:
    """Masks of the tissues that regions of a truth tell apart.

    Parameters
    ----------
    truth
        As in `Case`: enhancing tumour alone, or all regions.
    """
    masks = {Tissue.ENHANCING: truth["enhancing"]}
    if {"core", "whole"} <= set(truth):
        masks[Tissue.NECROSIS] = truth["core"] & ~truth["enhancing"]
        masks[Tissue.EDEMA] = truth["whole"] & ~truth["core"]
    return masks


def _learnt(
    case: Case,
    made: Segmentation,
    networks: Networks,
    options: Options,
    settings: FitSettings,
    voxels: int,
) -> Fit | str:
    """A head fitted to the truth of a case, by the steps of the service; or why there is none."""
    with tempfile.TemporaryDirectory(prefix="glioloop-") as temporary:
        folder = Path(temporary)
        durable.write(folder / results.LABELS, label_file.labels_to_bytes(made.labels))
        durable.write(folder / results.KEPT, made.kept.to_bytes())
        outline = folder / "outline.npz"
        durable.write(outline, outlines.to_bytes(known_tissues(case.truth)))
        lesson = Lesson(folder, folder / results.SEG, outline, folder / "sample.npz", {})
        try:
            return learn([lesson], networks, options, settings, voxels, lambda _part: None)
        except (HeldError, RefusedError) as error:
            return str(error)


def _judged(
    case: Case,
    made: Segmentation,
    learnt: str,
    fit: Fit | str,
    networks: Networks,
    options: Options,
) -> Transfer:
    """A date with the base head and with the head of another date."""
    base = compare(case, made.labels.array)
    if isinstance(fit, str) or not fit.accepted:
        reason = fit if isinstance(fit, str) else fit.reason
        return Transfer(learnt, case.name, accepted=False, reason=reason, base=base, adapted=base)
    labels = segment_volumes(case.volumes, networks, fit.head, options).labels.array
    after = compare(case, labels)
    return Transfer(learnt, case.name, accepted=True, reason=fit.reason, base=base, adapted=after)
