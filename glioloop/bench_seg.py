"""How fast labels become a SEG file, beside dcmqi's ``itkimage2segimage``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydicom import dcmread

from dicomseg.codes import CATEGORY, STYLES
from dicomseg.identity import ResultIdentity
from dicomseg.read import read_seg
from dicomseg.validate import validate_seg
from dicomseg.write import write_seg
from glioloop.bench import Figures, Measurement, Options, in_turn
from glioloop.phantom import FIRST_STUDY, write_series
from glioloop.phantom_headers import PROTOCOLS, petra, plan, series_header, study_header
from study.errors import FailedError
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry, Volume

GRIDS: Mapping[str, tuple[int, int, int]] = {
    "seg_encoding": (240, 240, 155),
    "seg_encoding_large": (512, 512, 200),
}
"""Columns, rows and slices of each measurement."""
RADII = {Tissue.EDEMA: 0.22, Tissue.ENHANCING: 0.12, Tissue.NECROSIS: 0.07}
"""Of the balls of which the tumour is made, as a part of the grid's sides."""
PROGRAM = "itkimage2segimage"


@dataclass(frozen=True)
class Task:
    """What both are given: files of a source series, and an outline on it."""

    folder: Path
    sources: Sequence[Path]
    labels: Volume

    @property
    def image(self) -> Path:
        """The outline, for dcmqi."""
        return self.folder / "labels.nrrd"

    @property
    def metadata(self) -> Path:
        """Names and codes of its segments, for dcmqi."""
        return self.folder / "segments.json"


def measurements(options: Options) -> Iterator[Measurement]:
    """SEG encoding on each of `GRIDS`, or on the grid of the options."""
    grids = {"seg_encoding": options.grid} if options.grid else GRIDS
    for name, grid in grids.items():
        title = f"SEG of three segments on {'x'.join(map(str, grid))}: from files to a file"
        yield Measurement(name, title, partial(_measure, grid, options.repeats))


def _measure(grid: tuple[int, int, int], repeats: int) -> Figures:
    """Seconds of both, after a look at whether they hold the same voxels.

    A service reads back what it encoded and compares it, which dcmqi does not: that is told too.
    """
    program = _program()
    with TemporaryDirectory(prefix="glioloop-bench-") as folder:
        task = make_task(Path(folder), grid)
        ours, theirs = partial(encode_ours, task), partial(encode_by_dcmqi, task, program)
        for file in (ours(), theirs()):
            read = read_seg(file, task.labels.geometry)
            if not np.array_equal(read.labels(), task.labels.array):
                raise FailedError(f"{file.name} does not hold the labels that it was made of")
        start = partial(_run, [program, "--version"])
        checked = partial(encode_ours, task, checked=True)
        taken = in_turn(repeats, ours=ours, dcmqi=theirs, checked=checked, start=start)
    ours_s, ours_cpu_s = taken["ours"]
    dcmqi_s, dcmqi_cpu_s = taken["dcmqi"]
    figures = {
        "ours_s": ours_s,
        "dcmqi_s": dcmqi_s,
        "ratio": ours_s / dcmqi_s,
        "ours_cpu_s": ours_cpu_s,
        "dcmqi_cpu_s": dcmqi_cpu_s,
        "ours_checked_s": taken["checked"].wall,
        "ratio_checked": taken["checked"].wall / dcmqi_s,
        "dcmqi_start_s": taken["start"].wall,
    }
    return {name: round(value, 3) for name, value in figures.items()}


def make_task(folder: Path, grid: tuple[int, int, int]) -> Task:
    """Write a source series of (columns, rows, slices), and dcmqi's description of an outline."""
    columns, rows, slices = grid
    protocol = replace(
        PROTOCOLS[-1], shape=(slices, rows, columns), spacing=(1.0, 1.0, 1.0), thickness=1.0
    )
    study = study_header(petra(1), 1, FIRST_STUDY)
    header = series_header(study, protocol, 1, FIRST_STUDY)
    geometry = plan(protocol, np.zeros(3), str(study.FrameOfReferenceUID))
    pixels = np.zeros(geometry.shape, np.uint16)
    sources = write_series(folder / "series", header, geometry, pixels)
    task = Task(folder, sources, Volume(_tumour(geometry.shape), geometry))
    _write_nrrd(task.image, task.labels)
    task.metadata.write_text(json.dumps(_segments()), encoding="utf-8")
    return task


def encode_ours(task: Task, *, checked: bool = False) -> Path:
    """Headers from the files, labels to bytes, perhaps read back and compared, and written."""
    headers = [dcmread(path, stop_before_pixels=True) for path in task.sources]
    identity = ResultIdentity("be9c400112233445566778899aabbccd", "bench", "1", FIRST_STUDY)
    encoded = write_seg(task.labels, headers, identity)
    if checked:
        validate_seg(encoded, task.labels)
    path = task.folder / "ours.dcm"
    path.write_bytes(encoded)
    return path


def encode_by_dcmqi(task: Task, program: str) -> Path:
    """The same by dcmqi."""
    path = task.folder / "dcmqi.dcm"
    command = [
        program,
        "--inputImageList", str(task.image),
        "--inputDICOMList", ",".join(map(str, task.sources)),
        "--inputMetadata", str(task.metadata),
        "--outputDICOM", str(path),
    ]  # fmt: skip
    _run(command)
    return path


def _program() -> str:
    """The program of dcmqi, beside the interpreter or on the path."""
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise FailedError(f"{PROGRAM} is missing, with which ours is compared: pip install dcmqi")
    return found


def _run(command: Sequence[str]) -> None:
    """Run a program; `FailedError` with its last line if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        raise FailedError(f"{Path(command[0]).name} failed ({done.returncode}): {said[-1]}")


def _tumour(shape: tuple[int, int, int]) -> np.ndarray:
    """Balls in each other, beside the middle."""
    at = np.meshgrid(*[np.linspace(-0.5, 0.5, n) for n in shape], indexing="ij", sparse=True)
    distance = np.sqrt((at[0] - 0.05) ** 2 + (at[1] + 0.1) ** 2 + (at[2] - 0.15) ** 2)
    labels = np.zeros(shape, np.uint8)
    for tissue, radius in RADII.items():
        labels[distance < radius] = tissue
    return labels


def _write_nrrd(path: Path, labels: Volume) -> None:
    """Labels as an uncompressed NRRD file, in the same world."""
    geometry: Geometry = labels.geometry
    axes = geometry.affine[:3, 2::-1].T

    def vector(values: np.ndarray) -> str:
        return "(" + ",".join(f"{value:.9g}" for value in values) + ")"

    header = [
        "NRRD0004",
        "type: short",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, geometry.shape[::-1]))}",
        f"space directions: {' '.join(map(vector, axes))}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: raw",
        f"space origin: {vector(geometry.affine[:3, 3])}",
    ]
    text = "\n".join(header) + "\n\n"
    path.write_bytes(text.encode("ascii") + labels.array.astype("<i2").tobytes())


def _segments() -> dict[str, Any]:
    """Names, codes and colours of the segments, as dcmqi wants them."""

    def code(value: str, scheme: str, meaning: str) -> dict[str, str]:
        return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}

    segments = [
        {
            "labelID": int(tissue),
            "SegmentLabel": STYLES[tissue].label,
            "SegmentDescription": STYLES[tissue].label,
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "bench",
            "recommendedDisplayRGBValue": list(STYLES[tissue].rgb),
            "SegmentedPropertyCategoryCodeSequence": code(*CATEGORY),
            "SegmentedPropertyTypeCodeSequence": code(*STYLES[tissue].type_code),
        }
        for tissue in TUMOUR_TISSUES
    ]
    return {
        "ContentCreatorName": "Bench",
        "SeriesDescription": "bench",
        "SeriesNumber": "900",
        "InstanceNumber": "1",
        "segmentAttributes": [segments],
    }
