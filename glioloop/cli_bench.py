"""``glioloop bench``: how fast it is on this machine, beside what others offer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glioloop import bench
from glioloop.terminal import JsonOption, out, show_json


def register(app: typer.Typer) -> None:
    """Add ``glioloop bench`` to the command line."""
    app.command("bench")(_bench_command)


def _bench_command(
    groups: Annotated[
        list[str] | None,
        typer.Argument(metavar="[GROUP]...", help=f"What: {', '.join(bench.GROUPS)}; else all."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Times that each is run; the best counts.")] = 3,
    grid: Annotated[
        str | None,
        typer.Option(help="Columns x rows x slices, as 240x240x155.", show_default=False),
    ] = None,
    patients: Annotated[
        int, typer.Option(help="Patients in the store of models that is measured.")
    ] = bench.Options.patients,
    page: Annotated[
        Path | None,
        typer.Option(help="Document to write one group's table into.", show_default=False),
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="Folder of cases with a known answer, for modes.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure ours and others' side by side, in one run.

    Seconds are wall clock; a ratio below 1 says that ours took less.
    """
    options = bench.Options(
        repeats, bench.grid_of(grid) if grid else None, patients, tuple(data or ())
    )
    found = {}
    for measurement, figures in bench.run(groups or (), options):
        if not as_json:
            out.print(measurement.title, highlight=False)
        for name, value in figures.items():
            found[f"{measurement.name}.{name}"] = value
            if not as_json:
                out.print(f"  {measurement.name}.{name}  {value}", highlight=False)
    if as_json:
        show_json(found)
    if page is not None:
        group = ",".join(groups or ())
        bench.write_page(
            page, found, f"<!-- bench {group}: begin -->", f"<!-- bench {group}: end -->"
        )
