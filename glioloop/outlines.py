"""What a correction outlines on the voxels of its result, and as a file for those who learn of it.

A SEG that came from outside is opened in a confined child alone; who needs its outline reads the
file that the child wrote.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dicomseg.facts import read_facts
from dicomseg.read import CorrectedSeg, Original, read_seg
from dicomseg.result_images import result_images
from glioloop import label_file, results
from glioloop.label_map import tissues
from glioloop.lessons import Lesson
from study.tissue import Tissue
from study.volume import Volume

Masks = Mapping[Tissue, npt.NDArray[np.bool_]]


def read_correction(lesson: Lesson) -> tuple[CorrectedSeg, Volume]:
    """A correction on the grid of the labels that it corrects, and those.

    Raises
    ------
    RefusedError, HeldError
        As `dicomseg.read.read_seg`.
    """
    labels = label_file.labels_from_file(lesson.result / results.LABELS)
    ours = read_facts(lesson.result / results.SEG)
    corrected = read_seg(
        lesson.seg,
        labels.geometry,
        layers=[(Path(layer), tissues(decided)) for layer, decided in lesson.layers],
        images=result_images(lesson.result / results.SEG, labels.geometry),
        original=Original(labels.array.astype(np.uint8), ours.segments),
        overrides=tissues(lesson.label_map),
        suspicious=lesson.looked_at,
    )
    return corrected, labels


def to_bytes(masks: Masks) -> bytes:
    """Masks of the tissues that are spoken of, as a compressed npz file; none overlaps another."""
    labels = np.zeros(next(iter(masks.values())).shape, np.uint8)
    for tissue, mask in masks.items():
        labels[mask] = tissue
    buffer = io.BytesIO()
    np.savez_compressed(buffer, labels=labels, outlined=sorted(int(t) for t in masks))
    return buffer.getvalue()


def from_file(path: Path) -> dict[Tissue, npt.NDArray[np.bool_]]:
    """Undo `to_bytes`; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as file:
        labels = file["labels"]
        return {Tissue(int(number)): labels == number for number in file["outlined"]}
