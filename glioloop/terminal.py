"""What the command line prints with, and the options that its commands share."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from glioloop import settings as configuration
from glioloop.audit_trail import act_as
from glioloop.site import Site, open_site

out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML settings file.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def account() -> str:
    """Who runs this, for the audit."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def look_at(config: Path | None) -> Site:
    """The site of the settings, for looking and for a person's decisions.

    Raises
    ------
    RefusedError
        If Glioloop never ran there.
    """
    act_as(account())
    return open_site(configuration.load(config), create=False)


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str = "") -> None:
    """Print a table, or JSON."""
    if as_json:
        show_json(rows)
        return
    if not rows:
        out.print(f"no {title}" if title else "nothing")
        return
    table = Table(title=title or None)
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table)


def show_json(value: Any) -> None:
    """Print JSON, nothing else, unwrapped."""
    out.file.write(json.dumps(value, indent=2, default=str) + "\n")
