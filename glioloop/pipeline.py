"""From files to labels: the steps of the rooms in their order, and nothing of the service.

Used by the service (inside a child process) and by ``glioloop segment``.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converter.align import align
from converter.grid import resample, to_source, working_grid
from converter.series import Series
from converter.volume import to_volume
from engine.brain import clean_mask, find_brain
from engine.head import Head
from engine.inference import segment as run_network
from engine.normalise import normalise, normalise_head
from engine.runtime import Device, Run, compile_backbone, compile_network
from engine.weights import Manifest, load, shipped
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Role
from study.volume import Geometry, Volume

logger = logging.getLogger(__name__)

BRAIN_THRESHOLD = 0.7
NECK_MM = 8.0
"""What hangs on the brain by a bridge thinner than this (eye, scalp) is no brain."""
SHARE = {"read": 0.02, "convert": 0.05, "align": 0.2, "brain": 0.25, "network": 0.95}
"""Part, of 1, of the whole work that is done when a step ends; for progress only."""


@dataclass(frozen=True)
class Options:
    """How the network runs; of these `overlap` changes voxels."""

    overlap: float = 0.25
    batch: int = 2
    device: Device = "auto"
    threads: int | None = None
    model_folder: Path | None = None
    cache_folder: Path | None = None


@dataclass(frozen=True, eq=False)
class Networks:
    """Both networks, ready to run."""

    manifest: Manifest
    head: Head
    backbone: Run
    brain_manifest: Manifest
    brain: Run


@dataclass(frozen=True, eq=False)
class Kept:
    """What adaptation needs of a segmented study. Nothing in it says who the patient is.

    Parameters
    ----------
    images
        ``(3, D, H, W)`` float16, normalised, in the order of `study.tissue.Role`.
    brain
        ``(D, H, W)`` bool.
    grid
        Grid of both.
    source
        Grid of the T1gd series.
    """

    images: npt.NDArray[np.float16]
    brain: npt.NDArray[np.bool_]
    grid: Geometry
    source: Geometry

    def to_bytes(self) -> bytes:
        """As a compressed npz file."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            images=self.images,
            brain=self.brain,
            grid=self.grid.affine,
            source=self.source.affine,
            source_shape=self.source.shape,
            frame_of_reference_uid=self.source.frame_of_reference_uid,
        )
        return buffer.getvalue()

    @classmethod
    def from_file(cls, path: Path) -> Kept:
        """Undo `to_bytes`; nothing is unpickled."""
        with np.load(path, allow_pickle=False) as file:
            frame = str(file["frame_of_reference_uid"])
            k, i, j = (int(n) for n in file["source_shape"])
            brain = file["brain"]
            return cls(
                images=file["images"],
                brain=brain,
                grid=Geometry(brain.shape, file["grid"], frame),
                source=Geometry((k, i, j), file["source"], frame),
            )


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on the grid of the T1gd series, and what is kept beside them."""

    labels: Volume
    kept: Kept
    seconds: Mapping[str, float]
    alignment: Mapping[str, float] = field(default_factory=dict)
    """Role to the score of its alignment to T1gd."""

    def volumes_ml(self) -> dict[str, float]:
        """Millilitres of each tissue."""
        voxel = self.labels.geometry.voxel_volume_ml
        counts = np.bincount(self.labels.array.ravel(), minlength=4)
        return {t.name.lower(): float(counts[t] * voxel) for t in TUMOUR_TISSUES}


def prepare_networks(options: Options) -> Networks:
    """Load both models and compile them for this machine."""
    base = load(options.model_folder / "base" if options.model_folder else shipped("base"))
    brain = load(options.model_folder / "brain" if options.model_folder else shipped("brain"))
    how: dict[str, Any] = {
        "device": options.device,
        "cache_dir": options.cache_folder,
        "threads": options.threads,
    }
    return Networks(
        manifest=base.manifest,
        head=base.head,
        backbone=compile_backbone(base, **how),
        brain_manifest=brain.manifest,
        brain=compile_network(brain, **how),
    )


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
        A series for each role, from `glioloop.choice.choose`.
    networks
        From `prepare_networks`.
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
        volumes = {role: to_volume(chosen[role]) for role in Role}
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
    seconds = {} if seconds is None else seconds
    needed = {role for role in Role if role.value not in networks.manifest.tolerates_missing}
    if missing := sorted(needed - set(volumes)):
        raise RefusedError(f"{', '.join(missing)} is missing, and the model cannot do without")
    tell(SHARE["convert"])
    reference = volumes[Role.T1GD]
    with _timed(seconds, "align"):
        found = {r: align(v, reference) for r, v in volumes.items() if r is not Role.T1GD}
        matrices = {r: found[r].matrix if r in found else np.eye(4) for r in Role}
    tell(SHARE["align"])
    grid = working_grid(reference.geometry, networks.manifest.spacing_mm)
    with _timed(seconds, "brain"):
        images = _on_grid(volumes, matrices, grid)
        brain = _brain(volumes, matrices, grid, networks)
        normal = normalise(images, brain, networks.manifest.spacing_mm)
    tell(SHARE["brain"])
    kept = Kept(normal.astype(np.float16), brain, grid, reference.geometry)
    with _timed(seconds, "network"):
        logits = run_network(
            networks.backbone,
            head,
            # The kept precision, so that adaptation sees the very features that were used here.
            kept.images.astype(np.float32),
            brain,
            overlap=options.overlap,
            batch=options.batch,
            progress=lambda part: tell(_between("brain", "network", part)),
            outside=networks.manifest.outside_value,
        )
    with _timed(seconds, "labels"):
        scores = to_source(logits, grid, reference.geometry)
        labels = reference.with_array(scores.argmax(axis=0).astype(np.uint8))
    tell(1.0)
    scores_of = {role.value: alignment.score for role, alignment in found.items()}
    return Segmentation(labels, kept, seconds, scores_of)


def _on_grid(
    volumes: Mapping[Role, Volume], matrices: Mapping[Role, Any], grid: Geometry
) -> npt.NDArray[np.float32]:
    """``(3, D, H, W)`` images on one grid, in the order of the roles; NaN where one is missing."""
    missing = np.full(grid.shape, np.nan, np.float32)
    return np.stack(
        [resample(volumes[r], grid, matrices[r]).array if r in volumes else missing for r in Role]
    )


def _brain(
    volumes: Mapping[Role, Volume],
    matrices: Mapping[Role, Any],
    grid: Geometry,
    networks: Networks,
) -> npt.NDArray[np.bool_]:
    """Brain on the network's grid, found on the coarse grid of the brain network."""
    manifest = networks.brain_manifest
    coarse = working_grid(volumes[Role.T1GD].geometry, manifest.spacing_mm)
    images = normalise_head(_on_grid(volumes, matrices, coarse))
    probability = find_brain(networks.brain, images, manifest.outside_value)
    fine = resample(Volume(probability, coarse), grid)
    return clean_mask(fine.array, BRAIN_THRESHOLD, neck=round(NECK_MM / grid.spacing[0] / 2.0))


def _silent(_part: float) -> None:
    """Progress that nobody watches."""


def _between(before: str, after: str, part: float) -> float:
    """Progress inside one step as progress of the whole."""
    return SHARE[before] + part * (SHARE[after] - SHARE[before])


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Write down how long a step took."""
    began = time.perf_counter()
    yield
    seconds[name] = round(time.perf_counter() - began, 3)
