"""Measuring a model's prior on heads that are generated from the anatomies it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.anatomy import HeadMap
from engine.examples import imperfect
from engine.inference import Patching, features_at
from engine.intensities import terms
from engine.normalisations import normalisation
from engine.prior import Prior, information, replay_of
from engine.runtime import Run, compile_backbone
from engine.sampling import sample_voxels
from engine.validation import SHAPE, rendered
from engine.weights import Model, load
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue

HEADS = 32
"""Generated heads that a prior is measured on."""
VOXELS = 1500
"""Of each head that are kept to be replayed: 1.3 MB of 32 heads with 8 features."""
_STREAM = 71
"""Of random numbers: not that of the heads that models are validated on."""

Kept = dict[str, npt.NDArray[np.generic]]


def measure_prior(
    folder: Path,
    maps: Sequence[HeadMap],
    heads: int = HEADS,
    seed: int = 1,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> Prior:
    """Measure the prior of a model.

    Parameters
    ----------
    folder
        Of the model.
    maps
        Anatomies that it was trained on.
    heads
        How many heads to generate.
    seed
        Of the first head; the same seed makes the same heads.
    tell
        Told how many heads are done, of how many.

    Raises
    ------
    RefusedError
        If the model is no multi-class one, there is no anatomy, or fewer than one head.
    """
    model = load(folder)
    if len(model.head.bias) != len(Tissue) or heads < 1 or not maps:
        raise RefusedError(
            "a prior is measured of a multi-class tumour model, on one head or more generated from"
            " the anatomies it was trained on"
        )
    run = compile_backbone(model)
    classes, features = model.head.weight.shape
    fisher, tumour, kept = np.zeros((classes, 1)), 0, list[Kept]()
    for number in range(heads):
        tell(number, heads)
        found, outlined, sample = _measured(model, run, maps, (_STREAM, seed, number))
        fisher = fisher + found
        tumour += outlined
        kept.append({**sample, "block": np.full(len(sample["target"]), number, np.int16)})
    tell(heads, heads)
    together = {name: np.concatenate([k[name] for k in kept]) for name in kept[0]}
    record = {"heads": heads, "seed": seed, "anatomies": len(maps), "features": features}
    scaled = (fisher / tumour).astype(np.float32)
    return Prior(scaled, replay_of(together, model.manifest.backbone_sha256), record)


def _measured(
    model: Model, run: Run, maps: Sequence[HeadMap], seed: tuple[int, ...]
) -> tuple[npt.NDArray[np.float64], int, Kept]:
    """Fisher information of one head, voxels of its tumour, and what is kept of it."""
    rng = np.random.default_rng(seed)
    manifest = model.manifest
    spacing = manifest.spacing_mm
    truth, brain = np.zeros(1), np.zeros(1, bool)
    while not truth.any():  # a mask that is too tight may leave a small tumour out
        channels, tissue, inside = rendered(maps, spacing, SHAPE, rng).arrays()
        brain = imperfect(inside, spacing, rng)
        truth = np.where(brain, tissue, 0)
    images = normalisation(manifest.normalisation)(channels, brain, spacing)
    images = images.astype(np.float16).astype(np.float32)
    voxels = np.argwhere(brain).astype(np.int32)
    features = features_at(run, images, brain, voxels, Patching(outside=manifest.outside_value))
    logits = model.head.apply(features)
    seen = terms(images[:, *voxels.T].T)
    inputs = np.concatenate([features, seen, np.ones((len(features), 1))], axis=1)
    found = np.zeros(brain.shape, np.uint8)
    found[brain] = logits.argmax(axis=1)
    masks = {t: truth == t for t in TUMOUR_TISSUES if (truth == t).any()}
    chosen = sample_voxels(
        found, masks, frozenset(TUMOUR_TISSUES), brain, (spacing,) * 3, seed[-1], VOXELS
    )
    row = np.zeros(brain.shape, np.intp)
    row[brain] = np.arange(len(voxels))
    at = row[tuple(chosen.voxels.T)]
    sample = chosen.with_features(features[at], manifest.backbone_sha256, images)
    kept: Kept = {n: getattr(sample, n) for n in ("features", "images", "target", "weight")}
    return information(logits, inputs), int(np.count_nonzero(truth)), kept
