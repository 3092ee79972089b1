"""``glioloop phantom``: patients that nobody is, and pictures of generated heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from glioloop import phantom_orders


def register(app: typer.Typer) -> None:
    """Add ``glioloop phantom`` to the command line."""
    app.command("phantom")(_phantom_command)


def _phantom_command(
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    seed: Annotated[int, typer.Option(help="Which patient: another for each number.")] = 1,
    anatomy: Annotated[
        Path | None, typer.Option(help="Folder of head label maps; else heads are made by code.")
    ] = None,
    patients: Annotated[int | None, typer.Option(help="Whole patients, with dates.")] = None,
    dates: Annotated[int | None, typer.Option(help="Dates of each patient; 2 if unsaid.")] = None,
    surgery: Annotated[
        bool | None,
        typer.Option("--surgery/--no-surgery", help="Tumour is taken out between two dates."),
    ] = None,
    scanner_change: Annotated[
        bool | None,
        typer.Option("--scanner-change/--no-scanner-change", help="Another scanner later on."),
    ] = None,
    form: Annotated[str | None, typer.Option("--format", help="dicom or nifti.")] = None,
    pictures: Annotated[
        int | None, typer.Option(help="Contact sheets of so many generated heads.")
    ] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="With --pictures: real cases to draw beside them.")
    ] = None,
    spacing: Annotated[float | None, typer.Option(help="Voxels of generated heads, mm.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write phantom patients, and pictures of generated heads.

    With --out and --seed alone: the two DICOM studies of the demo's patient.
    """
    asked = phantom_orders.Asked(
        out,
        seed,
        anatomy,
        patients,
        dates,
        surgery,
        scanner_change,
        form,
        pictures,
        tuple(beside or ()),
        spacing,
    )
    phantom_orders.carry_out(asked, Console(), as_json=as_json)
