"""What ``glioloop bench`` measures: ours beside others', in one run on one machine.

A group is a module with a function ``measurements(options)``; each measurement gives figures under
its name, as ``seg_encoding.ours_s``. Groups are imported only when they are asked for.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from study.errors import RefusedError

GROUPS: Mapping[str, str] = {
    "seg": "glioloop.bench_seg",
    "models": "glioloop.bench_models",
    "ingest": "glioloop.bench_ingest",
    "inference": "glioloop.bench_inference",
    "modes": "glioloop.bench_modes",
    "pipeline": "glioloop.bench_pipeline",
    "registration": "glioloop.bench_registration",
}
"""Name of each group, and its module."""

Figures = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Options:
    """How it is measured.

    Parameters
    ----------
    repeats
        How often each is run, in turn; the quickest run counts.
    grid
        (columns, rows, slices) to be measured on instead of a measurement's own.
    patients
        How many have a model in the store that is measured.
    data
        Folders of cases with a known answer; without any, modes are measured only where they are
        asked for.
    """

    repeats: int = 3
    grid: tuple[int, int, int] | None = None
    patients: int = 1_000_000
    data: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise RefusedError(f"--repeats is {self.repeats}; at least 1 is needed")
        if self.patients < 1:
            raise RefusedError(f"--patients is {self.patients}; at least 1 is needed")


@dataclass(frozen=True)
class Measurement:
    """One comparison."""

    name: str
    title: str
    run: Callable[[], Figures]


def run(groups: Sequence[str], options: Options) -> Iterator[tuple[Measurement, Figures]]:
    """Measure, one after the other.

    Parameters
    ----------
    groups
        Names of `GROUPS`; all where none is named.

    Raises
    ------
    RefusedError
        If there is no such group.
    FailedError
        If what ours is compared with is missing, or fails.
    """
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise RefusedError(f"nothing is measured under {unknown}; there is {', '.join(GROUPS)}")
    for group in groups or [name for name in GROUPS if name != "modes" or options.data]:
        found: Iterable[Measurement] = importlib.import_module(GROUPS[group]).measurements(options)
        for measurement in found:
            yield measurement, measurement.run()


def write_page(page: Path, figures: Figures, begin: str, end: str) -> None:
    """Put figures into a page as a table, over what stands between two marks.

    Parameters
    ----------
    page
        A document.
    figures
        What was measured.
    begin, end
        The marks, such as ``<!-- bench ingest: begin -->``.

    Raises
    ------
    RefusedError
        If the page has no such marks.
    """
    text = page.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise RefusedError(f"{page} has no place for the figures: {begin} and {end}")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    rows = [f"| `{name}` | {value} |" for name, value in figures.items()]
    table = "\n".join(["| figure | value |", "|---|---|", *rows])
    page.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


class Taken(NamedTuple):
    """What the quickest run took, in seconds: what else a machine does can only add to that."""

    wall: float
    cpu: float
    """Of all processors together; it tells more than the wall clock where others work too."""


def in_turn(repeats: int, **runs: Callable[[], object]) -> dict[str, Taken]:
    """What each function takes, run in turn so that a busy moment meets all of them."""
    seen: dict[str, list[Taken]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, function in runs.items():
            wall, cpu = time.perf_counter(), _cpu_seconds()
            function()
            seen[name].append(Taken(time.perf_counter() - wall, _cpu_seconds() - cpu))
    return {
        name: Taken(min(t.wall for t in taken), min(t.cpu for t in taken))
        for name, taken in seen.items()
    }


def _cpu_seconds() -> float:
    """Processor time of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def grid_of(text: str) -> tuple[int, int, int]:
    """(columns, rows, slices) of ``240x240x155``.

    Raises
    ------
    RefusedError
        If it is not three positive numbers.
    """
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise RefusedError(f"--grid is {text!r}; columns, rows and slices are needed: 240x240x155")
    columns, rows, slices = map(int, parts)
    return columns, rows, slices
