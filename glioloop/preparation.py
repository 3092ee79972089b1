"""From cases in folders to files on the network's grid, once; training and resuming read these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converter.grid import resample, working_grid
from engine.prepared import Prepared, fingerprint_of, write_prepared
from engine.ranks import ALONE, Ranks
from glioloop.aligned import Aligned, align_volumes, brain_of
from glioloop.layouts import CaseFiles, find_cases, read_brain, read_images, read_labels
from glioloop.networks import Options, prepare_networks
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES, Role, Tissue
from study.volume import Geometry, Volume

VERSION = 1
"""Of what is written; files of another version are made again."""
MARGIN = 2
"""Voxels around the brain that are kept."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PreparedCases:
    """Prepared cases of one training.

    Parameters
    ----------
    training, held_out
        Their files. What is held out is never learnt from; it chooses the checkpoint.
    without_t2
        How many lack T2.
    """

    training: tuple[Path, ...]
    held_out: tuple[Path, ...]
    without_t2: int


def prepare(
    folders: Sequence[Path],
    out: Path,
    spacing_mm: float,
    label_map: Mapping[int, int] | None = None,
    share: float = 0.2,
    ranks: Ranks = ALONE,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> PreparedCases:
    """Prepare every case of some folders, and hold some patients out.

    Parameters
    ----------
    folders
        Searched for the layouts of `glioloop.layouts`.
    out
        Where prepared cases are kept. One that is there, made from the same files in the same way,
        is not made again. Their names say nothing of the case.
    spacing_mm
        Edge of a voxel.
    label_map
        Label number to `study.tissue.Tissue`; None for what the layout declares.
    share
        Share of the patients that is held out, as a hash of their name decides.
    ranks
        Of several processes each prepares its part; they go on together.
    tell
        Told how many are done, of how many.

    Raises
    ------
    RefusedError
        If there is no case, one has no segmentation, or a case cannot be read or placed.
    """
    cases = [case for folder in folders for case in find_cases(folder)]
    _check(cases, folders)
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{_digest(str(case.files[0].resolve()))}.npz" for case in cases]
    own = list(zip(cases, paths, strict=True))[ranks.rank :: ranks.world]
    for done, (case, path) in enumerate(own):
        tell(done, len(own))
        wanted = _fingerprint(case, spacing_mm, label_map)
        if not path.exists() or fingerprint_of(path) != wanted:
            write_prepared(path, prepared(case, spacing_mm, label_map), wanted)
    ranks.wait()
    held_out = _held_out({case.patient for case in cases}, share)
    return PreparedCases(
        tuple(p for c, p in zip(cases, paths, strict=True) if c.patient not in held_out),
        tuple(p for c, p in zip(cases, paths, strict=True) if c.patient in held_out),
        sum(Role.T2 not in case.images for case in cases),
    )


def prepared(
    case: CaseFiles, spacing_mm: float, label_map: Mapping[int, int] | None = None
) -> Prepared:
    """Bring a case to the network's grid.

    Images of a layout that has no skull lie on one another already, and their brain is where they
    are not 0; otherwise they are aligned, and the brain is that of the case's mask or, without one,
    what the shipped brain network finds, as in use.

    Parameters
    ----------
    case
        With a segmentation.
    spacing_mm, label_map
        As for `prepare`.

    Raises
    ------
    RefusedError
        If a file is unreadable, a label unknown, an image empty, or no brain is found.
    """
    volumes = read_images(case)
    labels = read_labels(case, label_map)
    aligned = _in_place(volumes) if case.layout.stripped else align_volumes(volumes)
    grid = working_grid(aligned.reference, spacing_mm)
    brain = _brain(case, aligned, grid)
    if not brain.any():
        raise RefusedError(f"{case.name}: its brain is empty, nothing can be learnt from it")
    box = _box(brain)
    images = aligned.on_grid(grid)[(slice(None), *box)]
    tissue = np.where(brain, _resampled(labels, grid), Tissue.BACKGROUND)[box].astype(np.uint8)
    return Prepared(_in_16_bits(images, brain[box]), tissue, brain[box], spacing_mm)


def _check(cases: Sequence[CaseFiles], folders: Sequence[Path]) -> None:
    """Refuse to train on nothing, or on what nobody outlined."""
    if not cases:
        raise RefusedError(
            f"{', '.join(map(str, folders))}: no case was found; a case is a folder with FLAIR,"
            " T1gd and a segmentation, named as docs/training.md says"
        )
    unknown = [case.name for case in cases if case.truth is None]
    if unknown:
        raise RefusedError(
            f"{len(unknown)} of {len(cases)} cases have no segmentation, first {unknown[0]}:"
            " training needs the answer; add it, or take these folders away"
        )


def _fingerprint(case: CaseFiles, spacing: float, label_map: Mapping[int, int] | None) -> str:
    """What a prepared case depends on."""
    numbers = label_map or case.layout.label_map or {}
    sizes = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in case.files]
    return _digest(json.dumps([VERSION, spacing, sorted(numbers.items()), sizes]))


def _digest(text: str) -> str:
    """Thirty-two hex digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _held_out(patients: set[str], share: float) -> set[str]:
    """Patients that are held out: by hash, at least one, and never all."""
    if not 0.0 <= share < 1.0:
        raise RefusedError(f"a share from 0 to below 1 can be held out, not {share:g}")
    ranked = sorted(patients, key=_digest)
    if share == 0.0 or len(ranked) < 2:
        return set()
    below = {name for name in ranked if int(_digest(name)[:8], 16) < share * 2**32}
    return below - {ranked[-1]} or {ranked[0]}


def _in_place(volumes: Mapping[Role, Volume]) -> Aligned:
    """Images that lie on one another already."""
    return Aligned(volumes, {role: np.eye(4) for role in Role})


def _brain(case: CaseFiles, aligned: Aligned, grid: Geometry) -> Mask:
    """Where the brain is, on a grid."""
    if case.brain is None and not case.layout.stripped:
        return brain_of(aligned, grid, prepare_networks(Options()))
    if case.layout.stripped:
        reference = aligned.reference
        there = [v.array != 0 for v in aligned.volumes.values() if v.geometry.same_grid(reference)]
        mask = Volume(np.any(there, axis=0), reference)
    else:
        mask = read_brain(case)
    inside: Mask = resample(mask.with_array(mask.array.astype(np.float32)), grid).array >= 0.5
    return inside


def _resampled(labels: Volume, grid: Geometry) -> npt.NDArray[np.uint8]:
    """Labels on a grid: the tissue with the greatest share of a voxel."""
    shares = [
        resample(labels.with_array((labels.array == t).astype(np.float32)), grid).array
        for t in TUMOUR_TISSUES
    ]
    outside = 1.0 - np.sum(shares, axis=0)
    found: npt.NDArray[np.uint8] = np.argmax([outside, *shares], axis=0).astype(np.uint8)
    return found


def _box(brain: Mask) -> tuple[slice, ...]:
    """The brain's bounding box with a margin."""
    found = np.argwhere(brain)
    low, high = found.min(0) - MARGIN, found.max(0) + 1 + MARGIN
    return tuple(slice(max(0, int(a)), int(b)) for a, b in zip(low, high, strict=True))


def _in_16_bits(images: npt.NDArray[np.float32], brain: Mask) -> npt.NDArray[np.float16]:
    """Images in units of what is bright in the brain; NaN stays NaN."""
    scaled = np.empty(images.shape, np.float16)
    for channel, image in enumerate(images):
        bright = float(np.percentile(np.abs(image[brain]), 99.0))
        if bright == 0.0:
            raise RefusedError(f"{list(Role)[channel]} is 0 in the brain: there is no image in it")
        scaled[channel] = np.clip(image / bright, -1e4, 1e4)
    return scaled
