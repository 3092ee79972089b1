"""``glioloop train``: making models from head label maps and from cases, and scoring them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from engine.anatomy import load_pack, split
from engine.crops import STRATEGIES
from engine.outputs import TISSUE_LABELS
from engine.plan import LOSSES, OPTIMISERS, OUTPUTS, SCHEDULES
from engine.ranks import Ranks, joined
from engine.validation import validate_brain, validate_tumour
from glioloop.cli_prior import drop_prior, write_prior
from glioloop.settings import Launch, launched
from glioloop.training_order import Order, Wish, order, shipped_for
from glioloop.training_run import HEADS_FILE, Trained, train_model


def _one_of(names: object, what: str) -> str:
    """Help of an option that takes one of some names."""
    return f"{what}: {', '.join(names)}." if isinstance(names, tuple) else f"{what}."


Out = Annotated[Path, typer.Option(help="Folder of this training; a state in it is resumed.")]
Anatomy = Annotated[Path | None, typer.Option(help="Folder of head label maps (*.nii.gz, 1 mm).")]
Data = Annotated[
    list[Path] | None, typer.Option(help="Folder of cases, BraTS or your own; may be repeated.")
]
Task = Annotated[str, typer.Option(help="tumour or brain.")]
PlanName = Annotated[str, typer.Option("--plan", help="default, or published for its values.")]
Strategy = Annotated[str | None, typer.Option(help=_one_of(tuple(STRATEGIES), "Where patches lie"))]
OutputKind = Annotated[str | None, typer.Option("--output", help=_one_of(OUTPUTS, "Answer"))]
Loss = Annotated[str | None, typer.Option(help=_one_of(LOSSES, "What is minimised"))]
Optimiser = Annotated[str | None, typer.Option(help=_one_of(OPTIMISERS, "Optimiser"))]
Schedule = Annotated[str | None, typer.Option(help=_one_of(SCHEDULES, "Course of the rate"))]
Rate = Annotated[float | None, typer.Option(min=1e-8, help="Greatest learning rate.")]
Edge = Annotated[int | None, typer.Option("--patch", min=8, help="Edge of a patch in voxels.")]
PerVolume = Annotated[
    int | None, typer.Option(min=0, help="Patches of a volume; 0: while it stays in the ring.")
]
Batch = Annotated[int | None, typer.Option(min=1, help="Patches of a step.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Steps of the whole schedule.")]
Epoch = Annotated[
    int | None, typer.Option(min=0, help="Steps between validations; else each case once.")
]
Filters = Annotated[str | None, typer.Option(help="Filters of each level, like 8,16,32,64.")]
Norm = Annotated[str | None, typer.Option(help="Normalisation of features: batch, instance.")]
Spacing = Annotated[float | None, typer.Option(help="Edge of a voxel in mm.")]
NormalName = Annotated[
    str | None, typer.Option("--normalisation", help="robust-brain-z/1 or brain-z/1.")
]
Labels = Annotated[
    str | None, typer.Option(help="Numbers of your labels: 1=necrosis,2=edema,4=enhancing.")
]
HeldOut = Annotated[float, typer.Option(help="Share of patients that choose the checkpoint.")]
Generated = Annotated[float, typer.Option(help="Share of generated heads in a mixture.")]
Augment = Annotated[bool, typer.Option(help="Change cases at random: bias field, noise.")]
Start = Annotated[
    str | None, typer.Option(help="'shipped' or the folder of a model to begin from.")
]
Seed = Annotated[int, typer.Option(help="Of weights and samples.")]
Minutes = Annotated[float, typer.Option(help="Longest time of this slice.")]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes that make or read heads; else by processors.")
]
Compiled = Annotated[bool, typer.Option("--compile", help="Compile the network first.")]
Validate = Annotated[int, typer.Option(help="Heads or cases, held out, to score the model on.")]
Install = Annotated[bool, typer.Option("--install", help="Replace the shipped model with this.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add ``train`` to the command line."""
    app.command("train")(_train_command)


def _train_command(
    out: Out,
    anatomy: Anatomy = None,
    data: Data = None,
    task: Task = "tumour",
    plan: PlanName = "default",
    strategy: Strategy = None,
    output: OutputKind = None,
    loss: Loss = None,
    optimiser: Optimiser = None,
    schedule: Schedule = None,
    rate: Rate = None,
    edge: Edge = None,
    per_volume: PerVolume = None,
    batch: Batch = None,
    steps: Steps = None,
    epoch: Epoch = None,
    filters: Filters = None,
    norm: Norm = None,
    spacing: Spacing = None,
    normalisation: NormalName = None,
    labels: Labels = None,
    held_out: HeldOut = 0.2,
    generated: Generated = 0.5,
    augment: Augment = True,
    start: Start = None,
    seed: Seed = 1,
    minutes: Minutes = 9.0,
    workers: Workers = None,
    compiled: Compiled = False,
    validate: Validate = 8,
    install: Install = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on generated heads, on cases, or on both, in slices that resume."""
    # Each option is a field of the wish, by name.
    wish = Wish.of({**locals(), "data": tuple(data or ())})
    launch = launched()
    what = order(wish)
    answer = _run(what, launch, validate)
    if launch.rank:
        return
    if install:
        place = shipped_for(task)
        drop_prior(place)
        shutil.copytree(answer["model"], place, dirs_exist_ok=True)
        if anatomy is not None and what.plan.labels == TISSUE_LABELS:
            answer["prior"] = write_prior(place, anatomy)
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        Console().print(answer)


def _run(what: Order, launch: Launch, validate: int) -> dict[str, Any]:
    """Train together with the other processes; the first one tells, and scores the model."""
    ranks = Ranks(launch.rank, launch.world, launch.local)
    with joined(ranks, launch.address, launch.port), _progress(what, shown=ranks.first) as bar:
        trained = train_model(what, bar.report, bar.tell, ranks)
    answer: dict[str, Any] = {"model": str(trained.model), "steps": trained.steps}
    if trained.validation is not None:
        answer["validation_loss"] = trained.validation
    if validate and ranks.first:
        scores = _score(what, trained, validate)
        # A region that no case has scored nothing; JSON has no NaN.
        answer["held_out_dice"] = {n: v if math.isfinite(v) else None for n, v in scores.items()}
    return answer


def _score(what: Order, trained: Trained, count: int) -> dict[str, float]:
    """Dice on held-out cases or, without any, on generated heads of held-out anatomies."""
    if trained.cases.held_out:
        from engine.case_validation import validate_cases  # noqa: PLC0415 - as for cases

        return validate_cases(trained.model, trained.cases.held_out[:count]).dice
    if what.wish.anatomy is None or what.plan.output == "multi-label":
        return {}
    held_out = split(load_pack(what.wish.out / HEADS_FILE))[1]
    judge = validate_tumour if what.plan.task == "tumour" else validate_brain
    return judge(trained.model, held_out, count).dice


class _Bar:
    """What a person sees of a training."""

    def __init__(self, bar: Progress, minutes: float) -> None:
        self._bar = bar
        self._line = bar.add_task("making the first heads ready", total=minutes * 60.0)

    def tell(self, done: int, of: int) -> None:
        """Cases that are prepared."""
        self._bar.update(self._line, description=f"preparing case {done + 1} of {of}")

    def report(self, now: dict[str, float]) -> None:
        """Where training stands."""
        said = (
            f"step {now['step']:.0f}  dice loss {now['dice']:.3f}  entropy {now['entropy']:.3f}"
            f"  rate {now['rate']:.1e}"
        )
        if math.isfinite(now["validation"]):
            said += f"  best validation {now['validation']:.3f}"
        self._bar.update(self._line, description=said, completed=now["seconds"])


@contextmanager
def _progress(what: Order, *, shown: bool) -> Iterator[_Bar]:
    """A bar on the terminal, of one process alone."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        yield _Bar(bar, what.wish.minutes)
