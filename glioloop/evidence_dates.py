"""What is kept of a generated date, so that any head can be scored without the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.anatomy import Substance
from engine.head import Head
from engine.inference import features_at
from engine.longitudinal import Visit
from engine.normalisations import normalisation
from engine.sampling import FeatureSample, sample_voxels
from glioloop.aligned import Aligned, brain_of
from glioloop.evidence_corrections import Correction
from glioloop.networks import Networks, Options
from study.tissue import REGIONS, Role, Tissue, region
from study.volume import Geometry, Volume

FRAME = "2.25.1"
"""Frame of reference of images that nobody acquired."""

Overlap = tuple[int, int, int]
"""Voxels in both outlines, in the outline that was found, and in the truth."""


@dataclass(frozen=True, eq=False)
class KeptDate:
    """A date as the network sees it: features of every voxel of the brain, and the truth.

    Parameters
    ----------
    features
        ``(n, F)`` float16 of the brain's voxels, in the order of the array.
    images
        ``(n, 3)`` float16: the normalised images there.
    labels
        ``(D, H, W)`` uint8 of `Tissue`, as the reader of the study draws them.
    brain
        ``(D, H, W)`` bool, as the pipeline found it.
    scanner
        Its name.
    operated
        Whether there is a cavity.
    backbone_sha256
        Whose features they are.
    """

    features: npt.NDArray[np.float16]
    images: npt.NDArray[np.float16]
    labels: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.bool_]
    scanner: str
    operated: bool
    backbone_sha256: str

    def found(self, head: Head) -> npt.NDArray[np.uint8]:
        """``(D, H, W)`` labels that a head gives; outside the brain is background."""
        labels = np.zeros(self.brain.shape, np.uint8)
        labels[self.brain] = head.apply(self.features, self.images).argmax(axis=1)
        return labels

    def overlaps(self, head: Head) -> dict[str, Overlap]:
        """How a head's labels agree with the truth, by region."""
        labels = self.found(head)
        counted = {}
        for name in REGIONS:
            ours, truth = region(labels, name), region(self.labels, name)
            counted[name] = (int((ours & truth).sum()), int(ours.sum()), int(truth.sum()))
        return counted

    def sample(
        self,
        base: Head,
        correction: Correction,
        spacing_mm: float,
        voxels: int,
        seed: int,
    ) -> FeatureSample:
        """What would be kept of a correction of the base head's labels."""
        chosen = sample_voxels(
            self.found(base),
            correction.masks,
            correction.outlined,
            self.brain,
            (spacing_mm, spacing_mm, spacing_mm),
            seed,
            voxels,
        )
        row = np.cumsum(self.brain.ravel()) - 1
        at = np.ravel_multi_index(tuple(chosen.voxels.T), self.brain.shape)
        here = row[at]
        made = chosen.with_features(self.features[here], self.backbone_sha256)
        return replace(made, images=self.images[here])


def keep(visit: Visit, networks: Networks, options: Options) -> KeptDate:
    """Run the pipeline's steps on a generated date, up to the features.

    Images are generated in one world, so that nothing is registered; a sequence may lie a
    little off, as registration leaves it. The brain is what the brain network finds.

    Raises
    ------
    RefusedError
        As `glioloop.pipeline.segment_volumes`.
    """
    axes = np.zeros((4, 4))
    axes[[2, 1, 0], [0, 1, 2]] = visit.spacing_mm
    axes[3, 3] = 1.0
    grid = Geometry(visit.labels.shape, axes, FRAME)
    volumes = {role: Volume(visit.images[role.value], grid) for role in Role}
    aligned = Aligned(volumes, {role: np.eye(4) for role in Role})
    images = np.stack([volume.array for volume in volumes.values()])
    brain = brain_of(aligned, grid, networks, images)
    manifest = networks.manifest
    normal = normalisation(manifest.normalisation)(images, brain, manifest.spacing_mm)
    # The precision in which the pipeline keeps them (`glioloop.pipeline`).
    kept = normal.astype(np.float16)
    features = features_at(
        networks.backbone,
        kept.astype(np.float32),
        brain,
        np.argwhere(brain),
        options.patching(manifest),
    )
    return KeptDate(
        features.astype(np.float16),
        kept[:, brain].T,
        visit.labels,
        brain,
        visit.scanner.name,
        bool((visit.substances == Substance.CAVITY).any()),
        manifest.backbone_sha256,
    )


def to_arrays(date: KeptDate) -> dict[str, npt.NDArray[Any]]:
    """Arrays that `from_arrays` takes; truth and brain packed."""
    tumour = np.flatnonzero(date.labels)
    return {
        "features": date.features,
        "images": date.images,
        "tumour": tumour.astype(np.int32),
        "tissue": date.labels.ravel()[tumour],
        "brain": np.packbits(date.brain),
        "shape": np.array(date.brain.shape),
        "scanner": np.array(date.scanner),
        "operated": np.array(date.operated),
        "backbone_sha256": np.array(date.backbone_sha256),
    }


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> KeptDate:
    """Undo `to_arrays`."""
    shape = tuple(int(n) for n in arrays["shape"])
    count = int(np.prod(shape))
    labels = np.full(count, Tissue.BACKGROUND, np.uint8)
    labels[arrays["tumour"]] = arrays["tissue"]
    brain = np.unpackbits(arrays["brain"], count=count).astype(bool).reshape(shape)
    return KeptDate(
        arrays["features"],
        arrays["images"],
        labels.reshape(shape),
        brain,
        str(arrays["scanner"]),
        bool(arrays["operated"]),
        str(arrays["backbone_sha256"]),
    )
