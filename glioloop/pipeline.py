"""From files to labels: the steps of the rooms in their order, and nothing of the service.

Used by the service (inside a child process) and by ``glioloop segment``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from converter.grid import slabs, to_source, working_grid
from converter.series import Series
from converter.volume import to_volume
from engine.head import Head
from engine.inference import FAR_LOGIT
from engine.inference import segment as run_network
from engine.normalisations import normalisation
from engine.outputs import decode, far_logits
from glioloop.aligned import Aligned, Matrix, align_volumes, brain_of
from glioloop.choice import tolerated_by
from glioloop.disagreement import agreement
from glioloop.fine_pass import Coarse, check_passes, fine_change
from glioloop.kept import Kept
from glioloop.networks import Networks, Options
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Role
from study.volume import Geometry, Volume

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]

SHARE = {"convert": 0.05, "align": 0.2, "brain": 0.25, "coarse": 0.6, "network": 0.95}
"""Part, of 1, of the whole work that is done when a step ends; for progress only."""

SLAB_VOXELS = 1 << 22
"""Of the source grid, whose logits are there at once: 64 MiB for four classes."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on the grid of the T1gd series, and what is kept beside them."""

    labels: Volume
    kept: Kept
    seconds: Mapping[str, float]
    alignment: Mapping[str, float] = field(default_factory=dict)
    """Role to the score of its alignment to T1gd."""
    matrices: Mapping[Role, Matrix] = field(default_factory=dict)
    """Role to where its image lies, as in `glioloop.aligned.Aligned`."""
    agreement: Mapping[str, float] = field(default_factory=dict)
    """Dice with the base head's answer, by region (`glioloop.disagreement`); empty for base."""

    def volumes_ml(self) -> dict[str, float]:
        """Millilitres of each tissue."""
        voxel = self.labels.geometry.voxel_volume_ml
        counts = np.bincount(self.labels.array.ravel(), minlength=4)
        return {t.name.lower(): float(counts[t] * voxel) for t in TUMOUR_TISSUES}


def segment(
    chosen: Mapping[Role, Series],
    networks: Networks,
    head: Head | None = None,
    options: Options | None = None,
    progress: Callable[[float], None] | None = None,
) -> Segmentation:
    """Labels of a study.

    Parameters
    ----------
    chosen
        A series for each role, from `glioloop.choice.choose`; one that the model's manifest
        tolerates may be missing.
    networks
        From `glioloop.networks.prepare_networks`.
    head
        The patient's; None for the base head. It must belong to the networks' backbone.
    options
        How the network runs.
    progress
        Told the part, of 1, that is done.

    Raises
    ------
    HeldError
        If a series is no even stack of slices, or two sequences cannot be aligned.
    RefusedError
        If no brain is found, a series holds no image, or the head belongs to another backbone.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "convert"):
        volumes = {role: to_volume(series) for role, series in chosen.items()}
    return segment_volumes(volumes, networks, head, options, progress, seconds)


def segment_volumes(
    volumes: Mapping[Role, Volume],
    networks: Networks,
    head: Head | None = None,
    options: Options | None = None,
    progress: Callable[[float], None] | None = None,
    seconds: dict[str, float] | None = None,
) -> Segmentation:
    """Labels of images that did not need to be DICOM; otherwise as `segment`.

    Parameters
    ----------
    volumes
        An image for each role; a role that the model's manifest tolerates may be missing.
    networks, head, options, progress
        As for `segment`.
    seconds
        Where the time of each step is written down.

    Raises
    ------
    RefusedError
        As `segment`; also if a role is missing that the model needs.
    """
    options = options or Options()
    tell = progress or _silent
    head = head or networks.head
    head.check_backbone(networks.manifest.backbone_sha256)
    check_passes(options.passes, networks.manifest)
    seconds = {} if seconds is None else seconds
    _check_roles(volumes, networks)
    tell(SHARE["convert"])
    aligned, kept = _prepared(volumes, networks, seconds, tell)
    brain, grid = kept.brain, kept.grid
    coarse_ends = "network" if options.passes == "coarse" else "coarse"
    names = networks.manifest.labels
    with _timed(seconds, "network"):
        progress_of = partial(_told_between, tell, "brain", coarse_ends)
        logits, agreed = _answer(kept, networks, head, options, progress_of)
    with _timed(seconds, "labels"):
        scores = [(logits, grid)]
        if options.passes != "coarse":
            first = Coarse(logits, brain, grid)
            told = partial(_told_between, tell, "coarse", "network")
            second = fine_change(first, aligned, networks, head, options, told)
            scores += [] if second is None else [second]
        found = volumes[Role.T1GD].with_array(labels_on(aligned.reference, scores, names))
    tell(1.0)
    scores_of = {role.value: score for role, score in aligned.scores.items()}
    return Segmentation(found, kept, seconds, scores_of, aligned.matrices, agreed)


def _answer(
    kept: Kept,
    networks: Networks,
    head: Head,
    options: Options,
    tell: Callable[[float], None],
) -> tuple[Array, dict[str, float]]:
    """Logits of a head, and how far it agrees with the base head; of that itself, nothing."""
    names = networks.manifest.labels
    certain = far_logits(names, FAR_LOGIT)
    both = head if head is networks.head else head.beside(networks.head)
    logits = run_network(
        networks.backbone,
        both,
        # The kept precision, so that adaptation sees the very features that were used here.
        kept.images.astype(np.float32),
        kept.brain,
        options.patching(networks.manifest),
        tell,
        np.tile(certain, len(both.bias) // len(certain)),
    )
    if both is head:
        return logits, {}
    mine, base = logits[: len(names)], logits[len(names) :]
    voxel_ml = kept.grid.voxel_volume_ml
    # A copy, so that the other half can go before the logits are brought to the source's grid.
    return mine.copy(), agreement(decode(mine, names), decode(base, names), voxel_ml)


def labels_on(
    target: Geometry,
    scores: Sequence[tuple[npt.NDArray[np.float32], Geometry]],
    names: Sequence[str],
) -> npt.NDArray[np.uint8]:
    """Labels on the grid of the source series, slab by slab: its logits would take gigabytes.

    Parameters
    ----------
    target
        Grid of the source series.
    scores
        Logits ``(K, d, h, w)``, each with its grid; on the target they are added.
    names
        Labels of the model's manifest.

    Returns
    -------
    numpy.ndarray
        uint8 of the target's shape.
    """
    labels = np.zeros(target.shape, np.uint8)
    for slices, slab in slabs(target, SLAB_VOXELS):
        total = to_source(*scores[0], slab)
        for more in scores[1:]:
            total += to_source(*more, slab)
        labels[slices] = decode(total, names)
    return labels


def prepare(volumes: Mapping[Role, Volume], networks: Networks) -> Kept:
    """What networks are given of images, and nothing computed from it.

    Raises
    ------
    HeldError, RefusedError
        As `segment_volumes`.
    """
    _check_roles(volumes, networks)
    return _prepared(volumes, networks, {}, _silent)[1]


def _prepared(
    volumes: Mapping[Role, Volume],
    networks: Networks,
    seconds: dict[str, float],
    tell: Callable[[float], None],
) -> tuple[Aligned, Kept]:
    """Images in one world, on the working grid, normalised over the brain."""
    with _timed(seconds, "align"):
        aligned = align_volumes(volumes)
    tell(SHARE["align"])
    manifest = networks.manifest
    grid = working_grid(aligned.reference, manifest.spacing_mm)
    with _timed(seconds, "brain"):
        images = aligned.on_grid(grid)
        brain = brain_of(aligned, grid, networks, images)
        normal = normalisation(manifest.normalisation)(images, brain, manifest.spacing_mm)
    tell(SHARE["brain"])
    made = normal.astype(np.float16)
    return aligned, Kept(made, brain, grid, aligned.reference, manifest.normalisation)


def _check_roles(volumes: Mapping[Role, Volume], networks: Networks) -> None:
    """Refuse a study that lacks a sequence which the model needs."""
    needed = set(Role) - tolerated_by(networks.manifest.tolerates_missing)
    if missing := sorted(needed - set(volumes)):
        raise RefusedError(f"{', '.join(missing)} is missing, and the model cannot do without")


def _silent(_part: float) -> None:
    """Progress that nobody watches."""


def _told_between(tell: Callable[[float], None], before: str, after: str, part: float) -> None:
    """Tell the progress inside one step as progress of the whole."""
    tell(SHARE[before] + part * (SHARE[after] - SHARE[before]))


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Write down how long a step took."""
    began = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - began, 3)
