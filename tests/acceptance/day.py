"""A radiologist's day as `glioloop.demo_day` plays it, kept open to be looked at."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from scipy import ndimage

from converter.volume import to_volume
from dicomseg.facts import read_facts
from dicomseg.read import read_seg
from glioloop.demo_day import Demo, play
from glioloop.demo_report import Lesson, Stages
from glioloop.demo_studies import Masks, Study
from glioloop.private_orthanc import Orthanc, free_port, program
from glioloop.private_service import Service
from study.agreement import centre_of_mass, dice
from study.tissue import Tissue
from study.volume import Geometry

Mask = npt.NDArray[np.bool_]

FOUND = 0.3
"""Dice with the expert from which on a lesion counts as found."""


@dataclass
class Day:
    """What a day left behind, with both servers still running."""

    demo: Demo
    studies: Sequence[Study]
    lesson: Lesson | None

    def ours(self, study: Study) -> bytes:
        """The one SEG of a study that came from Glioloop, as the PACS has it."""
        orthanc = self.demo.orthanc
        found = [i for i in orthanc.find(study.study_uid, "SEG") if orthanc.sender(i) == "GLIOLOOP"]
        assert len(found) == 1
        return orthanc.file(found[0])


@contextmanager
def played(folder: Path, studies: list[Study], truth: Path | None = None) -> Iterator[Day]:
    """Start both servers, play, and hand over. The gate stands open (open_gate_service.py)."""
    command = (sys.executable, str(Path(__file__).with_name("open_gate_service.py")))
    service = Service(folder / "service", free_port(), command=command)
    orthanc = Orthanc(
        folder / "orthanc", service.port, service.web_port, dicom_port=service.pacs_port
    )
    with orthanc, service:
        demo = Demo(orthanc, service, Stages(Console(file=io.StringIO())), folder)
        yield Day(demo, studies, play(demo, studies, truth))


def on_grid(encoded: bytes, study: Study) -> tuple[Masks, Geometry]:
    """Masks of a SEG on the series that it says it lies on."""
    facts = read_facts(encoded)
    grid = to_volume(study.series(facts.referenced_series[0])).geometry
    return read_seg(encoded, grid).masks, grid


def is_in_place(ours: Masks, known: Masks, grid: Geometry) -> bool:
    """Whether the enhancing lesion lies on the expert's slices, and within 10 mm there.

    Asked of those parts of our outline that touch the expert's, and only where these find it
    (`FOUND`): how much is found, or too much, is a matter of the model; where it lies is one of the
    loop. So no slice up or down may fit better, and middles are compared on slices that both have.
    Where it is not found, a mirror image must not find it either.
    """
    expert = known[Tissue.ENHANCING]
    found = _touching(ours[Tissue.ENHANCING], expert)
    if dice(found, expert) < FOUND:
        mirrored = (np.flip(ours[Tissue.ENHANCING], axis) for axis in range(3))
        return all(dice(_touching(other, expert), expert) < FOUND for other in mirrored)
    fits = {n: np.count_nonzero(np.roll(found, n, axis=0) & expert) for n in (-2, -1, 0, 1, 2)}
    both = found.any(axis=(1, 2)) & expert.any(axis=(1, 2))
    shown = both[:, None, None]
    apart = centre_of_mass(found & shown, grid) - centre_of_mass(expert & shown, grid)
    across = grid.affine[:3, 0] / grid.spacing[0]
    in_plane = float(np.linalg.norm(apart - (apart @ across) * across))
    return max(fits, key=lambda n: fits[n]) == 0 and in_plane <= 10.0


def _touching(outline: Mask, expert: Mask) -> Mask:
    """Those parts of an outline that touch the expert's."""
    parts, _ = ndimage.label(outline)
    return np.isin(parts, np.setdiff1d(parts[expert], [0]))


def complaints(encoded: bytes, folder: Path, kind: str = "Segmentation") -> str:
    """Errors that dciodvfy finds in an object that it takes for one of a kind."""
    path = folder / "checked.dcm"
    path.write_bytes(encoded)
    said = subprocess.run(
        [program("dciodvfy"), str(path)], capture_output=True, text=True, check=False
    )
    assert kind in said.stderr
    return "\n".join(line for line in said.stderr.splitlines() if line.startswith("Error"))
