"""Dice on generated heads of held-out anatomies: what checkpoints are chosen by.

Nothing here sees a patient. The same seed makes the same heads, so that two sets of weights are
compared on equal terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from engine.anatomy import HeadMap
from engine.brain import brain_mask, find_brain
from engine.examples import imperfect
from engine.generator import Geometry, Sample, geometry, render
from engine.inference import FAR_LOGIT, Patching, segment
from engine.normalisations import normalisation
from engine.normalise import normalise_head
from engine.outputs import decode, far_logits
from engine.runtime import compile_backbone, compile_network
from engine.weights import load
from study.agreement import dice
from study.tissue import REGIONS, region

SHAPE = (88, 104, 88)
"""Size of a validation head in voxels of the model's spacing: a whole brain at 2 mm."""


@dataclass(frozen=True)
class Score:
    """Mean Dice over validation heads.

    Parameters
    ----------
    dice
        Region to mean Dice, over the heads whose truth has at least 0.5 mL of it.
    heads
        Number of heads.
    """

    dice: dict[str, float]
    heads: int


def validate_tumour(folder: Path, maps: Sequence[HeadMap], heads: int, seed: int = 1) -> Score:
    """Score a tumour model on generated heads.

    Parameters
    ----------
    folder
        Of the model.
    maps
        Held-out anatomies.
    heads
        How many heads to generate.
    seed
        Of the first head.
    """
    model = load(folder)
    run = compile_backbone(model)
    spacing = model.manifest.spacing_mm
    patching = Patching(outside=model.manifest.outside_value)
    normalise = normalisation(model.manifest.normalisation)
    found: dict[str, list[float]] = {name: [] for name in REGIONS}
    for number in range(heads):
        rng = np.random.default_rng((seed, number))
        sample = rendered(maps, spacing, SHAPE, rng)
        channels, tissue, inside = sample.arrays()
        brain = imperfect(inside, spacing, rng)
        images = normalise(channels, brain, spacing)
        names = model.manifest.labels
        far = far_logits(names, FAR_LOGIT)
        logits = segment(run, model.head, images, brain, patching, far=far)
        labels = decode(logits, names)
        for name, values in found.items():
            truth = region(tissue, name)
            if np.count_nonzero(truth) * spacing**3 >= 500.0:
                values.append(dice(region(labels, name), truth))
    return Score({name: fmean(v) if v else float("nan") for name, v in found.items()}, heads)


def validate_brain(folder: Path, maps: Sequence[HeadMap], heads: int, seed: int = 1) -> Score:
    """Score a brain model on generated heads with tumour and cavity; the region is ``"brain"``."""
    model = load(folder)
    run = compile_network(model)
    spacing = model.manifest.spacing_mm
    values = []
    for number in range(heads):
        sample = rendered(maps, spacing, (56, 72, 56), np.random.default_rng((seed, number)))
        channels, _tissue, inside = sample.arrays()
        images = normalise_head(channels)
        probability = find_brain(run, images, model.manifest.outside_value)
        values.append(dice(brain_mask(probability, spacing), inside))
    return Score({"brain": fmean(values)}, heads)


def rendered(
    maps: Sequence[HeadMap], spacing: float, shape: tuple[int, int, int], rng: np.random.Generator
) -> Sample:
    """Render one head with a tumour."""
    head = torch.from_numpy(maps[int(rng.integers(len(maps)))])
    while True:
        scene: Geometry = geometry(head, shape, spacing, rng)
        if scene.labels.any():
            return render(scene, rng)
