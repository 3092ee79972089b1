"""Real cases on a network's grid: kept as compact files, shown as examples.

A prepared case holds images as measured, so that bias fields come before normalisation and noise
after it; nothing in it says whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Dataset

from engine.augment import NONE, Augmentation, with_bias, with_noise, without_t2
from engine.crops import Example, Labels, Mask
from engine.normalisations import normalisation
from study.errors import RefusedError


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case on a network's grid.

    Parameters
    ----------
    images
        ``(3, D, H, W)`` float16 in arbitrary units, in the order of `study.tissue.Role`; a missing
        channel is NaN.
    labels
        ``(D, H, W)`` uint8, `study.tissue.Tissue`.
    brain
        ``(D, H, W)`` bool.
    spacing_mm
        Edge of a voxel.
    """

    images: npt.NDArray[np.float16]
    labels: Labels
    brain: Mask
    spacing_mm: float


def write_prepared(path: Path, case: Prepared, fingerprint: str) -> None:
    """Write a case, whole or not at all, with a fingerprint of what it was made from."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            images=case.images,
            labels=case.labels,
            brain=np.packbits(case.brain),
            spacing_mm=case.spacing_mm,
            fingerprint=fingerprint,
        )
    partial.replace(path)


def fingerprint_of(path: Path) -> str | None:
    """What a prepared case was made from; None where there is no readable one."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return str(file["fingerprint"])
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def read_prepared(path: Path) -> Prepared:
    """Undo `write_prepared`; nothing is unpickled.

    Raises
    ------
    RefusedError
        If the file is no prepared case.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            labels = file["labels"]
            brain = np.unpackbits(file["brain"], count=labels.size).astype(bool)
            spacing = float(file["spacing_mm"])
            return Prepared(file["images"], labels, brain.reshape(labels.shape), spacing)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise RefusedError(f"{path} is no prepared case: remove it, and train again") from error


def shown(
    case: Prepared, way: str, augmentation: Augmentation, rng: np.random.Generator
) -> Example:
    """A case as training sees it: T2 left out, biased, normalised, noisy, each now and then.

    Parameters
    ----------
    case
        On the network's grid.
    way
        Name of the normalisation.
    augmentation
        How often what is done.
    rng
        Source of all randomness.
    """
    normal = normalisation(way)
    images = case.images.astype(np.float32)
    if np.isfinite(images[:2]).all():
        images = without_t2(images, augmentation, rng)
    images = with_bias(images, augmentation, rng)
    result = normal(images, case.brain, case.spacing_mm)
    there = np.isfinite(images).any(axis=(1, 2, 3), keepdims=True)
    noisy = with_noise(np.where(there, result, np.nan), augmentation, normal.unit, rng)
    # Outside the brain, and in a missing channel, images hold a constant, as they do in use.
    result = np.where(there & case.brain, noisy, result)
    return Example(result.astype(np.float16), case.labels, case.brain)


class _Cases(Dataset[Example]):
    """Prepared cases, each shown as a seed says."""

    def __init__(self, paths: Sequence[Path], way: str, augmentation: Augmentation) -> None:
        self.paths, self.way, self.augmentation = list(paths), way, augmentation

    def __getitem__(self, key: tuple[int, int]) -> Example:
        number, seed = key
        case = read_prepared(self.paths[number])
        return shown(case, self.way, self.augmentation, np.random.default_rng(seed))


def case_stream(
    paths: Sequence[Path],
    way: str,
    augmentation: Augmentation,
    seed: int,
    workers: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Example]:
    """Endless examples: every case once in an order of chance, then in another one.

    Parameters
    ----------
    paths
        Of prepared cases, at least one.
    way
        Name of the normalisation.
    augmentation
        How often what is done to a case.
    seed
        Of order and augmentation; the same for all processes of one training.
    workers
        Processes that read and change cases; 0: none but this one.
    share
        Number of this process, and of all that share the cases among them.

    Raises
    ------
    RefusedError
        If there is no case.
    """
    if not paths:
        raise RefusedError("there is no case to train on")
    loader = DataLoader(
        _Cases(paths, way, augmentation),
        batch_size=None,
        sampler=_order(len(paths), seed, *share),
        num_workers=workers,
        collate_fn=_as_it_is,  # type: ignore[arg-type]
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)


def held_out_examples(paths: Sequence[Path], way: str) -> Iterator[Example]:
    """Prepared cases one after the other, as they are."""
    for path in paths:
        yield shown(read_prepared(path), way, NONE, np.random.default_rng(0))


def _order(count: int, seed: int, rank: int, world: int) -> Iterator[tuple[int, int]]:
    """Endless numbers of cases, each with a seed; every epoch in another order."""
    rng = np.random.default_rng((seed, count))
    while True:
        order = rng.permutation(count)
        seeds = rng.integers(2**31, size=count)
        own = order[rank::world] if count >= world else order
        yield from ((int(number), int(seeds[number])) for number in own)


def _as_it_is(example: Example) -> Example:
    """An example is no batch yet."""
    return example
