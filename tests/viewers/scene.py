"""A phantom patient's study, the result that was made of it, and the grids viewers draw on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydicom import Dataset, dcmread

from dicomseg.facts import read_facts
from dicomseg.identity import ResultIdentity
from dicomseg.read import Original
from dicomseg.write import write_seg
from engine.phantom import phantom_head
from glioloop.phantom import Examination, write_study
from glioloop.phantom_headers import PROTOCOLS, petra
from study.tissue import Role
from study.volume import Volume

RESULT_GRID = "the result's"
GRIDS = {"coarser": 2.0, "finer": 0.5, RESULT_GRID: 1.0}
"""Series that a viewer may draw on, and how many times the result's pixels theirs are wide."""
SHAPE, SPACING = (24, 128, 104), (6.0, 1.8, 1.8)
MADE = dt.datetime(2026, 1, 15, 8, 30)  # noqa: DTZ001
SEED = 3


@dataclass(frozen=True)
class Scene:
    """What a viewer loads."""

    series: Mapping[str, tuple[Path, ...]]
    """Files of each of `GRIDS`, from the lowest slice to the highest."""
    result: Path
    """Our SEG."""
    labels: Volume
    """What it holds."""

    @cached_property
    def original(self) -> Original:
        """The result, as the reader wants it."""
        return Original(self.labels.array, read_facts(self.result).segments)

    def headers(self, grid: str = RESULT_GRID) -> list[Dataset]:
        """Headers of a series."""
        return [dcmread(path, stop_before_pixels=True) for path in self.series[grid]]


def phantom_scene(folder: Path) -> Scene:
    """Scan a phantom head on all grids, and write its outline as a result."""
    t1gd = next(p for p in PROTOCOLS if p.contrast == Role.T1GD)
    protocols = tuple(
        replace(
            t1gd,
            description=f"{t1gd.description} {name}",
            shape=(SHAPE[0], round(SHAPE[1] / wide), round(SHAPE[2] / wide)),
            spacing=(SPACING[0], SPACING[1] * wide, SPACING[2] * wide),
        )
        for name, wide in GRIDS.items()
    )
    examination = Examination(petra(SEED), protocols=protocols)
    study = write_study(folder, phantom_head(SEED), SEED, 1, MADE, examination=examination)
    series = {
        name: tuple(path for path in study.files if path.parent.name == f"series-{place}")
        for place, name in enumerate(GRIDS, start=1)
    }
    result = folder / "result.dcm"
    # The truth of a phantom study is that of its last T1gd.
    scene = Scene(series, result, study.truth)
    identity = ResultIdentity("5eed00112233445566778899aabbccdd", "glioloop-base", "0.2.0", MADE)
    result.write_bytes(write_seg(scene.labels, scene.headers(), identity))
    return scene
