"""What the channels of a network's answer mean, and how they become labels.

``multi-class``: one channel for each tissue, of which one holds (softmax). ``multi-label``: one
channel for each region, each true or not by itself (sigmoid); regions lie within one another.
A manifest says which by the names of its labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from study.errors import RefusedError
from study.tissue import Tissue

Output = Literal["multi-class", "multi-label"]

TISSUE_LABELS = ("background", "necrosis", "edema", "enhancing")
"""Labels of a multi-class tumour model: the names of `Tissue`, in order."""
BRAIN_LABELS = ("outside", "brain", "tumour")
"""Labels of the brain model, which is multi-class too."""
REGION_LABELS = ("whole", "core", "enhancing")
"""Labels of a multi-label model: the regions of `study.tissue.REGIONS`, outermost first."""
_INNERMOST = (Tissue.EDEMA, Tissue.NECROSIS, Tissue.ENHANCING)
"""Tissue of a voxel whose innermost region is each of `REGION_LABELS`."""


def output_of(labels: Sequence[str]) -> Output:
    """What kind of answer a model gives, by the labels of its manifest.

    Raises
    ------
    RefusedError
        If no kind has these labels.
    """
    known: dict[tuple[str, ...], Output] = {
        TISSUE_LABELS: "multi-class",
        BRAIN_LABELS: "multi-class",
        REGION_LABELS: "multi-label",
    }
    if tuple(labels) not in known:
        kinds = " or ".join(f"{', '.join(names)} ({kind})" for names, kind in known.items())
        raise RefusedError(f"labels {list(labels)} are unknown; a model has {kinds}")
    return known[tuple(labels)]


def decode(logits: npt.NDArray[Any], labels: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Logits to labels.

    Parameters
    ----------
    logits
        ``(K, ...)``, one channel for each label.
    labels
        Of the model's manifest.

    Returns
    -------
    numpy.ndarray
        ``(...)`` uint8. Multi-class: the number of the greatest logit, the first of equal ones.
        Multi-label: a region holds where its logit is above 0, a probability above one half; a
        voxel gets the `Tissue` of the innermost region that holds, also where an outer one does
        not.

    Raises
    ------
    RefusedError
        If the labels are unknown, or are not as many as the channels.
    """
    kind = output_of(labels)
    if len(logits) != len(labels):
        raise RefusedError(f"{len(logits)} channels of logits do not fit labels {list(labels)}")
    if kind == "multi-class":
        best: npt.NDArray[np.uint8] = logits.argmax(axis=0).astype(np.uint8)
        return best
    found = np.zeros(logits.shape[1:], np.uint8)
    for tissue, score in zip(_INNERMOST, logits, strict=True):
        found[score > 0.0] = tissue
    return found


def far_logits(labels: Sequence[str], far: float) -> npt.NDArray[np.float32]:
    """Logits of a voxel that is certainly background.

    Parameters
    ----------
    labels
        Of the model's manifest.
    far
        How certain, positive.

    Returns
    -------
    numpy.ndarray
        ``(K,)`` float32: `far` for the first class of a multi-class model, minus that elsewhere.
    """
    logits = np.full(len(labels), -far, np.float32)
    if output_of(labels) == "multi-class":
        logits[0] = far
    return logits


def tumour_probability(logits: npt.NDArray[Any], labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """Probability that a voxel is any tumour, ``(...)`` float32, of ``(K, ...)`` logits.

    Raises
    ------
    RefusedError
        If the labels are unknown.
    """
    if output_of(labels) == "multi-label":
        probability = 1.0 / (1.0 + np.exp(-logits[REGION_LABELS.index("whole")]))
    else:
        odds = np.exp(logits - logits.max(axis=0))
        probability = 1.0 - odds[Tissue.BACKGROUND] / odds.sum(axis=0)
    return np.asarray(probability, np.float32)
