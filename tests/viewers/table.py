"""The table of corrections: its rows, what became of each, and the page docs/corrections.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dicomseg.planes import plane_of
from dicomseg.read import CorrectedSeg, read_seg
from study.agreement import dice
from study.errors import HeldError, RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue
from viewers import dcmqi, highdicom_writer, ohif
from viewers.drawing import DRAWINGS, Labels, Order, tissue_by_tissue
from viewers.file_edits import FILE_EDITS, edited, in_one_series
from viewers.scene import Scene

CHECKOUT = Path(__file__).parents[2]
EXPECTED = CHECKOUT / "tests" / "dicomseg" / "corrections.yaml"
PAGE = CHECKOUT / "docs" / "corrections.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

EXPORTERS: Mapping[str, Callable[[Scene, Sequence[Order], Path], list[bytes]]] = {
    "dcmqi": dcmqi.export,
    "highdicom": highdicom_writer.export,
    "ohif": ohif.export,
}
LAYERED = "a file for each segment"
"""An edit whose files are read together."""


@dataclass(frozen=True)
class Row:
    """A Segmentation, and what is expected of it; see `EXPECTED`."""

    tool: str
    about: str
    encoding: str
    edit: str
    outcome: str
    reason: str = ""
    decided: Mapping[str, int | None] = field(default_factory=dict)
    exporter: str = ""
    folder: str = ""
    file: str = ""
    truth: str | Sequence[int] = ""

    @property
    def name(self) -> str:
        """For test reports."""
        parts = [self.exporter or f"{self.folder}/{self.file}", self.encoding, self.edit]
        return "; ".join([*parts, *(["decided"] if self.decided else [])])

    @property
    def overrides(self) -> dict[str, Tissue | None]:
        """A person's decisions, as the reader wants them."""
        return {
            label: None if number is None else Tissue(number)
            for label, number in self.decided.items()
        }


@dataclass(frozen=True, eq=False)
class Written:
    """Files of a row, the oldest first, and what is to be read of them."""

    files: list[bytes]
    truth: Labels


@dataclass(frozen=True)
class Seen:
    """What became of a Segmentation."""

    outcome: str
    reason: str = ""
    found: CorrectedSeg | None = None


def rows() -> list[Row]:
    """All rows, in the order of the page."""
    return [Row(**row) for section in sections() for row in _rows(section)]


def sections() -> list[dict[str, Any]]:
    """The sections of `EXPECTED`."""
    found: list[dict[str, Any]] = yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))
    return found


def _rows(section: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    shared = {key: value for key, value in section.items() if key != "rows"}
    for row in section["rows"]:
        yield {**shared, **row}


def write(rows: Sequence[Row], exporter: str, scene: Scene, folder: Path) -> list[Written]:
    """Write the files of rows that one exporter makes now.

    Parameters
    ----------
    rows
        All of that exporter.
    exporter
        Of `EXPORTERS`.
    scene
        What the viewer has loaded.
    folder
        For its files.
    """
    drawings = [DRAWINGS[row.edit if row.edit in DRAWINGS else "brush"](scene) for row in rows]
    parts = [
        tissue_by_tissue(drawing) if row.edit == LAYERED else [drawing]
        for row, drawing in zip(rows, drawings, strict=True)
    ]
    orders = [
        Order(part, row.encoding) for row, own in zip(rows, parts, strict=True) for part in own
    ]
    files = iter(EXPORTERS[exporter](scene, orders, folder))
    found = []
    for row, drawing, own in zip(rows, drawings, parts, strict=True):
        mine = [next(files) for _ in own]
        if row.edit in FILE_EDITS:
            mine = [edited(file, FILE_EDITS[row.edit]) for file in mine]
        found.append(Written(in_one_series(mine) if len(mine) > 1 else mine, drawing.truth))
    return found


def read_written(row: Row, written: Written, scene: Scene) -> list[str]:
    """Complaints about what the reader makes of files, told of the result that they correct."""
    files = written.files
    images = {str(h.SOPInstanceUID): plane_of(h) for h in scene.headers()}
    what = seen(
        lambda: read_seg(
            files[-1],
            scene.labels.geometry,
            original=scene.original,
            overrides=row.overrides,
            layers=[(file, {}) for file in files[-2::-1]],
            images=images if "images known" in row.edit else None,
        )
    )
    labels = what.found.labels(scene.labels.array) if what.found else None
    return complaints(row, what, labels, written.truth)


def seen(read: Callable[[], CorrectedSeg]) -> Seen:
    """Outcome of reading."""
    try:
        return Seen("read", found=read())
    except HeldError as error:
        return Seen("held", str(error))
    except RefusedError as error:
        return Seen("refused", str(error))


def complaints(row: Row, what: Seen, labels: Labels | None, truth: Labels | None) -> list[str]:
    """What is not as the row expects it; nothing where all is.

    Parameters
    ----------
    row, what
        What was expected, and what was seen.
    labels, truth
        Where it was read: what was read, and what was drawn.
    """
    if what.outcome != row.outcome:
        return [f"{what.outcome} instead of {row.outcome}: {what.reason}"]
    if row.outcome != "read":
        right = bool(row.reason) and row.reason in what.reason
        return [] if right else [f"{row.outcome} for another reason: {what.reason}"]
    assert labels is not None
    assert truth is not None
    agree = {tissue: dice(labels == tissue, truth == tissue) for tissue in TUMOUR_TISSUES}
    return [f"Dice of {t.name} is {d:.4f}" for t, d in agree.items() if d != 1.0]


def document() -> str:
    """The page, with the table as it is expected."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def table() -> str:
    """Tool x encoding x edit, and the outcome."""
    lines = []
    for section in sections():
        lines += [
            "",
            f"### {section['tool']}: {section['about']}",
            "",
            "| encoding | edit | outcome |",
            "|---|---|---|",
            *(_line(Row(**row)) for row in _rows(section)),
        ]
    counted = [row.outcome for row in rows()]
    total = ", ".join(f"{counted.count(o)} {o}" for o in ("read", "held", "refused"))
    return "\n".join([f"{len(counted)} files: {total}.", *lines, ""])


def _line(row: Row) -> str:
    decisions = [
        f"a person: {label} {'is left out' if n is None else f'is {Tissue(n).name.lower()}'}"
        for label, n in row.decided.items()
    ]
    edit = "; ".join([row.edit, *decisions])
    told = "read exactly" if row.outcome == "read" else f"{row.outcome}: {row.reason}"
    return f"| {row.encoding} | {edit} | {told} |"


def voxels_of(labels: Labels) -> list[int]:
    """How many voxels each tissue has."""
    return [int(np.count_nonzero(labels == tissue)) for tissue in TUMOUR_TISSUES]
