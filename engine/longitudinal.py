"""Whole patients: one head, a tumour that develops from date to date, a scanner at each.

Everything is a function of the arguments: the same random generator gives the same patient.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.anatomy import HeadMap, Substance
from engine.course import DAYS_A_YEAR, Course, drawn, planned
from engine.deform import look_up, sampling_grid
from engine.generator import brain_mask
from engine.scanner import SCANNERS, Makeup, Scanner, contrasts, read_off, scanned
from study.errors import RefusedError
from study.tissue import Tissue

Field = npt.NDArray[np.float32]

TURNED_RAD = 0.05
"""Standard deviation of the angle, about each axis, by which the head lies otherwise at a date."""
MOVED_MM = 2.0
"""The same of its position."""
DAYS_BETWEEN = (60, 150)
"""Days from one date to the next, where `dates_from` draws them."""

LABEL_OF = {
    Substance.EDEMA: Tissue.EDEMA,
    Substance.NECROSIS: Tissue.NECROSIS,
    Substance.INFILTRATED: Tissue.NECROSIS,
    Substance.ENHANCING: Tissue.ENHANCING,
}
"""How a reader labels what a course draws; cavity and blood are no tumour."""


@dataclass(frozen=True, eq=False)
class Visit:
    """A patient at one date.

    Parameters
    ----------
    date
        Of the examination.
    scanner
        That the patient was sent to.
    ideal
        For each of `engine.scanner.CONTRASTS`, ``(D, H, W)`` float32 without slices and noise.
    images
        The same as the scanner makes them: thick slices interpolated back to the grid.
    substances
        ``(D, H, W)`` uint8 of `Substance`.
    truth
        ``(D, H, W)`` uint8 of `Tissue`, on the voxels of the grid.
    labels
        The same as a reader draws them on the slices of the T1gd.
    brain
        ``(D, H, W)`` mask: brain with ventricles, sulci, tumour and cavity.
    spacing_mm
        Edge of a voxel. Axes are (slice, row, column) towards (head, back, left), centred on the
        brain.
    """

    date: dt.date
    scanner: Scanner
    ideal: Mapping[str, Field]
    images: Mapping[str, Field]
    substances: HeadMap
    truth: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.bool_]
    spacing_mm: float

    def volume_ml(self, tissue: Tissue) -> float:
        """True volume of a tissue in mL."""
        return float(np.count_nonzero(self.truth == tissue)) * self.spacing_mm**3 / 1000.0


def patient(
    head_map: HeadMap,
    dates: Sequence[dt.date],
    shape: tuple[int, int, int],
    spacing_mm: float,
    rng: np.random.Generator,
    *,
    surgery: bool | None = None,
    scanner_change: bool | None = None,
    scanner: Scanner | None = None,
) -> list[Visit]:
    """Make a patient.

    Parameters
    ----------
    head_map
        1 mm head map, (slice, row, column) towards (head, back, left).
    dates
        Of the examinations, each later than the one before.
    shape, spacing_mm
        Voxels of the images, and their edge.
    rng
        Source of all randomness.
    surgery
        Whether the tumour is taken out between two dates; drawn if None and there are two dates.
    scanner_change
        Whether the scanner changes between two dates; drawn likewise.
    scanner
        That the patient is sent to at every date; drawn if None.

    Returns
    -------
    list of Visit
        By date. Ranges of what is drawn are data in `engine.course` and `engine.scanner`.

    Raises
    ------
    RefusedError
        If there is no date, dates do not ascend, surgery or a change of scanner is wanted with one
        date or of one scanner, or the map holds no white matter.
    """
    _check(head_map, dates, surgery=surgery, scanner_change=scanner_change)
    if scanner is not None and scanner_change:
        raise RefusedError(
            "one scanner was given, and a change of scanner is wanted: leave one out"
        )
    several = len(dates) > 1
    years = [(date - dates[0]).days / DAYS_A_YEAR for date in dates]
    head = torch.from_numpy(np.ascontiguousarray(head_map))
    grid = sampling_grid(head, shape, spacing_mm, rng)
    operated = several and (rng.random() < 0.6 if surgery is None else surgery)
    changed = several and (rng.random() < 0.4 if scanner_change is None else scanner_change)
    course = planned(head, years, rng, surgery=operated)
    makeup = Makeup.draw(shape, spacing_mm, rng)
    scanners = _scanners(len(dates), rng, change=changed)
    if scanner is not None:
        scanners = [scanner] * len(dates)
    seeds = [int(seed) for seed in rng.integers(2**62, size=len(dates))]
    return [
        _visit(head, grid, course, makeup, number, date, scanners[number], spacing_mm, seed)
        for number, (date, seed) in enumerate(zip(dates, seeds, strict=True))
    ]


def dates_from(first: dt.date, count: int, rng: np.random.Generator) -> list[dt.date]:
    """Draw dates of follow-ups: `DAYS_BETWEEN` apart."""
    days = [int(d) for d in rng.integers(DAYS_BETWEEN[0], DAYS_BETWEEN[1] + 1, count - 1)]
    return [first + dt.timedelta(days=sum(days[:number])) for number in range(count)]


def _check(
    head_map: HeadMap,
    dates: Sequence[dt.date],
    *,
    surgery: bool | None,
    scanner_change: bool | None,
) -> None:
    """Refuse what no patient can be made of."""
    if not dates or any(b <= a for a, b in pairwise(dates)):
        raise RefusedError("a patient needs at least one date, each later than the one before")
    if len(dates) < 2 and (surgery or scanner_change):
        raise RefusedError("surgery and a change of scanner lie between two dates; one was asked")
    if np.count_nonzero(head_map == Substance.WHITE) < 1000:
        raise RefusedError("this head map holds no white matter for a tumour to grow in")


def _scanners(count: int, rng: np.random.Generator, *, change: bool) -> list[Scanner]:
    """Choose one scanner, or from some date on another one of another field strength."""
    first = SCANNERS[int(rng.integers(len(SCANNERS)))]
    others = [one for one in SCANNERS if one.tesla != first.tesla]
    second = others[int(rng.integers(len(others)))]
    since = int(rng.integers(1, count)) if change else count
    return [first if number < since else second for number in range(count)]


def _visit(
    head: Tensor,
    grid: Tensor,
    course: Course,
    makeup: Makeup,
    number: int,
    date: dt.date,
    scanner: Scanner,
    spacing_mm: float,
    seed: int,
) -> Visit:
    """Examine the patient at one date."""
    rng = np.random.default_rng(seed)
    lying = _positioned(grid, rng) if number else grid
    before = look_up(head, lying)
    substances = look_up(drawn(head, course, number), lying)
    table = torch.zeros(256, dtype=torch.uint8)
    for substance, tissue in LABEL_OF.items():
        table[int(substance)] = int(tissue)
    truth = table[substances.long()]
    cavity = (substances == Substance.CAVITY) | (substances == Substance.BLOOD)
    brain = brain_mask(before, spacing_mm) | (truth > 0) | cavity
    ideal = contrasts(substances, makeup, scanner)
    images = scanned(ideal, scanner, spacing_mm, rng)
    return Visit(
        date,
        scanner,
        {name: image.numpy() for name, image in ideal.items()},
        {name: image.numpy() for name, image in images.items()},
        substances.numpy(),
        truth.numpy(),
        read_off(truth, scanner, spacing_mm).numpy(),
        brain.numpy(),
        spacing_mm,
    )


def _positioned(grid: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn and move the head a little about its middle."""
    x, y, z = rng.normal(0.0, TURNED_RAD, 3)
    skew = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float32)
    turn = torch.linalg.matrix_exp(skew)
    middle = grid[tuple(n // 2 for n in grid.shape[:3])]
    moved: Tensor = (grid - middle) @ turn.T + middle
    return moved + torch.tensor(rng.normal(0.0, MOVED_MM, 3), dtype=torch.float32)
