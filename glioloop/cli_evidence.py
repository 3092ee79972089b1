"""``glioloop evidence``: experiments on generated patients that show whether adaptation helps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from glioloop import durable, evidence_centre, evidence_followups, evidence_page
from glioloop.evaluation import model_folders
from glioloop.evidence_patients import Models, Order, held_out, open_folder
from glioloop.evidence_ranges import Centres, Followups
from glioloop.evidence_summary import of_centre, of_followups
from glioloop.terminal import err, out
from study.errors import RefusedError

WorkOption = Annotated[
    Path, typer.Option("--work", help="Folder that keeps what is done: it can go on there.")
]
OutOption = Annotated[Path, typer.Option("--out", help="JSON file of what came of it.")]
AnatomyOption = Annotated[
    Path | None,
    typer.Option(help="Folder of head label maps, the last four held out; else made by code."),
]
WorkersOption = Annotated[int, typer.Option(help="Processes, of one thread each.")]
ModelOption = Annotated[
    Path | None, typer.Option(help="Folder of a model, or of base and brain. [the shipped]")
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Fit and judge heads anew; patients that are made stay.")
]


def register(app: typer.Typer) -> None:
    """Add ``glioloop evidence`` to the command line."""
    group = typer.Typer(
        name="evidence", help="Experiments on generated patients: does adaptation help?"
    )
    group.command("followups")(_followups_command)
    group.command("centre")(_centre_command)
    group.command("page")(_page_command)
    app.add_typer(group)


def _followups_command(
    work: WorkOption,
    to: OutOption,
    anatomy: AnatomyOption = None,
    patients: Annotated[int, typer.Option(help="How many; fewer only to try.")] = 60,
    workers: WorkersOption = 2,
    model: ModelOption = None,
    again: AgainOption = False,
) -> None:
    """One correction at a patient's first date, judged at the later ones."""
    ranges = replace(Followups(), patients=patients)
    maps, models = held_out(anatomy, ranges.held_out), Models(*model_folders(model, None))
    record = open_folder(work, replace(ranges, patients=0).plain(), maps, models)
    if again:
        _forget(work, "patient-*.json")
    orders = [Order(number, ranges, maps) for number in range(ranges.patients)]
    tasks = [evidence_followups.Task(order, work, models) for order in orders]
    answers = evidence_followups.run(
        tasks, workers, lambda done: _tell("patients", done, len(tasks))
    )
    _write(to, record, ranges.plain(), ranges.seed, of_followups(answers, ranges))
    out.print(evidence_page.followups(_read(to)), markup=False, highlight=False, soft_wrap=True)


def _centre_command(
    work: WorkOption,
    to: OutOption,
    anatomy: AnatomyOption = None,
    corrections: Annotated[int, typer.Option(help="Most corrections; fewer only to try.")] = 70,
    judged: Annotated[int, typer.Option(help="Cases that are judged; fewer only to try.")] = 24,
    workers: WorkersOption = 2,
    model: ModelOption = None,
    again: AgainOption = False,
) -> None:
    """Corrections of one centre against as many of others, judged on the centre's other cases."""
    asked = Centres()
    counts = tuple(count for count in asked.corrections if count <= corrections)
    centres = replace(asked, corrections=counts, held_out_cases=judged)
    maps, models = held_out(anatomy, centres.patients.held_out), Models(*model_folders(model, None))
    same = replace(centres, corrections=(), held_out_cases=0)
    record = open_folder(work, same.plain(), maps, models)
    if again:
        _forget(work, "curve-*.json")
    cases = evidence_centre.cases_of(centres, maps, work, models)
    answers = evidence_centre.run(centres, cases, workers, _tell)
    _write(to, record, centres.plain(), centres.patients.seed, of_centre(answers, centres))
    out.print(evidence_page.centre(_read(to)), markup=False, highlight=False, soft_wrap=True)


def _page_command(
    page: Annotated[Path, typer.Argument(help="The page, with marks for its tables.")],
    followups: Annotated[Path | None, typer.Option(help="JSON of evidence followups.")] = None,
    centre: Annotated[Path | None, typer.Option(help="JSON of evidence centre.")] = None,
    patients: Annotated[
        Path | None, typer.Option(help="JSON of evaluate --adaptation --json.")
    ] = None,
) -> None:
    """Write the tables and the figure of a page anew."""
    given = {"followups": followups, "centre": centre, "patients": patients}
    found = {name: _read(path) if path and path.is_file() else None for name, path in given.items()}
    if not page.is_file():
        raise RefusedError(f"there is no page {page}")
    text = evidence_page.document(page.read_text(encoding="utf-8"), found)
    durable.write(page, text.encode())
    if found["followups"] or found["centre"]:  # what the figure is about
        evidence_page.draw(page.with_name(evidence_page.FIGURE), found)


def _forget(folder: Path, pattern: str) -> None:
    """Remove answers, so that they are found anew."""
    for path in folder.glob(pattern):
        path.unlink()


def _tell(what: str, done: int, count: int) -> None:
    """Say how far it is."""
    err.print(f"{what}: {done} of {count}", highlight=False)


def _write(
    to: Path,
    record: Mapping[str, Any],
    ranges: Mapping[str, Any],
    seed: int,
    summary: Mapping[str, Any],
) -> None:
    """Write what came of an experiment, with what it was made of."""
    answer = {"record": {**record, "ranges": ranges, "seed": seed}, "summary": summary}
    durable.write(to, (json.dumps(answer, indent=1) + "\n").encode())


def _read(path: Path) -> dict[str, Any]:
    """A file of an experiment.

    Raises
    ------
    RefusedError
        If it is no JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RefusedError(f"{path} is no JSON of an experiment: {error}") from error
    return found
