"""``glioloop evaluate``: how good the model is on cases with a known answer, each by itself."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from engine.metrics import LesionCount, hausdorff95, lesions
from glioloop.cases import Case, read_cases
from glioloop.networks import Networks, Options, prepare_networks
from glioloop.pipeline import segment_volumes
from study.agreement import dice
from study.tissue import REGIONS, region

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class RegionScore:
    """How well one region was outlined."""

    dice: float
    hausdorff95_mm: float
    volume_ml: float
    truth_ml: float
    lesions: LesionCount


@dataclass(frozen=True)
class CaseScore:
    """How well one case was outlined; regions that nobody outlined are absent."""

    name: str
    regions: Mapping[str, RegionScore]
    seconds: float


def score_case(case: Case, networks: Networks, options: Options) -> CaseScore:
    """Segment a case with the base head and compare.

    Parameters
    ----------
    case
        With its truth.
    networks, options
        As for `glioloop.pipeline.segment_volumes`.
    """
    found = segment_volumes(case.volumes, networks, options=options)
    geometry = found.labels.geometry
    scores = {}
    for name, truth in case.truth.items():
        outline = region(found.labels.array, name)
        voxel = geometry.voxel_volume_ml
        scores[name] = RegionScore(
            dice(outline, truth),
            hausdorff95(outline, truth, geometry.spacing),
            float(outline.sum() * voxel),
            float(truth.sum() * voxel),
            lesions(outline, truth, voxel),
        )
    return CaseScore(case.name, scores, sum(found.seconds.values()))


def table_of(scores: Sequence[CaseScore]) -> Table:
    """Every case, and the mean of each region's Dice."""
    table = Table(title="Dice on cases with a known answer")
    for name in ("case", "region", "Dice", "HD95 mm", "mL", "truth mL", "found", "false", "s"):
        justify: Literal["left", "right"] = "left" if name in ("case", "region") else "right"
        table.add_column(name, justify=justify, overflow="fold")
    for score in scores:
        for name, value in score.regions.items():
            table.add_row(
                score.name,
                name,
                f"{value.dice:.2f}",
                "-" if math.isnan(value.hausdorff95_mm) else f"{value.hausdorff95_mm:.1f}",
                f"{value.volume_ml:.1f}",
                f"{value.truth_ml:.1f}",
                f"{value.lesions.found}/{value.lesions.lesions}",
                str(value.lesions.false),
                f"{score.seconds:.0f}",
            )
    for name, mean in means(scores).items():
        table.add_row("mean", name, f"{mean:.2f}", "", "", "", "", "", "", style="bold")
    return table


def means(scores: Iterable[CaseScore]) -> dict[str, float]:
    """Mean Dice of each region over the cases that have it."""
    each: dict[str, list[float]] = {name: [] for name in REGIONS}
    for score in scores:
        for name, value in score.regions.items():
            each[name].append(value.dice)
    return {name: fmean(values) for name, values in each.items() if values}


def append(log: Path, answer: Mapping[str, Any]) -> None:
    """Add a line to the file that keeps every evaluation."""
    with log.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(answer) + "\n")


def register(app: typer.Typer) -> None:
    """Add ``evaluate`` to the command line."""
    app.command("evaluate")(_evaluate_command)


def _evaluate_command(
    paths: Annotated[list[Path], typer.Argument(help="BraTS folders, or DICOM with expert masks.")],
    log: Annotated[
        Path | None, typer.Option(help="File that keeps every evaluation, a line of JSON each.")
    ] = None,
    overlap: Annotated[float, typer.Option(help="Of patches, 0 to below 1.")] = 0.25,
    as_json: JsonOption = False,
) -> None:
    """Score the shipped model on cases with a known answer."""
    options = Options(overlap=overlap)
    networks = prepare_networks(options)
    cases = [case for path in paths for case in read_cases(path)]
    scores = [score_case(case, networks, options) for case in cases]
    answer = _as_json(networks, scores)
    if log is not None:
        append(log, answer)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        Console().print(table_of(scores))


def _as_json(networks: Networks, scores: Sequence[CaseScore]) -> dict[str, Any]:
    """Everything that was measured, and on what; NaN, which JSON lacks, becomes null."""
    raw = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": networks.manifest.version,
        "backbone": networks.manifest.backbone_sha256[:12],
        "mean_dice": means(scores),
        "cases": [asdict(score) for score in scores],
    }
    answer: dict[str, Any] = json.loads(json.dumps(raw), parse_constant=lambda _name: None)
    return answer
