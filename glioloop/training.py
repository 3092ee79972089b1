"""``glioloop train``: making models from head label maps, and scoring them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from engine.anatomy import load_pack, pack, split
from engine.crops import Example
from engine.examples import Producer, Recipe
from engine.network import Network, NetworkConfig
from engine.normalise import DROPPED, HEAD_NORMALISATION, NORMALISATION, OUTSIDE
from engine.train import Plan, Trainer, pick_device, train
from engine.validation import validate_brain, validate_tumour
from engine.weights import Manifest, load_network, save, shipped
from study.errors import RefusedError

PLANS = {
    "tumour": (Plan(), Recipe()),
    "brain": (
        Plan("brain", 300, 2, 64, 3e-3, 30, 64, (1.0, 1.0, 1.0), "whole", outside=0.0),
        Recipe("brain", (56, 72, 56), (3.1, 3.6), fine_share=0.0),
    ),
}
"""Plan and recipe of each task; the shipped models were made with them."""
_LABELS = {
    "tumour": ("background", "necrosis", "edema", "enhancing"),
    "brain": ("outside", "brain", "tumour"),
}
_SPACING_MM = {"tumour": 2.0, "brain": 3.3}


InstallOption = Annotated[
    bool, typer.Option("--install", help="Replace the shipped model with this one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def train_model(
    anatomy: Path,
    out: Path,
    task: str,
    *,
    minutes: float,
    steps: int | None,
    filters: tuple[int, ...],
    seed: int,
    start: Path | None,
    report: Callable[[dict[str, float]], None],
) -> Path:
    """Train for a slice of time, and write the model as it then stands.

    Parameters
    ----------
    anatomy
        Folder of head label maps (``*.nii.gz``), 1 mm.
    out
        Folder of the training: packed heads, state, model. Where it holds a state, that is resumed.
    task
        ``"tumour"`` or ``"brain"``.
    minutes
        Longest time of this slice.
    steps
        Steps of the whole schedule; None for the task's own.
    filters
        Of the network, level by level.
    seed
        Of weights and samples.
    start
        Model whose weights a new training begins from.
    report
        Told step, losses and seconds now and then.

    Returns
    -------
    Path
        Folder of the model.
    """
    if task not in PLANS:
        raise RefusedError(f"task {task!r} is none of {sorted(PLANS)}")
    plan, recipe = PLANS[task]
    if steps is not None:
        plan = Plan(**{**plan.__dict__, "steps": steps})
    config = NetworkConfig(3, len(_LABELS[task]), filters)
    out.mkdir(parents=True, exist_ok=True)
    packed = out / "heads.npz"
    if not packed.exists():
        pack(anatomy, packed)
    trainer = Trainer(config, plan, pick_device(), seed)
    if (out / "progress.json").exists():
        trainer.resume(out)
    elif start is not None:
        trainer.start_from(load_network(start)[0])
    producer = Producer(packed, recipe, seed=int(time.time()))
    try:
        ring = train(trainer, _taking(producer), minutes=minutes, folder=out, report=report)
        while len(ring) < plan.crops:
            ring.append(_taken(producer))
    finally:
        producer.stop()
    _write(out / "model", trainer.finished(ring), task, trainer, anatomy)
    return out / "model"


def _taking(producer: Producer) -> Callable[[bool], Example | None]:
    """The producer as `engine.train.train` wants it."""
    return lambda wait: producer.take(wait=wait)


def _taken(producer: Producer) -> Example:
    """The next head, waited for."""
    example = producer.take(wait=True)
    if example is None:
        raise RefusedError("no head was generated for five minutes")
    return example


def _write(folder: Path, network: Network, task: str, trainer: Trainer, anatomy: Path) -> Manifest:
    """Write the model and say how it was made."""
    tumour = task == "tumour"
    maps = len(list(anatomy.glob("*.nii.gz")))
    manifest = Manifest(
        name=f"glioloop-{'base' if tumour else 'brain'}",
        version=metadata.version("glioloop"),
        network=network.config,
        spacing_mm=_SPACING_MM[task],
        normalisation=NORMALISATION if tumour else HEAD_NORMALISATION,
        labels=_LABELS[task],
        outside_value=OUTSIDE if tumour else 0.0,
        dropped_value=DROPPED,
        tolerates_missing=("T2",),
        anatomies=(f"{maps} head label maps, the last 4 held out",),
        steps=trainer.steps_done,
        seed=trainer.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        notes="Trained on generated heads alone; no image of a patient was used.",
    )
    return save(folder, network, manifest)


def register(app: typer.Typer) -> None:
    """Add ``train`` to the command line."""
    app.command("train")(_train_command)


def _train_command(
    anatomy: Annotated[Path, typer.Option(help="Folder of head label maps (*.nii.gz, 1 mm).")],
    out: Annotated[Path, typer.Option(help="Folder of this training; a state in it is resumed.")],
    task: Annotated[str, typer.Option(help="tumour or brain.")] = "tumour",
    minutes: Annotated[float, typer.Option(help="Longest time of this slice.")] = 9.0,
    steps: Annotated[int | None, typer.Option(help="Steps of the whole schedule.")] = None,
    filters: Annotated[str, typer.Option(help="Filters of each level.")] = "8,16,32,64",
    seed: Annotated[int, typer.Option(help="Of weights and samples.")] = 1,
    start: Annotated[
        str | None, typer.Option(help="'shipped' or the folder of a model to begin from.")
    ] = None,
    validate: Annotated[int, typer.Option(help="Generated heads to score the model on.")] = 8,
    install: InstallOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a model on generated heads, in slices that resume."""
    console = Console(stderr=True)
    begin = _shipped(task) if start == "shipped" else start and Path(start)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    )
    with bar:
        line = bar.add_task("generating the first heads", total=minutes * 60.0)

        def report(now: dict[str, float]) -> None:
            said = (
                f"step {now['step']:.0f}  dice loss {now['dice']:.3f}  entropy {now['entropy']:.3f}"
            )
            bar.update(line, description=said, completed=now["seconds"])

        model = train_model(
            anatomy,
            out,
            task,
            minutes=minutes,
            steps=steps,
            filters=_filters(filters),
            seed=seed,
            start=Path(begin) if begin else None,
            report=report,
        )
    answer: dict[str, object] = {"model": str(model)}
    if validate:
        held_out = split(load_pack(out / "heads.npz"))[1]
        judge = validate_tumour if task == "tumour" else validate_brain
        answer["held_out_dice"] = judge(model, held_out, validate).dice
    if install:
        shutil.copytree(model, _shipped(task), dirs_exist_ok=True)
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        Console().print(answer)


def _shipped(task: str) -> Path:
    """Folder of the shipped model of a task."""
    return shipped("base" if task == "tumour" else "brain")


def _filters(text: str) -> tuple[int, ...]:
    """Read '8,16,32,64'."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise RefusedError(
            f"filters are numbers with commas, like 8,16,32,64, not {text!r}"
        ) from error
