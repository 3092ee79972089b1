"""How well and how fast each mode is on cases with a known answer, in one run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from engine.inference import FAR_LOGIT, LEFT_RIGHT, Patching, segment
from engine.outputs import far_logits
from glioloop.bench import Figures, Measurement, Options
from glioloop.cases import Case, read_cases
from glioloop.modes import MODES
from glioloop.networks import Networks, prepare_networks
from glioloop.networks import Options as NetworkOptions
from glioloop.pipeline import labels_on, prepare
from glioloop.scores import CaseScore, compare, mean_dice
from study.errors import RefusedError

WHOLE_VOXELS = 2_500_000
"""Of one patch, for what is no mode: the brain in one piece."""


def measurements(options: Options) -> Iterator[Measurement]:
    """One table over all cases."""
    if not options.data:
        raise RefusedError("modes are measured on cases: name their folders, --data FOLDER")
    yield Measurement(
        "modes",
        "mean Dice of the regions somebody outlined, and seconds of the network, a case",
        lambda: measure([case for folder in options.data for case in read_cases(folder)]),
    )


def measure(cases: Sequence[Case]) -> Figures:
    """Every way on every case; images are prepared once."""
    networks = prepare_networks(NetworkOptions())
    ways = ways_of(networks)
    scores: dict[str, list[CaseScore]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for case in cases:
        for name, (score, took) in _score(case, networks, ways).items():
            scores[name].append(score)
            cpu[name].append(took)
    figures: dict[str, float | int | str] = {"cases": len(cases)}
    for name in ways:
        figures[f"{name}_s"] = round(float(np.mean([s.seconds for s in scores[name]])), 2)
        figures[f"{name}_cpu_s"] = round(float(np.mean(cpu[name])), 2)
        for region, mean in mean_dice(scores[name]).items():
            figures[f"{name}_{region}"] = round(mean, 3)
    return figures


def ways_of(networks: Networks) -> Mapping[str, Patching]:
    """The modes, and beside them what none of them does."""
    ways: dict[str, Patching] = {
        name: NetworkOptions(mode=name).patching(networks.manifest) for name in MODES
    }
    standard = ways["standard"]
    return {
        **ways,
        "standard_mirrored": replace(standard, flips=LEFT_RIGHT),
        "one_piece": replace(standard, most_voxels=WHOLE_VOXELS),
    }


def _score(
    case: Case, networks: Networks, ways: Mapping[str, Patching]
) -> dict[str, tuple[CaseScore, float]]:
    """Score and processor time of each way on one case."""
    kept = prepare(case.volumes, networks)
    images = kept.images.astype(np.float32)
    names = networks.manifest.labels
    far = far_logits(names, FAR_LOGIT)
    found = {}
    for name, patching in ways.items():
        began, before = time.perf_counter(), os.times()
        logits = segment(networks.backbone, networks.head, images, kept.brain, patching, far=far)
        took, after = time.perf_counter() - began, os.times()
        labels = labels_on(kept.source, [(logits, kept.grid)], names)
        score = CaseScore(case.name, compare(case, labels), took)
        found[name] = (score, after.user + after.system - before.user - before.system)
    return found
