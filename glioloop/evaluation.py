"""``glioloop evaluate``: how good a model is on cases with a known answer, each by itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from engine.adapt import FitSettings
from engine.metrics import LesionCount
from engine.prior import load_prior
from engine.weights import MANIFEST_FILE, shipped
from glioloop import evaluation_adaptation
from glioloop.aligned import Aligned
from glioloop.cases import Case, read_cases
from glioloop.fine_pass import check_passes
from glioloop.mode_names import ModeName
from glioloop.networks import Networks, Options, Passes, load_networks
from glioloop.pictures import draw_case
from glioloop.pipeline import segment_volumes
from glioloop.scores import OVERALL, CaseScore, compare, mean_dice, plain, totals
from glioloop.settings_models import Adaptation
from glioloop.terminal import err
from study.errors import HeldError, RefusedError
from study.tissue import REGIONS, Role

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LOG = Path("evaluations.jsonl")
"""Where evaluations are kept unless told otherwise, in the folder one works in."""

CAPTION = (
    "overall: mean Dice of the regions that somebody outlined in the case. HD95 in mm.\n"
    "found: true lesions of 0.5 mL or more that are touched; false: such ones that touch none.\n"
    "mean: lesions are summed."
)


def score_case(
    case: Case, networks: Networks, options: Options, pictures: Path | None = None
) -> CaseScore:
    """Segment a case with the base head and compare.

    Parameters
    ----------
    case
        With its truth.
    networks, options
        As for `glioloop.pipeline.segment_volumes`.
    pictures
        Folder for a picture of the case.

    Returns
    -------
    CaseScore
        That of an empty outline, with the reason, where the case was refused or held.
    """
    try:
        made = segment_volumes(case.volumes, networks, options=options)
    except (HeldError, RefusedError) as error:
        nothing = np.zeros(case.volumes[Role.T1GD].geometry.shape, np.uint8)
        return CaseScore(case.name, compare(case, nothing), 0.0, problem=str(error))
    kept = made.kept
    if pictures is not None:
        aligned = Aligned(case.volumes, made.matrices)
        path = pictures / f"{case.name.replace(' ', '_')}.png"
        draw_case(path, aligned, kept.grid, kept.brain, made.labels, case.truth)
    return CaseScore(
        case.name,
        compare(case, made.labels.array),
        sum(made.seconds.values()),
        float(kept.brain.sum() * kept.grid.voxel_volume_ml),
    )


def table_of(scores: Sequence[CaseScore]) -> Table:
    """Every case, then means of Dice and distance and sums of lesions."""
    table = Table(caption=CAPTION, box=box.SIMPLE, padding=(0, 1), caption_justify="left")
    for name in ("case", "region", "Dice", "HD95", "mL", "truth", "found", "false", "s"):
        justify: Literal["left", "right"] = "left" if name in ("case", "region") else "right"
        table.add_column(name, justify=justify, overflow="fold")
    for score in scores:
        overall = (f"{score.overall_dice:.2f}", *[""] * 5, f"{score.seconds:.0f}")
        table.add_row(score.name, OVERALL, *overall)
        for name, value in score.regions.items():
            volumes = (f"{value.volume_ml:.1f}", f"{value.truth_ml:.1f}")
            distance = _distance(value.hausdorff95_mm)
            counted = _counted(value.lesions)
            table.add_row("", name, f"{value.dice:.2f}", distance, *volumes, *counted)
    for name, mean in mean_dice(scores).items():
        row = ["" if name in REGIONS else "mean", name, f"{mean:.2f}"]
        if name in REGIONS:
            total = totals(scores)[name]
            row += [_distance(total.hausdorff95_mm), "", "", *_counted(total.lesions)]
        table.add_row(*row, style="bold")
    return table


def _counted(lesions: LesionCount) -> tuple[str, str]:
    """Lesions found of all, and false ones, for the table."""
    return f"{lesions.found}/{lesions.lesions}", str(lesions.false)


def append(log: Path, answer: Mapping[str, Any] | None) -> None:
    """Add a line to the file that keeps every evaluation; none, to see that one can be added.

    Raises
    ------
    RefusedError
        If the file cannot be written.
    """
    try:
        with log.open("a", encoding="utf-8") as lines:
            lines.write("" if answer is None else json.dumps(answer) + "\n")
    except OSError as error:
        raise RefusedError(
            f"evaluations cannot be kept in {log}: {error.strerror}; name another file with --log,"
            " or none with --no-log"
        ) from error


def model_folders(model: Path | None, brain: Path | None) -> tuple[Path, Path]:
    """Folders of the tumour's and the brain's model.

    Parameters
    ----------
    model
        Folder of one tumour model, or one with ``base`` and perhaps ``brain`` in it; None for the
        shipped one.
    brain
        Folder of a brain model; None for that beside ``base``, else the shipped one.
    """
    tumour = model or shipped("base")
    beside = None
    if model is not None and not (model / MANIFEST_FILE).is_file():
        tumour, beside = model / "base", model / "brain"
    if brain is None and beside is not None and beside.is_dir():
        brain = beside
    return tumour, brain or shipped("brain")


def facts_of(networks: Networks, options: Options) -> dict[str, Any]:
    """Which models measured what follows, how, and with which software."""
    base, brain = networks.manifest, networks.brain_manifest
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": metadata.version("glioloop"),
        "model": base.version,
        "backbone": base.backbone_sha256[:12],
        "weights": base.weights_sha256[:12],
        "brain_model": brain.version,
        "brain_weights": brain.weights_sha256[:12],
        "spacing_mm": base.spacing_mm,
        "options": {name: getattr(options, name) for name in ("mode", "passes")},
        "precision": networks.backbone.precision,
    }


def register(app: typer.Typer) -> None:
    """Add ``evaluate`` to the command line."""
    app.command("evaluate")(_evaluate_command)


def _evaluate_command(
    paths: Annotated[list[Path], typer.Argument(help="BraTS folders, or DICOM with expert masks.")],
    model: Annotated[
        Path | None, typer.Option(help="Folder of a model, or of base and brain. [the shipped]")
    ] = None,
    brain: Annotated[Path | None, typer.Option(help="Folder of a brain model.")] = None,
    log: Annotated[Path, typer.Option(help="File that keeps every evaluation, a line each.")] = LOG,
    no_log: Annotated[bool, typer.Option("--no-log", help="Keep nothing.")] = False,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for pictures: brain mask, found, truth.")
    ] = None,
    mode: Annotated[ModeName, typer.Option(help="How thorough inference is.")] = Options.mode,
    passes: Annotated[
        Passes, typer.Option(help="The model's grid, a finer one at the tumour, or their mean.")
    ] = "coarse",
    adaptation: Annotated[
        bool, typer.Option("--adaptation", help="Learn from one date, judge at the others.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Score a model on cases with a known answer: Dice, HD95, lesions found and invented."""
    options = Options(mode=mode, passes=passes)
    folders = model_folders(model, brain)
    networks = load_networks(*folders, options)
    check_passes(passes, networks.manifest)
    if adaptation and pictures is not None:
        raise RefusedError("--pictures are drawn of the base head: leave out --adaptation")
    if not no_log:
        append(log, None)  # before an hour's work, not after it
    cases = [case for path in paths for case in read_cases(path)]
    if adaptation:
        found, table = _adapted(cases, networks, options, folders[0])
    else:
        found, table = _scored(cases, networks, options, pictures)
    answer = {**facts_of(networks, options), **found}
    if not no_log:
        append(log, answer)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        Console().print(table)


def _scored(
    cases: Sequence[Case], networks: Networks, options: Options, pictures: Path | None
) -> tuple[dict[str, Any], Table]:
    """Each case with the base head."""
    scores = []
    for case in cases:
        scores.append(score_case(case, networks, options, pictures))
        said = scores[-1].problem or f"overall Dice {scores[-1].overall_dice:.2f}"
        _say(f"{case.name}: {said}")
    return plain(scores), table_of(scores)


def _adapted(
    cases: Sequence[Case], networks: Networks, options: Options, folder: Path
) -> tuple[dict[str, Any], Table]:
    """Each date of a patient with the head of each other date."""
    settings = FitSettings(prior=load_prior(folder, networks.manifest.backbone_sha256))
    voxels = Adaptation().voxels
    found = []
    for one in evaluation_adaptation.transfers(cases, networks, options, settings, voxels):
        found.append(one)
        _say(f"{one.learnt}, judged at {one.judged}: {one.reason}")
    return evaluation_adaptation.plain(found), evaluation_adaptation.table_of(found)


def _say(text: str) -> None:
    """Tell how far it is, beside the answer."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def _distance(mm: float) -> str:
    """A distance for the table; a dash where there is none."""
    return "-" if math.isnan(mm) else f"{mm:.1f}"
