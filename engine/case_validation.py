"""Dice on prepared cases that were held out of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from engine.inference import Patching, segment
from engine.normalisations import normalisation
from engine.outputs import decode
from engine.prepared import Prepared, read_prepared
from engine.runtime import Run, compile_backbone
from engine.validation import Score
from engine.weights import Model, load
from study.agreement import dice
from study.tissue import REGIONS, Tissue, region

LEAST_MM3 = 500.0
"""Regions smaller than this do not count."""


def validate_cases(folder: Path, cases: Sequence[Path]) -> Score:
    """Score a tumour model on prepared cases, on the network's grid.

    Parameters
    ----------
    folder
        Of the model; its labels say how its answer is decoded.
    cases
        Prepared with the model's spacing (`engine.prepared`).

    Returns
    -------
    Score
        Region to mean Dice over the cases with at least 0.5 mL of it; NaN where none has.

    Raises
    ------
    RefusedError
        If the model or a case cannot be used.
    """
    model = load(folder)
    run = compile_backbone(model)
    found: dict[str, list[float]] = {name: [] for name in REGIONS}
    for path in cases:
        case = read_prepared(path)
        labels = _labels(model, run, case)
        for name, values in found.items():
            truth = region(case.labels, name)
            if np.count_nonzero(truth) * case.spacing_mm**3 >= LEAST_MM3:
                values.append(dice(region(labels, name), truth))
    means = {name: fmean(v) if v else float("nan") for name, v in found.items()}
    return Score(means, len(cases))


def _labels(
    model: Model, run: Run, case: Prepared
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """What the model says of a case; nothing outside its brain."""
    manifest = model.manifest
    normal = normalisation(manifest.normalisation)
    images = normal(case.images.astype(np.float32), case.brain, case.spacing_mm)
    patching = Patching(outside=manifest.outside_value)
    logits = segment(run, model.head, images, case.brain, patching)
    labels = decode(logits, manifest.labels)
    labels[~case.brain] = Tissue.BACKGROUND
    return labels
