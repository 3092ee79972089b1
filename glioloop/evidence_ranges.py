"""What the experiments on generated patients draw from: fixed before they were run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.scanner import SCANNERS


@dataclass(frozen=True)
class Reader:
    """How a person's correction differs from the truth.

    Parameters
    ----------
    slab_mm
        A reader in haste corrects so many millimetres of slices and leaves as many as they were.
    off_voxels
        By how many voxels in the plane of the slices an outline lies off.
    smooth_voxels
        Standard deviation of the Gaussian that rounds such an outline.
    """

    slab_mm: float = 6.0
    off_voxels: int = 1
    smooth_voxels: float = 1.0


@dataclass(frozen=True)
class Followups:
    """One correction at the first date, judged at the dates after it.

    Parameters
    ----------
    patients, dates
        How many, and dates of each. The scanner changes in every second patient, and surgery is
        drawn as `engine.longitudinal.patient` draws it.
    held_out
        Anatomies that no network was trained on: the last so many of the folder, in order of name.
    spacing_mm
        Edge of a voxel of the generated images. It is the grid that the shipped network works on.
    field_mm
        Extent of an image (slices, rows, columns).
    voxels
        Sampled from a corrected date: half of what the settings have, to be done in time.
    smallest_ml
        A region counts at a date where the truth has as much of it.
    harmed
        A date is harmed that loses more of its mean Dice than this.
    resamples
        Of the bootstrap.
    seed
        Of everything.
    reader
        How corrections differ from the truth.
    """

    patients: int = 60
    dates: int = 3
    held_out: int = 4
    spacing_mm: float = 2.0
    field_mm: tuple[float, float, float] = (200.0, 232.0, 192.0)
    voxels: int = 20_000
    smallest_ml: float = 0.5
    harmed: float = 0.02
    resamples: int = 2000
    seed: int = 2026
    reader: Reader = field(default_factory=Reader)

    def plain(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)


@dataclass(frozen=True)
class Centres:
    """Corrections of one centre's cases against as many of others'.

    Parameters
    ----------
    target
        Number of the centre's scanner in `engine.scanner.SCANNERS`; the others belong to the
        other centres, by turns.
    corrections
        How many are learnt from.
    held_out_cases
        Cases of the target centre that are never learnt from.
    voxels
        Sampled from each correction.
    patients
        As for `Followups`, which has the rest.
    """

    target: int = 1
    corrections: tuple[int, ...] = (0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70)
    held_out_cases: int = 24
    voxels: int = 2_000
    patients: Followups = field(default_factory=lambda: Followups(seed=7026, dates=2))

    def plain(self) -> dict[str, Any]:
        """For the record."""
        return {**asdict(self), "scanner": SCANNERS[self.target].name}
