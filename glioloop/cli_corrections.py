"""``glioloop corrections``: SEGs that arrived, and what a person decides about held ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from glioloop import decisions, overview
from glioloop.name_values import pairs
from glioloop.terminal import ConfigOption, JsonOption, look_at, out, show, show_json

SegArgument = Annotated[
    str, typer.Argument(metavar="SEG", help="SOP Instance UID of the SEG that arrived.")
]

app = typer.Typer(help="Corrections: list, show, accept, reject, withdraw.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="corrections")


@app.command("list")
def list_corrections(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every SEG that arrived, and what became of it."""
    rows = overview.corrections(look_at(config))
    if not as_json:
        shown = ("sop_instance_uid", "state", "reason", "result_id", "head", "received_at")
        rows = [{k: row[k] for k in shown} for row in rows]
    show(rows, as_json=as_json, title="corrections")


@app.command("show")
def show_correction(seg: SegArgument, config: ConfigOption = None) -> None:
    """Show all that is known of one."""
    show_json(asdict(look_at(config).ledger.correction(seg)))


@app.command("accept")
def accept_correction(
    seg: SegArgument,
    given: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="LABEL=TISSUE", help="What a segment is, or none."),
    ] = None,
    result: Annotated[
        str | None, typer.Option("--result", help="Id of the result that it corrects.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say that a held SEG is a correction; it is learnt from."""
    site = look_at(config)
    started = decisions.accept(site, seg, pairs(given or ()), result)
    out.print(f"started {started}", highlight=False)


@app.command("reject")
def reject_correction(seg: SegArgument, config: ConfigOption = None) -> None:
    """Say that a held SEG is no correction."""
    decisions.reject(look_at(config), seg)
    out.print(f"rejected {seg}", highlight=False)


@app.command("withdraw")
def withdraw_correction(seg: SegArgument, config: ConfigOption = None) -> None:
    """Say that a correction was wrong: what it taught is taken back."""
    done = decisions.withdraw(look_at(config), seg)
    out.print(f"withdrew {seg}; {done}", highlight=False)
