"""From corrections to a patient's head: the steps of the rooms, and nothing of the service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converter.grid import resample
from converter.parts import read_part
from converter.volume import to_volume
from engine.adapt import Fit, FitSettings, fit_head, scored
from engine.gate import regression
from engine.head import Head
from engine.inference import features_at
from engine.prior import load_prior
from engine.sampling import FeatureSample, sample_voxels
from engine.weights import shipped
from glioloop import durable, label_file, outlines, pipeline, results
from glioloop.kept import Kept
from glioloop.lessons import Lesson
from glioloop.networks import Networks, Options
from study.errors import RefusedError
from study.tissue import Role, Tissue

logger = logging.getLogger(__name__)

FIT_SETTINGS = (
    "method",
    "rungs",
    "rung_gain",
    "largest_loss",
    "largest_drift",
    "largest_replay_loss",
)
"""Settings of `adaptation` that are `engine.adapt.FitSettings` by the same name."""


@dataclass(frozen=True)
class InUse:
    """How the head in use did on a correction that came after it.

    Parameters
    ----------
    dice_base, dice_current
        By name, with the correction.
    out_of_use
        Why it is put out of use; None where it may stay.
    """

    dice_base: Mapping[str, float]
    dice_current: Mapping[str, float]
    out_of_use: str | None


def fit_settings(wanted: Mapping[str, Any], networks: Networks, options: Options) -> FitSettings:
    """How heads are fitted, with what generated cases say of the model.

    Parameters
    ----------
    wanted
        `FIT_SETTINGS` by name.
    networks, options
        As the results were made with.

    Raises
    ------
    RefusedError
        If the model's prior is damaged, or another model's.
    """
    folder = shipped("base") if options.model_folder is None else options.model_folder / "base"
    given = {name: wanted[name] for name in FIT_SETTINGS}
    prior = load_prior(folder, networks.manifest.backbone_sha256)
    return FitSettings(**{**given, "rungs": tuple(given["rungs"]), "prior": prior})


def in_use(
    lesson: Lesson,
    current: Head,
    networks: Networks,
    options: Options,
    voxels: int,
    largest_loss: float,
) -> InUse:
    """Score base and the head in use on a correction that the head did not learn from.

    Parameters
    ----------
    lesson, networks, options, voxels
        As for `learn`.
    current
        The head in use.
    largest_loss
        Mean Dice that it may lose against base.

    Raises
    ------
    RefusedError
        If there is nothing in the correction to learn from, or the head is another backbone's.
    """
    current.check_backbone(networks.manifest.backbone_sha256)
    sample = _sample(lesson, networks, options, voxels, lambda _part: None)
    base, mine = (scored(networks.head, head, sample) for head in (networks.head, current))
    return InUse(base.dice, mine.dice, regression(mine, base, largest_loss))


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
        One for each corrected result, read already (`glioloop.confinement.outline`).
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
    RefusedError
        If there is nothing in a correction to learn from.
    """
    samples = []
    for number, lesson in enumerate(lessons):

        def tell(part: float, done: int = number) -> None:
            progress(0.95 * (done + part) / len(lessons))

        samples.append(_sample(lesson, networks, options, voxels, tell))
    return fit_head(networks.head, samples, settings)


def _sample(
    lesson: Lesson,
    networks: Networks,
    options: Options,
    voxels: int,
    progress: Callable[[float], None],
) -> FeatureSample:
    """Features of the voxels that a correction teaches, kept beside its result."""
    backbone, place = networks.manifest.backbone_sha256, _place(lesson, options)
    if place.is_file():
        known = FeatureSample.from_npz(place.read_bytes())
        if known.backbone_sha256 == backbone:
            return known
    kept = _inputs(lesson, networks)
    labels = label_file.labels_from_file(lesson.result / results.LABELS)
    outlined = outlines.from_file(lesson.outline)
    base = resample(labels, kept.grid, order="nearest").array.astype(np.uint8)
    masks = {
        tissue: resample(labels.with_array(mask), kept.grid, order="nearest").array > 0.5
        for tissue, mask in outlined.items()
    }
    made = sample_of(kept, base, masks, frozenset(outlined), networks, options, voxels, progress)
    durable.write(place, made.to_npz())
    return made


def sample_of(
    kept: Kept,
    base: npt.NDArray[np.uint8],
    masks: Mapping[Tissue, npt.NDArray[np.bool_]],
    outlined: frozenset[Tissue],
    networks: Networks,
    options: Options,
    voxels: int,
    progress: Callable[[float], None] | None = None,
) -> FeatureSample:
    """Features of a sample of a study's voxels.

    Parameters
    ----------
    kept
        The study's inputs.
    base, masks, outlined, voxels
        Of `engine.sampling.sample_voxels`, on the grid of ``kept``; ``voxels`` is its budget.
    networks, options
        As the study was segmented with.
    progress
        Told the part, of 1, that is done.
    """
    spacing = kept.grid.spacing
    chosen = sample_voxels(base, masks, outlined, kept.brain, spacing, budget=voxels)
    features = features_at(
        networks.backbone,
        kept.images.astype(np.float32),
        kept.brain,
        chosen.voxels,
        options.patching(networks.manifest),
        progress,
    )
    return chosen.with_features(features, networks.manifest.backbone_sha256, kept.images)


def _place(lesson: Lesson, options: Options) -> Path:
    """Where a sample is kept: patches of another size and overlap make other features."""
    if options.mode == "standard":
        return lesson.sample
    return lesson.sample.with_name(f"{lesson.sample.stem}-{options.mode}{lesson.sample.suffix}")


def _inputs(lesson: Lesson, networks: Networks) -> Kept:
    """The inputs of a lesson for these networks, made again where they are another network's."""
    manifest = networks.manifest
    wanted = (manifest.spacing_mm, manifest.normalisation)
    again = lesson.result / f"kept-{manifest.backbone_sha256[:16]}.npz"
    for path in (lesson.kept, again):
        if path.is_file() and (known := Kept.from_file(path)).fits(*wanted):
            return known
    if not lesson.series:
        raise RefusedError(
            f"the inputs kept of result {lesson.result.name} are no inputs of model {manifest.name}"
            f" {manifest.version} ({wanted[0]:g} mm, {wanted[1]}), and its images are gone: send"
            " the study again"
        )
    volumes = {Role(role): to_volume(read_part(f)) for role, f in lesson.series.items()}
    made = pipeline.prepare(volumes, networks)
    durable.write(again, made.to_bytes())
    return made
