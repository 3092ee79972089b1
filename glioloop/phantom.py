"""A phantom patient: DICOM studies, made by code, of a head with a lesion that grows.

`engine.phantom` makes the head; here it is scanned on the grids of thick clinical series and
written as a scanner would write it, with the truth beside it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from glioloop.phantom_headers import (
    PROTOCOLS,
    SKYRA,
    Person,
    Protocol,
    Vendor,
    instance,
    petra,
    plan,
    series_header,
    study_header,
)
from study.tissue import Role, Tissue
from study.volume import Geometry, Volume

if TYPE_CHECKING:
    from engine.phantom import PhantomHead

FIRST_STUDY = dt.datetime(2026, 1, 14, 9, 5, tzinfo=dt.UTC)
MONTHS_BETWEEN_DAYS = 91
GROWTH = (0.0, 0.3)
"""How much the radius of the lesion's core has grown at each date, as a share."""

SCALE = 1100.0
"""Pixel value of the brightest tissue (99.5 % of the head is darker)."""
NOISE = 0.012
"""Standard deviation of the noise, as a share of `SCALE`."""


@dataclass(frozen=True)
class Examination:
    """Who is scanned, and how.

    Parameters
    ----------
    person, vendor
        Whom and what the headers name.
    protocols
        The series, in the order in which they are scanned.
    noise
        Standard deviation of the noise, as a share of the brightest tissue.
    above_mm
        How far the middle of the slices lies above that of the head.
    """

    person: Person
    vendor: Vendor = SKYRA
    protocols: tuple[Protocol, ...] = PROTOCOLS
    noise: float = NOISE
    above_mm: float = 15.0


@dataclass(frozen=True)
class PhantomStudy:
    """One date of the phantom patient."""

    study_uid: str
    files: tuple[Path, ...]
    truth: Volume
    """`Tissue` values on the voxels of the T1gd."""


def write_patient(folder: Path, seed: int = 1) -> tuple[PhantomStudy, ...]:
    """Write the studies of one phantom patient into folders ``study-1``, ``study-2``.

    Parameters
    ----------
    folder
        Where to; it is made if it is not there.
    seed
        Which patient. The same seed gives the same files.

    Returns
    -------
    tuple of PhantomStudy
        By date.
    """
    from engine.phantom import phantom_head  # noqa: PLC0415 - torch comes with it

    return tuple(
        write_study(
            folder / f"study-{number}",
            phantom_head(seed, growth=growth),
            seed,
            number,
            FIRST_STUDY + dt.timedelta(days=MONTHS_BETWEEN_DAYS * (number - 1)),
        )
        for number, growth in enumerate(GROWTH, start=1)
    )


def write_study(
    folder: Path,
    head: PhantomHead,
    seed: int,
    number: int,
    moment: dt.datetime,
    leave_out: frozenset[Role] = frozenset(),
    examination: Examination | None = None,
) -> PhantomStudy:
    """Scan a head with every protocol and write the files; series that show a role can be left out.

    Parameters
    ----------
    folder
        Where to.
    head
        What is scanned.
    seed, number
        Which patient, and which of the patient's studies: they name the UIDs.
    moment
        Start of the study.
    leave_out
        Sequences that were not scanned.
    examination
        Who is scanned, and how: by default the demo's patient of that seed.

    Returns
    -------
    PhantomStudy
        The study, with the truth on the grid of the T1gd.
    """
    how = examination or Examination(petra(seed))
    study = study_header(how.person, number, moment, how.vendor)
    lies = geometry_of(head, study.FrameOfReferenceUID)
    centre = lies.world((np.array(lies.shape) - 1) / 2) + np.array([0.0, 0.0, how.above_mm])
    files: list[Path] = []
    truth: Volume | None = None
    for place, protocol in enumerate(how.protocols, start=1):
        if (
            protocol.contrast in leave_out
            and protocol.plane == "axial"
            and protocol.b_value is None
        ):
            continue
        grid = plan(protocol, centre, study.FrameOfReferenceUID)
        rng = np.random.default_rng((seed, number, place))
        shown = Volume(head.images[protocol.contrast], lies)
        pixels = scan(shown, protocol, grid, rng, how.noise)
        header = series_header(study, protocol, place, moment + dt.timedelta(minutes=4 * place))
        files += write_series(folder / f"series-{place}", header, grid, pixels)
        if protocol.contrast == Role.T1GD:
            truth = truth_on(grid, Volume(head.labels, lies))
    if truth is None:
        truth = Volume(head.labels, lies)
    return PhantomStudy(str(study.StudyInstanceUID), tuple(files), truth)


def geometry_of(head: PhantomHead, frame_uid: str) -> Geometry:
    """Where a phantom head's voxels lie: its axes are the patient's."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3)) * head.spacing_mm
    affine[:3, 3] = head.origin
    slices, rows, columns = head.labels.shape
    return Geometry((slices, rows, columns), affine, frame_uid)


def scan(
    head: Volume,
    protocol: Protocol,
    grid: Geometry,
    rng: np.random.Generator,
    noise: float = NOISE,
) -> npt.NDArray[np.uint16]:
    """Pixels of a series: the head averaged over thick slices, moved, and with noise."""
    from converter.grid import resample  # noqa: PLC0415 - SimpleITK and scipy come with it

    moved = np.eye(4)
    moved[:3, 3] = protocol.shift_mm
    signal = resample(head, grid, moved).array / np.percentile(head.array[head.array > 0], 99.5)
    parts = rng.normal(0.0, noise, (2, *signal.shape))
    # The magnitude of a complex signal with noise in both parts (Gudbjartsson and Patz 1995).
    magnitude = np.hypot(signal + parts[0], parts[1])
    pixels: npt.NDArray[np.uint16] = np.clip(magnitude * SCALE, 0, 4095).round().astype(np.uint16)
    return pixels


def truth_on(grid: Geometry, labels: Volume) -> Volume:
    """Labels on another grid: of each voxel, the tissue that fills most of it."""
    from converter.grid import resample  # noqa: PLC0415 - SimpleITK and scipy come with it

    shares = [
        resample(labels.with_array((labels.array == tissue).astype(np.float32)), grid).array
        for tissue in Tissue
    ]
    shares[Tissue.BACKGROUND] = 1.0 - sum(shares[1:], np.zeros(grid.shape, np.float32))
    return Volume(np.argmax(np.stack(shares), axis=0).astype(np.uint8), grid)


def write_series(
    folder: Path, header: Dataset, grid: Geometry, pixels: npt.NDArray[np.uint16]
) -> list[Path]:
    """One file for each slice."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, slice_pixels in enumerate(pixels):
        path = folder / f"{k + 1:03d}.dcm"
        instance(header, grid, k, slice_pixels).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths
