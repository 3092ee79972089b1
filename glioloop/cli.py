"""The command line: parse, open, run. One clear sentence and exit code 2 for a wrong input."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings

import typer

from glioloop.terminal import err
from study.errors import FailedError, GlioloopError

WRONG_INPUT, FAILED = 2, 1
"""Exit codes: the input is wrong; Glioloop failed."""

COMMANDS = (
    "glioloop.cli_work",
    "glioloop.cli_jobs",
    "glioloop.cli_corrections",
    "glioloop.cli_models",
    "glioloop.demo",
    "glioloop.phantom",
    "glioloop.training",
)
"""Modules that add commands, each by a function ``register(app)``."""


def build() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(
        name="glioloop",
        help="Outlines glioma on brain MR for a PACS, and learns each patient's corrections.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for name in COMMANDS:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name).register(app)
    return app


def main() -> None:
    """Entry point of ``glioloop`` and ``python -m glioloop``."""
    # Libraries warn about odd headers and quote them; a terminal and a log are no place for that.
    warnings.filterwarnings("ignore", module="pydicom")
    try:
        build()()
    except GlioloopError as error:
        err.print(f"glioloop: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(FAILED if isinstance(error, FailedError) else WRONG_INPUT)
