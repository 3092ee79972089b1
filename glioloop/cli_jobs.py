"""``glioloop jobs``: what runs, what is held, and what a person does about it."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from glioloop import cli_watch, overview
from glioloop.board import Board
from glioloop.name_values import pairs
from glioloop.terminal import ConfigOption, JsonOption, look_at, out, show, show_json
from glioloop.watch import pardon
from study.errors import RefusedError

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, or of a study.")]

app = typer.Typer(help="Jobs: list, show, watch, retry, cancel.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    cli_watch.register(app)
    parent.add_typer(app, name="jobs")


@app.command("list")
def list_jobs(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the newest jobs; a held study stands here with its reason."""
    rows = overview.jobs(look_at(config))
    if not as_json:
        rows = [{k: row[k] for k in ("id", "state", "note", "error", "updated")} for row in rows]
    show(rows, as_json=as_json, title="jobs")


@app.command("show")
def show_job(job: JobArgument, config: ConfigOption = None) -> None:
    """Show one job with the steps that it finished."""
    with closing(Board(look_at(config).settings.database)) as board:
        found, steps = board.show(job)
    show_json({**overview.job_row(found), "steps": steps})


@app.command("retry")
def retry_job(
    job: JobArgument,
    given: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="ROLE=UID", help="Take this series for FLAIR, T1GD or T2."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run a job once more: a study is segmented anew, a delivery or adaptation tried again."""
    site = look_at(config)
    kind, _, rest = job.partition(":")
    if kind == "infer" or not rest:
        study_uid = rest.split(":")[0] if rest else kind
        started = overview.request_study(site, study_uid, pairs(given or ()))
        out.print(f"started {started}", highlight=False)
        return
    if given:
        raise RefusedError("--as is for studies; this job is none of a study's segmentation")
    pardon(site.settings.data, job)
    with closing(Board(site.settings.database)) as board:
        board.retry(job)
    out.print(f"started {job} again", highlight=False)


@app.command("cancel")
def cancel_job(job: JobArgument, config: ConfigOption = None) -> None:
    """End a job: what it is doing is finished, nothing more is begun."""
    overview.cancel(look_at(config), job)
    out.print(f"cancelled {job}", highlight=False)
