"""What ``glioloop phantom`` was asked for, and the doing of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from glioloop.phantom import write_patient
from glioloop.phantom_patients import Order, Written, heads_of, write_patients
from glioloop.phantom_pictures import write_sheets
from study.errors import RefusedError


@dataclass(frozen=True)
class Asked:
    """The options of the command; None where nothing was said.

    Raises
    ------
    RefusedError
        If options do not go together, or name a folder that is not there.
    """

    out: Path
    seed: int
    anatomy: Path | None = None
    patients: int | None = None
    dates: int | None = None
    surgery: bool | None = None
    scanner_change: bool | None = None
    form: str | None = None
    pictures: int | None = None
    beside: tuple[Path, ...] = ()
    spacing_mm: float | None = None

    def __post_init__(self) -> None:
        for folder in (self.anatomy, *self.beside):
            if folder is not None and not folder.is_dir():
                raise RefusedError(f"there is no folder {folder}")
        if self.beside and self.pictures is None:
            raise RefusedError("--beside goes with --pictures")
        if self.spacing_mm is not None and not (self.of_patients or self.pictures is not None):
            raise RefusedError("--spacing goes with --patients or --pictures")

    @property
    def of_patients(self) -> bool:
        """Whether whole generated patients are wanted."""
        said = (self.patients, self.dates, self.surgery, self.scanner_change, self.form)
        alone = self.anatomy is not None and self.pictures is None
        return alone or any(value is not None for value in said)

    @property
    def order(self) -> Order:
        """The patients that are wanted, with what was not said filled in."""
        said = {
            "patients": self.patients,
            "dates": self.dates,
            "form": self.form,
            "spacing_mm": self.spacing_mm,
        }
        known = {name: value for name, value in said.items() if value is not None}
        order = Order(surgery=self.surgery, scanner_change=self.scanner_change, seed=self.seed)
        return replace(order, **known)  # type: ignore[arg-type]


def carry_out(asked: Asked, console: Console, *, as_json: bool) -> None:
    """Write what was asked for and say what was written."""
    answers = []
    for answer in _written(asked):
        answers.append(answer)
        if not as_json:
            console.print(answer["said"], markup=False, highlight=False, soft_wrap=True)
    if as_json:
        console.file.write(json.dumps(answers, indent=2) + "\n")


def _written(asked: Asked) -> Iterator[dict[str, Any]]:
    """Do it, piece by piece."""
    order = asked.order
    heads = heads_of(asked.anatomy)
    if asked.pictures is not None:
        spacing = asked.spacing_mm or 1.0
        for path in write_sheets(
            asked.out, heads, asked.pictures, asked.seed, asked.beside, spacing
        ):
            yield {"said": f"picture {path}", "picture": str(path)}
    if asked.of_patients:
        for written in write_patients(asked.out, order, heads):
            yield _answer(written)
    if asked.pictures is None and not asked.of_patients:
        for study in write_patient(asked.out, asked.seed):
            yield {
                "said": f"{len(study.files)} images of study {study.study_uid}",
                "study": study.study_uid,
                "files": len(study.files),
            }
        yield {"said": f"in {asked.out}", "folder": str(asked.out)}


def _answer(written: Written) -> dict[str, Any]:
    """Say what a date holds."""
    volumes = {tissue.name.lower(): round(ml, 1) for tissue, ml in written.volumes_ml.items()}
    told = ", ".join(f"{name} {ml} mL" for name, ml in volumes.items())
    return {
        "said": f"{written.patient_id} {written.date} ({written.scanner}): {told};"
        f" {written.files} files in {written.folder}",
        "patient": written.patient_id,
        "date": written.date.isoformat(),
        "scanner": written.scanner,
        "volumes_ml": volumes,
        "files": written.files,
        "folder": str(written.folder),
    }
