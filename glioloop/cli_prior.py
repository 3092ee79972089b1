"""``glioloop prior``: what generated cases say about a model, written beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from engine.anatomy import split
from engine.labelmaps import read_all
from engine.prior import PRIOR_FILE, Prior
from engine.prior_measuring import HEADS, measure_prior
from engine.weights import load, shipped
from glioloop.terminal import out, show_json


def register(app: typer.Typer) -> None:
    """Add ``glioloop prior`` to the command line."""
    app.command("prior")(_prior_command)


def _prior_command(
    anatomy: Annotated[Path, typer.Option(help="Folder of head label maps (*.nii.gz, 1 mm).")],
    model: Annotated[
        Path | None, typer.Option(help="Folder of a tumour model; the shipped one if not given.")
    ] = None,
    heads: Annotated[int, typer.Option(min=1, help="Heads to generate.")] = HEADS,
    seed: Annotated[int, typer.Option(help="Of the heads.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how far each number of a patient's head may move, and keep cases to replay."""
    said = write_prior(model or shipped("base"), anatomy, heads, seed)
    if as_json:
        show_json(said)
    else:
        out.print(said)


def write_prior(folder: Path, anatomy: Path, heads: int = HEADS, seed: int = 1) -> dict[str, Any]:
    """Measure the prior of a model, and write it beside its weights; what it says of itself.

    Parameters
    ----------
    folder
        Of a multi-class tumour model.
    anatomy
        Folder of head label maps; those that are held out in training are left out here too.
    heads, seed
        As for `engine.prior_measuring.measure_prior`.
    """
    maps = split(read_all(anatomy))[0]
    with Progress(console=Console(stderr=True)) as bar:
        line = bar.add_task("generating heads", total=heads)
        prior = measure_prior(
            folder, maps, heads, seed, lambda done, of: bar.update(line, completed=done, total=of)
        )
    path = prior.save(folder)
    return {"prior": str(path), "bytes": path.stat().st_size, **_facts(folder, prior)}


def drop_prior(folder: Path) -> None:
    """Remove the prior of a model that was replaced: it belongs to the other weights."""
    (folder / PRIOR_FILE).unlink(missing_ok=True)


def _facts(folder: Path, prior: Prior) -> dict[str, Any]:
    """How it was made, and what the base head reaches on the cases that are replayed."""
    dice = {name: round(value, 3) for name, value in prior.dice_of(load(folder).head).items()}
    return {**prior.record, "voxels": len(prior.replay.target), "dice_base": dice}
