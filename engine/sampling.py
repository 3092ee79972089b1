"""Which voxels of a corrected study are kept to learn from, and what is kept of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.lesions import near_to, nearest_lesions
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Tissue

Mask = npt.NDArray[np.bool_]

BLOCK_MM = 2.0
"""Thickness in mm of the thin blocks, across the slice axis, that voxels are grouped by. Folds and
the gaps between them are made of whole blocks."""
NEAR_MM = 6.0
"""Voxels this near to a tumour (mm) are sampled more densely: boundaries are decided there."""
SHARES = {"changed": 0.3, "tissue": 0.3, "near": 0.2, "rest": 0.2}
"""Part of the sample that each kind of voxel gets, as far as there are so many."""
LEAST_INSIDE = 0.5
"""A correction of which a smaller part lies in the brain that was found fits another image."""
FURTHER = ("images", "lesion", "apart_mm")
"""What a sample may lack."""
PRECEDENCE = (Tissue.EDEMA, Tissue.NECROSIS, Tissue.ENHANCING)
"""Where outlines overlap, the later class holds."""


@dataclass(frozen=True, eq=False)
class VoxelSample:
    """Voxels of one corrected study.

    Parameters
    ----------
    voxels
        ``(n, 3)`` int32 indices (slice, row, column).
    target
        ``(n,)`` uint8: the `Tissue` that the correction claims; background where it claims none.
    weight
        ``(n,)`` float32: how many voxels of the brain each stands for.
    block
        ``(n,)`` int16: index of the block of `BLOCK_MM` across the slice axis.
    changed
        ``(n,)`` bool: the correction and the labels it corrects differ.
    outlined
        Classes that the correction speaks of; it says nothing about the others.
    lesion
        ``(n,)`` int16: the lesion that is nearest (`engine.lesions`).
    apart_mm
        ``(n,)`` float32: distance in mm to the nearest voxel that is nearer to another lesion;
        infinite where there is one alone.
    """

    voxels: npt.NDArray[np.int32]
    target: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.float32]
    block: npt.NDArray[np.int16]
    changed: Mask
    outlined: frozenset[Tissue]
    lesion: npt.NDArray[np.int16]
    apart_mm: npt.NDArray[np.float32]

    def with_features(
        self,
        features: npt.NDArray[np.floating],
        backbone_sha256: str,
        images: npt.NDArray[np.floating] | None = None,
    ) -> FeatureSample:
        """What is kept: features, and the images where they are given, instead of the places.

        Parameters
        ----------
        features
            ``(n, F)`` at the voxels.
        backbone_sha256
            Whose features they are.
        images
            ``(C, D, H, W)``, normalised: what the backbone was given.
        """
        return FeatureSample(
            features=features.astype(np.float16),
            target=self.target,
            weight=self.weight,
            block=self.block,
            changed=self.changed,
            outlined=self.outlined,
            backbone_sha256=backbone_sha256,
            images=None if images is None else images[:, *self.voxels.T].T.astype(np.float16),
            lesion=self.lesion,
            apart_mm=self.apart_mm,
        )


@dataclass(frozen=True, eq=False)
class FeatureSample:
    """What is kept of one correction: about 2 MB, and no image can be made from it again.

    Parameters
    ----------
    features
        ``(n, F)`` float16 from `engine.inference.features_at`.
    target, weight, block, changed, outlined
        As in `VoxelSample`.
    backbone_sha256
        Whose features they are.
    images
        ``(n, C)`` float16: the normalised images there; None for what was kept before heads could
        see them.
    lesion, apart_mm
        As in `VoxelSample`; None, likewise, is one lesion.

    Raises
    ------
    RefusedError
        If lengths differ, a number is not finite, or a class is claimed that is not outlined.
    """

    features: npt.NDArray[np.float16]
    target: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.float32]
    block: npt.NDArray[np.int16]
    changed: Mask
    outlined: frozenset[Tissue]
    backbone_sha256: str
    images: npt.NDArray[np.float16] | None = None
    lesion: npt.NDArray[np.int16] | None = None
    apart_mm: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        rows: list[npt.NDArray[Any]] = [self.target, self.weight, self.block, self.changed]
        rows += [r for r in (self.lesion, self.apart_mm) if r is not None]
        if self.images is not None:
            rows.append(self.images[..., 0])
        if self.features.ndim != 2 or any(r.shape != self.features.shape[:1] for r in rows):
            raise RefusedError(
                f"a sample needs (n, F) features and n of all else, not {self.features.shape}"
                f" and {[r.shape for r in rows]}"
            )
        numbers = [n for n in (self.features, self.weight, self.images) if n is not None]
        if not all(np.isfinite(n).all() for n in numbers):
            raise RefusedError(
                "the features hold NaN, infinity, or more than 16 bits can hold: the study cannot"
                " be learnt from"
            )
        if (self.weight <= 0).any():
            raise RefusedError("each voxel of a sample stands for more than none")
        claimed = {Tissue(int(t)) for t in np.unique(self.target)} - {Tissue.BACKGROUND}
        if claimed - self.outlined:
            raise RefusedError(
                f"classes {sorted(claimed - self.outlined)} are claimed but not outlined"
            )

    def to_npz(self) -> bytes:
        """Bytes of an npz archive, without pickle."""
        buffer = io.BytesIO()
        further = {name: getattr(self, name) for name in FURTHER}
        np.savez_compressed(
            buffer,
            **{name: values for name, values in further.items() if values is not None},
            features=self.features,
            target=self.target,
            weight=self.weight,
            block=self.block,
            changed=self.changed,
            outlined=np.array(sorted(self.outlined), np.uint8),
            backbone_sha256=np.array(self.backbone_sha256),
        )
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> FeatureSample:
        """Undo `to_npz`.

        Raises
        ------
        RefusedError
            If the bytes are no sample.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                return cls(
                    features=found["features"],
                    target=found["target"],
                    weight=found["weight"],
                    block=found["block"],
                    changed=found["changed"],
                    outlined=frozenset(Tissue(int(t)) for t in found["outlined"]),
                    backbone_sha256=str(found["backbone_sha256"]),
                    **{name: found[name] for name in FURTHER if name in found},
                )
        except RefusedError:
            raise
        except (ValueError, KeyError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise RefusedError(f"these bytes are no sample of features: {error!r}") from error


def sample_voxels(
    labels_base: npt.NDArray[np.integer],
    masks_corrected: Mapping[Tissue, Mask],
    outlined: AbstractSet[Tissue],
    brain: Mask,
    spacing: tuple[float, float, float],
    seed: int = 0,
    budget: int = 40_000,
) -> VoxelSample:
    """Draw a stratified sample of the brain: dense where the correction speaks, thin elsewhere.

    Parameters
    ----------
    labels_base
        ``(D, H, W)`` `Tissue` values that were corrected.
    masks_corrected
        ``(D, H, W)`` bool of each class that the correction holds.
    outlined
        Classes that the correction speaks of; one of them without a mask was erased.
    brain
        ``(D, H, W)`` bool; voxels are drawn from it alone.
    spacing
        Distance in mm of voxels along (slice, row, column) axes.
    seed
        The same seed draws the same voxels.
    budget
        Number of voxels to draw, or all where there are fewer.

    Returns
    -------
    VoxelSample
        In the order of the array.

    Raises
    ------
    RefusedError
        If shapes differ, a mask is not of an outlined class, no voxel is outlined, or most of the
        outline lies outside the brain.
    """
    target = _target(masks_corrected, outlined, brain.shape)
    if labels_base.shape != brain.shape:
        raise RefusedError(f"labels {labels_base.shape} and brain {brain.shape} differ in shape")
    inside = np.count_nonzero(target[brain]) / np.count_nonzero(target)
    if inside < LEAST_INSIDE:
        raise RefusedError(
            f"only {inside:.0%} of the correction lies in the brain that was found"
            f" ({LEAST_INSIDE:.0%} are needed): does it belong to this study?"
        )
    at = np.argwhere(brain).astype(np.int32)
    claimed, base = target[brain], np.asarray(labels_base, np.uint8)[brain]
    changed = _changed(claimed, base, outlined)
    near = near_to((target > 0) | (labels_base > 0), NEAR_MM, spacing)[brain]
    drawn, weight = _draw(claimed, base, changed, near, budget, np.random.default_rng(seed))
    block = np.floor(at[drawn, 0] * spacing[0] / BLOCK_MM).astype(np.int16)
    places = tuple(at[drawn].T)
    lesion, apart = nearest_lesions(target > 0, spacing)
    return VoxelSample(
        at[drawn],
        claimed[drawn],
        weight,
        block,
        changed[drawn],
        frozenset(outlined),
        lesion[places],
        apart[places],
    )


def _target(
    masks: Mapping[Tissue, Mask], outlined: AbstractSet[Tissue], shape: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Class that the correction claims for each voxel."""
    if not outlined or not outlined <= set(TUMOUR_TISSUES) or not set(masks) <= outlined:
        raise RefusedError(
            f"a correction outlines tumour classes and has masks of these alone, not classes"
            f" {sorted(outlined)} with masks of {sorted(masks)}"
        )
    target = np.zeros(shape, np.uint8)
    for tissue in PRECEDENCE:
        if tissue not in masks:
            continue
        if masks[tissue].shape != shape:
            raise RefusedError(
                f"the mask of {tissue.name} has shape {masks[tissue].shape}, the brain {shape}"
            )
        target[masks[tissue]] = tissue
    if not target.any():
        raise RefusedError(
            f"the correction of {sorted(t.name for t in outlined)} holds no voxel: there is nothing"
            f" to learn a tumour's appearance from, and nothing is learnt from its absence"
        )
    return target


def _changed(
    claimed: npt.NDArray[np.uint8], base: npt.NDArray[np.uint8], outlined: AbstractSet[Tissue]
) -> Mask:
    """Where correction and labels differ, as far as the correction speaks."""
    erased = (claimed == 0) & np.isin(base, [int(t) for t in outlined])
    changed: Mask = ((claimed > 0) & (claimed != base)) | erased
    return changed


def _draw(
    claimed: npt.NDArray[np.uint8],
    base: npt.NDArray[np.uint8],
    changed: Mask,
    near: Mask,
    budget: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Sorted indices of drawn voxels, and how many voxels each stands for."""
    kinds = list(SHARES)
    tissue = (claimed > 0) | (base > 0)
    kind = np.select([changed, tissue, near], [0, 1, 2], 3)
    stratum = kind * 16 + claimed * 4 + base
    names, sizes = np.unique(stratum, return_counts=True)
    of_kind = names // 16
    shares = np.array([SHARES[kinds[k]] / np.count_nonzero(of_kind == k) for k in of_kind])
    drawn, weights = [], []
    for name, size, count in zip(names, sizes, _allot(sizes, shares, budget), strict=True):
        if count:
            members = np.flatnonzero(stratum == name)
            drawn.append(rng.choice(members, count, replace=False, shuffle=False))
            weights.append(np.full(count, size / count, np.float32))
    indices = np.concatenate(drawn)
    order = np.argsort(indices)
    return indices[order], np.concatenate(weights)[order]


def _allot(
    sizes: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], budget: int
) -> npt.NDArray[np.int64]:
    """Share out a budget: nobody gets more than there is, what one leaves goes to the others."""
    given = np.minimum(sizes, 1)
    while (left := budget - int(given.sum())) > 0 and (given < sizes).any():
        wanting = np.where(given < sizes, shares, 0.0)
        portion = np.ceil(left * wanting / wanting.sum()).astype(np.int64)
        for index in np.argsort(-wanting):
            room = min(int(sizes[index] - given[index]), budget - int(given.sum()))
            given[index] += max(0, min(int(portion[index]), room))
    return given
