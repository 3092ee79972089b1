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
    """Whether the enhancing lesion's centre is within a slice and 10 mm of the expert's.

    Asked of those parts of our outline that touch the expert's, and only where these find it
    (`FOUND`): how much is found is a matter of the model, where it lies is one of the loop.
    """
    expert = known[Tissue.ENHANCING]
    parts, _ = ndimage.label(ours[Tissue.ENHANCING])
    found = np.isin(parts, np.setdiff1d(parts[expert], [0]))
    if dice(found, expert) < FOUND:
        return True
    apart = centre_of_mass(found, grid) - centre_of_mass(expert, grid)
    across = grid.affine[:3, 0] / grid.spacing[0]
    off_slice = abs(float(apart @ across))
    in_plane = float(np.linalg.norm(apart - (apart @ across) * across))
    return off_slice <= grid.spacing[0] and in_plane <= 10.0


def complaints(encoded: bytes, folder: Path, kind: str = "Segmentation") -> str:
    """Errors that dciodvfy finds in an object that it takes for one of a kind."""
    path = folder / "checked.dcm"
    path.write_bytes(encoded)
    said = subprocess.run(
        [program("dciodvfy"), str(path)], capture_output=True, text=True, check=False
    )
    assert kind in said.stderr
    return "\n".join(line for line in said.stderr.splitlines() if line.startswith("Error"))
