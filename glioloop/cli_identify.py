"""``glioloop identify``: which series is what, and why; of images, or of an archive's list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from converter import rules as rule_sets
from converter.accuracy import Accuracy, measure
from converter.evidence import Evidence
from converter.roles import Decision
from converter.rules import Rules
from converter.table import identify_table, read_table
from glioloop import settings as configuration
from glioloop.folders import identify_studies
from glioloop.terminal import ConfigOption, JsonOption, out, show_json
from study.errors import RefusedError
from study.tissue import Role

PathArgument = Annotated[
    Path | None, typer.Argument(help="DICOM files, or a folder of them.", show_default=False)
]
CsvOption = Annotated[
    Path | None,
    typer.Option("--csv", help="A list of series: columns are DICOM keywords.", show_default=False),
]
RulesOption = Annotated[
    Path | None,
    typer.Option("--rules", help="A site's rules, over the shipped ones.", show_default=False),
]
TruthOption = Annotated[
    str | None,
    typer.Option("--truth", help="Column of the list with the right class.", show_default=False),
]

TO_DO = (
    "For this study alone: glioloop jobs retry JOB --as ROLE=<SeriesInstanceUID>. For every such"
    " series: an override in the site's rules; see docs/identification.md."
)


def register(parent: typer.Typer) -> None:
    """Add the command."""
    parent.command()(identify)


def identify(
    path: PathArgument = None,
    table: CsvOption = None,
    rules: RulesOption = None,
    truth: TruthOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which series is FLAIR, T1gd and T2, and why."""
    if (path is None) == (table is None):
        given = "both were given" if path else "neither was given"
        raise RefusedError(f"identify needs either a PATH with images or --csv FILE; {given}")
    if truth is not None and table is None:
        raise RefusedError("--truth names a column of the list, and needs --csv FILE")
    file = rules or configuration.load(config).identification.rules_file
    rule_set = rule_sets.load(file)
    if path is not None:
        _of_images(path, rule_set, as_json=as_json)
    elif table is not None:
        _of_list(table, rule_set, truth, as_json=as_json)


def _of_images(path: Path, rules: Rules, *, as_json: bool) -> None:
    """Every study below a path."""
    found = identify_studies(path, rules)
    if as_json:
        show_json({study_uid: one.as_json() for study_uid, one in found.items()})
        return
    for study_uid, one in found.items():
        _show_study(study_uid, one.evidence, one.decision)


def _of_list(path: Path, rules: Rules, truth: str | None, *, as_json: bool) -> None:
    """Every study of a list, and how right it is where the truth is known."""
    table = read_table(path)
    found = identify_table(table.series, rules)
    accuracy = None if truth is None else measure(found, table.column(truth))
    if as_json:
        show_json(found.as_json() | ({"accuracy": accuracy.as_json()} if accuracy else {}))
    elif accuracy:
        _show_accuracy(accuracy)
    else:
        for study in found.studies:
            _show_study(study.study, study.evidence, study.decision)


def _show_study(study: str, evidence: Sequence[Evidence], decision: Decision) -> None:
    """A table of one study, chosen series first, and what to do about each role that is held."""
    roles = {place: role.value for role, place in decision.chosen.items()}
    for role, among in decision.ambiguous.items():
        roles |= dict.fromkeys(among, f"{role}?")
    places = [*roles, *(place for place in range(len(evidence)) if place not in roles)]
    rows = [_row(evidence[place], roles.get(place, "")) for place in places]
    _table(f"study {study}", ("role", "series", "description", "class", "why"), rows)
    for role in Role:
        said = decision.explain_role(role, evidence)
        if said is not None:
            out.print(Text(_plain(said)), soft_wrap=True)
    if len(decision.chosen) == len(Role):
        out.print("All three sequences were found.")
        return
    out.print(Text(TO_DO), soft_wrap=True)


def _row(found: Evidence, role: str) -> tuple[str, ...]:
    """One series, for a person."""
    sequence = f"{found.sequence}?" if found.held else found.sequence
    number = "" if found.number is None else str(found.number)
    part = f" [{found.part}]" if found.part else ""
    return role, number, found.description + part, sequence, found.why()


def _show_accuracy(accuracy: Accuracy) -> None:
    """The figures, the share held beside each."""
    told = f"{accuracy.series} series: {accuracy.right:.1%} right, {accuracy.held:.1%} held"
    classes = [
        (c.name, str(c.truth), _share(c.precision), _share(c.recall), _share(c.held))
        for c in accuracy.classes
    ]
    _table(told, ("class", "series", "precision", "recall", "held"), classes)
    roles = [
        (r.name, str(r.right), str(r.held), str(r.wrong), _share(_part(r.held, accuracy.studies)))
        for r in accuracy.roles
    ]
    title = f"{accuracy.studies} studies that have all three"
    _table(title, ("role", "right", "held", "wrong", "share held"), roles)


def _part(number: int, whole: int) -> float | None:
    """A share of a number that may be 0."""
    return number / whole if whole else None


def _share(value: float | None) -> str:
    """A share as it is printed."""
    return "-" if value is None else f"{value:.4f}"


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of texts that come from outside: no markup, no control characters."""
    table = Table(title=Text(_plain(title)))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    out.print(table)


def _plain(text: str) -> str:
    """A text of which nothing steers the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
