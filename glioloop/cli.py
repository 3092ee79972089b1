"""The command line: parse, open, run. One clear sentence and exit code 2 for a wrong input."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence

import typer

from glioloop.failures import hush_libraries
from glioloop.terminal import err
from study.errors import GlioloopError, OutageError, RefusedError

WRONG_INPUT, FAILED = 2, 1
"""Exit codes: the input is wrong; Glioloop failed."""

OURS = ("cli_work", "cli_identify", "cli_jobs", "cli_corrections", "cli_models")
FURTHER = (
    "demo",
    "cli_phantom",
    "cli_prior",
    "training",
    "evaluation",
    "cli_evidence",
    "cli_bench",
)
"""Modules that add commands, each by a function ``register(app)``. The further ones bring the
network's libraries along, and are imported only for their own commands and for the help."""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application with the commands that the arguments need."""
    app = typer.Typer(
        name="glioloop",
        help="Outlines glioma on brain MR for a PACS, and learns each patient's corrections.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for name in OURS:
        importlib.import_module(f"glioloop.{name}").register(app)
    ours = {
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    }
    ours |= {group.name for group in app.registered_groups}
    if not arguments or arguments[0] not in ours:
        for name in FURTHER:
            if importlib.util.find_spec(f"glioloop.{name}") is not None:
                importlib.import_module(f"glioloop.{name}").register(app)
    return app


def main() -> None:
    """Entry point of ``glioloop`` and ``python -m glioloop``."""
    hush_libraries()
    try:
        build(sys.argv[1:])()
    except (GlioloopError, OutageError) as error:
        err.print(f"glioloop: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(WRONG_INPUT if isinstance(error, RefusedError) else FAILED)
