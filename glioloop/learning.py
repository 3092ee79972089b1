"""From corrections to a patient's head: the steps of the rooms, and nothing of the service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converter.grid import resample
from dicomseg.facts import read_facts
from dicomseg.read import CorrectedSeg, Original, read_seg
from engine.adapt import Fit, FitSettings, fit_head
from engine.inference import features_at
from engine.sampling import FeatureSample, sample_voxels
from glioloop import durable, label_file, results
from glioloop.kept import Kept
from glioloop.label_map import tissues
from glioloop.networks import Networks, Options
from study.volume import Volume

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """A correction and the result that it corrects.

    Parameters
    ----------
    result
        Folder of the result, with its labels, SEG and kept inputs.
    seg
        The correction's file.
    sample
        Where the sample of its features is kept; made when missing.
    label_map
        A person's decision: label of a segment to name of a tissue, or ``none``.
    looked_at
        A person has looked, and found it right however unlikely.
    """

    result: Path
    seg: Path
    sample: Path
    label_map: Mapping[str, str]
    looked_at: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Lesson:
        """Undo `to_json`."""
        paths = {name: Path(values[name]) for name in ("result", "seg", "sample")}
        return cls(**{**values, **paths})


def learn(
    lessons: Sequence[Lesson],
    networks: Networks,
    options: Options,
    settings: FitSettings,
    voxels: int,
    progress: Callable[[float], None],
) -> Fit:
    """Fit a head to all corrections of one patient.

    Parameters
    ----------
    lessons
        One for each corrected result.
    networks, options
        As the results were made with.
    settings
        How the head is fitted, and when it is accepted.
    voxels
        How many are sampled from one study.
    progress
        Told the part, of 1, that is done.

    Raises
    ------
    HeldError
        If a correction cannot be read without a person's decision.
    RefusedError
        If a correction is damaged, or there is nothing in it to learn from.
    """
    samples = []
    for number, lesson in enumerate(lessons):

        def tell(part: float, done: int = number) -> None:
            progress(0.95 * (done + part) / len(lessons))

        samples.append(_sample(lesson, networks, options, voxels, tell))
    return fit_head(networks.head, samples, settings)


def read_correction(lesson: Lesson, kept: Kept) -> tuple[CorrectedSeg, Volume]:
    """A correction on the grid of its T1gd series, and the labels that it corrects."""
    labels = label_file.labels_from_file(lesson.result / results.LABELS)
    ours = read_facts(lesson.result / results.SEG)
    corrected = read_seg(
        lesson.seg,
        kept.source,
        original=Original(labels.array.astype(np.uint8), ours.segments),
        overrides=tissues(lesson.label_map),
        suspicious=lesson.looked_at,
    )
    return corrected, labels


def _sample(
    lesson: Lesson,
    networks: Networks,
    options: Options,
    voxels: int,
    progress: Callable[[float], None],
) -> FeatureSample:
    """Features of the voxels that a correction teaches, kept beside its result."""
    backbone = networks.manifest.backbone_sha256
    if lesson.sample.is_file():
        known = FeatureSample.from_npz(lesson.sample.read_bytes())
        if known.backbone_sha256 == backbone:
            return known
    kept = Kept.from_file(lesson.result / results.KEPT)
    corrected, labels = read_correction(lesson, kept)
    base = resample(labels, kept.grid, order="nearest").array.astype(np.uint8)
    masks = {
        tissue: resample(labels.with_array(mask), kept.grid, order="nearest").array > 0.5
        for tissue, mask in corrected.masks.items()
    }
    chosen = sample_voxels(
        base, masks, corrected.outlined, kept.brain, kept.grid.spacing, budget=voxels
    )
    features = features_at(
        networks.backbone,
        kept.images.astype(np.float32),
        kept.brain,
        chosen.voxels,
        options.patching(networks.manifest),
        progress,
    )
    made = chosen.with_features(features, backbone)
    durable.write(lesson.sample, made.to_npz())
    return made
