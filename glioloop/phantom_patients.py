"""Whole generated patients on disk: BraTS-like NIfTI folders, or DICOM studies with masks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError

from engine.anatomy import HeadMap
from engine.labelmaps import read_head_map
from engine.longitudinal import Visit, dates_from, patient
from engine.phantom import PhantomHead, phantom_map
from engine.scanner import NATIVE
from glioloop.phantom import Examination, write_study
from glioloop.phantom_headers import Person
from glioloop.phantom_masks import write_masks
from glioloop.phantom_vendors import protocols_of, vendor_of
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Role, Tissue

Heads = Callable[[np.random.Generator], HeadMap]

FORMS = ("dicom", "nifti")
FIRST_STUDY = dt.datetime(2026, 1, 14, 9, 5, tzinfo=dt.UTC)
FIELD_MM = (200.0, 232.0, 192.0)
"""Extent of a generated head (slices, rows, columns)."""
ENDINGS = {Role.FLAIR.value: "t2f", Role.T1GD.value: "t1c", Role.T2.value: "t2w", NATIVE: "t1n"}
"""Names of BraTS 2023."""
BRIGHTEST = 1000.0
"""Value in NIfTI of what is brighter than 99.5 % of the head."""
NOISE_OF_MEAN = 0.3
"""The mean signal of a head, as a share of its brightest."""
MOST_PATIENTS, MOST_DATES = 1000, 20


@dataclass(frozen=True)
class Order:
    """What is to be made.

    Parameters
    ----------
    patients, dates
        How many patients, and dates of each.
    surgery, scanner_change
        As for `engine.longitudinal.patient`; None: drawn for each patient.
    form
        One of `FORMS`.
    seed
        The same seed gives the same patients.
    spacing_mm
        Edge of a voxel of the generated heads.

    Raises
    ------
    RefusedError
        If a number is out of range, or the form is not known.
    """

    patients: int = 1
    dates: int = 2
    surgery: bool | None = None
    scanner_change: bool | None = None
    form: str = "dicom"
    seed: int = 1
    spacing_mm: float = 1.0

    def __post_init__(self) -> None:
        within = (
            ("--patients", self.patients, 1, MOST_PATIENTS),
            ("--dates", self.dates, 1, MOST_DATES),
            ("--seed", self.seed, 0, 99999),
            ("--spacing", self.spacing_mm, 0.7, 4.0),
        )
        for name, value, least, most in within:
            if not least <= value <= most:
                raise RefusedError(f"{name} is from {least} to {most}, not {value}")
        if self.form not in FORMS:
            raise RefusedError(f"--format is {' or '.join(FORMS)}, not {self.form!r}")
        if self.dates < 2 and (self.surgery or self.scanner_change):
            raise RefusedError(
                "--surgery and --scanner-change lie between two dates: --dates is at least 2"
            )


@dataclass(frozen=True)
class Written:
    """One date of one patient on disk."""

    patient_id: str
    date: dt.date
    folder: Path
    files: int
    scanner: str
    volumes_ml: Mapping[Tissue, float]
    """Of the truth, on the generated voxels."""


def heads_of(anatomy: Path | None) -> Heads:
    """Where heads come from: a folder of label maps, or nothing.

    Raises
    ------
    RefusedError
        If there is no label map in it; where a head is taken, if its file cannot be read.
    """
    if anatomy is None:
        return phantom_map
    paths = sorted(anatomy.glob("*.nii.gz"))
    if not paths:
        raise RefusedError(f"{anatomy} holds no *.nii.gz head label maps")

    def chosen(rng: np.random.Generator) -> HeadMap:
        path = paths[int(rng.integers(len(paths)))]
        try:
            return read_head_map(path)
        except (ImageFileError, OSError, EOFError) as error:
            raise RefusedError(f"{path.name} is no readable NIfTI image: {error}") from error

    return chosen


def write_patients(folder: Path, order: Order, heads: Heads) -> Iterator[Written]:
    """Make patients and write them, one date after another.

    Parameters
    ----------
    folder
        Where to. NIfTI: a folder for each patient and date. DICOM: a folder for each patient, in it
        ``study-1``, ... with the series and an expert's ``mask`` of the enhancing tumour; the whole
        truth, on the voxels of the T1gd, lies in a folder ``truth`` beside the patients.
    order
        What is to be made.
    heads
        As `heads_of` gives it.
    """
    for number in range(1, order.patients + 1):
        rng = np.random.default_rng((order.seed, number))
        person = person_of(order.seed, number, rng)
        dates = dates_from(FIRST_STUDY.date(), order.dates, rng)
        slices, rows, columns = (round(extent / order.spacing_mm) for extent in FIELD_MM)
        visits = patient(
            heads(rng),
            dates,
            (slices, rows, columns),
            order.spacing_mm,
            rng,
            surgery=order.surgery,
            scanner_change=order.scanner_change,
        )
        write = _write_nifti if order.form == "nifti" else _write_dicom
        for place, visit in enumerate(visits, start=1):
            at, files = write(folder, person, place, visit)
            volumes = {tissue: visit.volume_ml(tissue) for tissue in TUMOUR_TISSUES}
            yield Written(person.patient_id, visit.date, at, files, visit.scanner.name, volumes)


def person_of(seed: int, number: int, rng: np.random.Generator) -> Person:
    """A generated patient's name and numbers: nobody's, and everyone can see it."""
    born = dt.date(1940, 1, 1) + dt.timedelta(days=int(rng.integers(0, 16000)))
    identifier = f"PHANTOM-{seed:05d}-{number:03d}"
    sex = str(rng.choice(("F", "M")))
    return Person(f"G{seed:05d}{number:04d}", identifier, f"Phantom^Number {number}", born, sex)


def _write_nifti(folder: Path, person: Person, place: int, visit: Visit) -> tuple[Path, int]:
    """Write one date as a BraTS 2023 case."""
    name = f"{person.patient_id}-{place:03d}"
    at = folder / name
    affine = np.diag([-visit.spacing_mm, -visit.spacing_mm, visit.spacing_mm, 1.0])
    slices, rows, columns = visit.labels.shape
    middle = (np.array([columns, rows, slices]) - 1) / 2.0
    affine[:3, 3] = -(affine[:3, :3] @ middle)
    for contrast, ending in ENDINGS.items():
        image = visit.images[contrast]
        scaled = image * (BRIGHTEST / float(np.percentile(image, 99.5)))
        _save(at / f"{name}-{ending}.nii.gz", np.clip(scaled, 0, 32767).astype(np.int16), affine)
    _save(at / f"{name}-seg.nii.gz", visit.labels, affine)
    return at, len(ENDINGS) + 1


def _write_dicom(folder: Path, person: Person, place: int, visit: Visit) -> tuple[Path, int]:
    """Write one date as a DICOM study with an expert's mask, and the truth beside it."""
    at = folder / person.patient_id
    middle = (np.array(visit.labels.shape) - 1) / 2.0 * visit.spacing_mm
    head = PhantomHead(
        visit.ideal,
        visit.truth,
        visit.brain,
        visit.spacing_mm,
        (-float(middle[2]), -float(middle[1]), -float(middle[0])),
    )
    protocols = protocols_of(visit.scanner)
    examination = Examination(
        person,
        vendor_of(visit.scanner),
        protocols,
        noise=NOISE_OF_MEAN * visit.scanner.noise,
        above_mm=0.0,
    )
    moment = dt.datetime.combine(visit.date, FIRST_STUDY.time(), dt.UTC)
    noise = int(person.key.removeprefix("G"))
    study = write_study(at / f"study-{place}", head, noise, place, moment, examination=examination)
    mask = study.truth.with_array(study.truth.array == Tissue.ENHANCING)
    t1gd = next(path for path in study.files if path.parent.name == f"series-{len(protocols)}")
    masks = write_masks(at / f"study-{place}" / "mask", t1gd, mask)
    affine = study.truth.geometry.affine[:, [2, 1, 0, 3]]
    flipped = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    _save(
        folder / "truth" / f"{person.patient_id}-{place:03d}-seg.nii.gz", study.truth.array, flipped
    )
    return at / f"study-{place}", len(study.files) + len(masks)


def _save(path: Path, array: npt.NDArray[np.generic], affine: npt.NDArray[np.float64]) -> None:
    """Write ``(slice, row, column)`` voxels as NIfTI; the same voxels give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), affine)  # type: ignore[no-untyped-call]
    nib.save(image, path)
