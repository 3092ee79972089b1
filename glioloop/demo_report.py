"""What the demo shows: stages as they go on, and at the end what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from study.tissue import TUMOUR_TISSUES, Tissue

Tell = Callable[[float], None]


@dataclass(frozen=True)
class Outcome:
    """What came of one study."""

    number: int
    study_uid: str
    head: str
    """(0066,0031) *Algorithm Version*: model and head that the SEG names."""
    volumes_ml: Mapping[Tissue, float]
    dice: Mapping[Tissue, float]
    """With what an expert outlined, for the tissues that the expert spoke of."""
    picture: Path


@dataclass(frozen=True)
class Lesson:
    """What came of the correction."""

    state: str
    reason: str
    dice_base: Mapping[str, float]
    dice_fitted: Mapping[str, float]


@dataclass
class Stages:
    """The stages of the demo: shown while they last, and how many seconds each took."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[Tell]:
        """One stage; the function that it gives takes the part, of 1, that is done."""
        began = time.monotonic()
        columns = (
            SpinnerColumn(finished_text="[green]done[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(name, total=None)

            def tell(part: float) -> None:
                progress.update(task, total=1.0, completed=min(part, 0.999))

            yield tell
            progress.update(task, total=1.0, completed=1.0)
        self.seconds[name] = time.monotonic() - began


def show(
    console: Console, outcomes: list[Outcome], lesson: Lesson | None, seconds: Mapping[str, float]
) -> None:
    """Print the tables."""
    console.print(_results(outcomes))
    if lesson is not None:
        said = lesson.reason.removeprefix(f"{lesson.state}: ")
        console.print(f"Adaptation, {lesson.state}: {said}", markup=False)
    if lesson is not None and lesson.dice_base:
        console.print(_adaptation(lesson))
    table = Table("stage", "seconds", title="Time")
    for name, duration in seconds.items():
        table.add_row(name, f"{duration:.1f}")
    console.print(table)
    for outcome in outcomes:
        console.print(f"picture of study {outcome.number}: {outcome.picture}")


def _results(outcomes: list[Outcome]) -> Table:
    """Volumes, and Dice where an expert's outline is known."""
    table = Table("study", "model", title="Segmentations in the PACS (mL; Dice with the expert)")
    for tissue in TUMOUR_TISSUES:
        table.add_column(tissue.name.lower(), justify="right")
    for outcome in outcomes:
        cells = []
        for tissue in TUMOUR_TISSUES:
            known = outcome.dice.get(tissue)
            dice = "" if known is None else f"  ({known:.2f})"
            cells.append(f"{outcome.volumes_ml[tissue]:.1f}{dice}")
        table.add_row(str(outcome.number), outcome.head, *cells)
    return table


def _adaptation(lesson: Lesson) -> Table:
    """Dice with the correction before and after, where the fit did not look."""
    table = Table(
        "tissue or region", title="Dice with the correction, where it was not learnt from"
    )
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for name, before in lesson.dice_base.items():
        after = lesson.dice_fitted.get(name)
        table.add_row(name, f"{before:.3f}", "" if after is None else f"{after:.3f}")
    return table
