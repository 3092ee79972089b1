"""``glioloop jobs watch``: studies in work, with bars, until nothing is left to do."""

from __future__ import annotations

import time

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from glioloop import study_view
from glioloop.ledger_schema import StudyState
from glioloop.site import Site
from glioloop.terminal import ConfigOption, look_at, out

AGAIN_S = 1.0
"""Between two looks."""


def register(parent: typer.Typer) -> None:
    """Add the command."""
    parent.command("watch")(watch_jobs)


def watch_jobs(config: ConfigOption = None) -> None:
    """Show how far the studies in work are; ends when there is none left, or with Ctrl-C."""
    watch(look_at(config), AGAIN_S)


def watch(site: Site, pause_s: float) -> None:
    """Draw a bar for each study in work, until there is none.

    Parameters
    ----------
    site
        Where.
    pause_s
        Between two looks.
    """
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}")
    with Progress(*columns, console=out) as bars:
        shown: dict[str, TaskID] = {}
        while queue := study_view.queue(site, time.time()):
            for line in queue:
                uid = line["study_uid"]
                if uid not in shown:
                    shown[uid] = bars.add_task(uid, total=1.0, left="")
                running = line["state"] == StudyState.SEGMENTING
                bars.update(
                    shown[uid],
                    completed=line["progress"] if running else 0.0,
                    left=f"{line['state']}, {_left(line['seconds_left'])}",
                )
            for uid in set(shown) - {line["study_uid"] for line in queue}:
                _end(bars, shown.pop(uid), site.ledger.study(uid).state)
            time.sleep(pause_s)
        for uid, bar in shown.items():
            _end(bars, bar, site.ledger.study(uid).state)


def _end(bars: Progress, bar: TaskID, state: str) -> None:
    """Show what became of a study that is no longer in work."""
    bars.update(bar, completed=1.0, left=state)


def _left(seconds: float | None) -> str:
    """About how long it still takes."""
    if seconds is None:
        return "nobody knows for how long"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left"
