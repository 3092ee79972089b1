"""Training examples: generated heads, normalised as inference does it, and crops of them.

Heads are generated in processes of their own and kept in a ring; each training step takes its crops
from several heads of the ring, so that a head serves many steps and is then replaced.
"""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full

import numpy as np
import numpy.typing as npt
import torch

from engine.anatomy import HeadMap, load_pack, split
from engine.crops import Example
from engine.generator import Sample, geometry, render
from engine.morphology import dilated, eroded
from engine.normalise import normalise, normalise_head
from engine.phantom import phantom_map
from engine.tumour import smooth_noise
from study.errors import RefusedError

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Recipe:
    """What examples are made for.

    Parameters
    ----------
    task
        ``"tumour"``: normalised over the brain, labels are `Tissue` values. ``"brain"``: a whole
        head, labels are 0 outside, 1 brain, 2 tumour.
    shape
        Of a generated head, in voxels.
    spacing_mm
        Least and greatest edge of a voxel.
    fine_share, fine_shape, fine_spacing_mm
        Share of heads on a finer grid, and the shape and spacing of these.
    drop_t2
        Share of heads whose T2 is missing.
    phantoms
        Share of heads grown from nothing instead of from a label map.
    """

    task: str = "tumour"
    shape: tuple[int, int, int] = (96, 112, 96)
    spacing_mm: tuple[float, float] = (1.5, 2.2)
    fine_share: float = 0.15
    fine_shape: tuple[int, int, int] = (128, 136, 120)
    fine_spacing_mm: tuple[float, float] = (1.0, 1.5)
    drop_t2: float = 0.15
    phantoms: float = 0.06

    def __post_init__(self) -> None:
        if self.task not in ("tumour", "brain"):
            raise RefusedError(f"task {self.task!r} is neither 'tumour' nor 'brain'")


def examples(
    maps: Sequence[HeadMap], recipe: Recipe, rng: np.random.Generator, device: str = "cpu"
) -> Iterator[Example]:
    """Endless examples; every geometry is rendered twice.

    Parameters
    ----------
    maps
        Head maps to begin from.
    recipe
        What the examples are for.
    rng
        Source of all randomness.
    device
        Where heads are deformed and rendered; torch's name for it.
    """
    while True:
        fine = rng.random() < recipe.fine_share
        shape = recipe.fine_shape if fine else recipe.shape
        spacing = float(rng.uniform(*(recipe.fine_spacing_mm if fine else recipe.spacing_mm)))
        grown = rng.random() < recipe.phantoms
        head = phantom_map(rng) if grown else maps[int(rng.integers(len(maps)))]
        scene = geometry(torch.from_numpy(head).to(device), shape, spacing, rng)
        if int(scene.brain.sum()) < 2000:
            continue
        for _ in range(2):
            # A tumour is known by its contrasts; scalp that a mask leaves in has any brightness.
            inside = 0.0 if recipe.task == "tumour" else 0.25
            sample = render(scene, rng, invented=0.5, inside=inside)
            yield (
                _tumour_example(sample, recipe, rng)
                if recipe.task == "tumour"
                else (_brain_example(sample, recipe, rng))
            )


def _tumour_example(sample: Sample, recipe: Recipe, rng: np.random.Generator) -> Example:
    """Normalise over a mask as imperfect as the one that inference will have."""
    images, labels, brain = sample.arrays()
    mask = imperfect(brain, sample.spacing_mm, rng)
    normalised = normalise(_dropped(images, recipe, rng), mask, sample.spacing_mm)
    labels = np.where(mask, labels, 0).astype(np.uint8)
    return Example(normalised.astype(np.float16), labels, mask)


def _brain_example(sample: Sample, recipe: Recipe, rng: np.random.Generator) -> Example:
    """Show a whole or stripped head, at times with slices missing at either end."""
    images, tissue, brain = sample.arrays()
    if rng.random() < 0.2:
        kept = dilated(torch.from_numpy(brain), int(rng.integers(1, 4))).numpy()
        images = images * (brain if rng.random() < 0.5 else kept)
    labels = np.where(tissue > 0, 2, brain).astype(np.uint8)
    if rng.random() < 0.35:
        low, high = int(rng.integers(0, 20)), labels.shape[0] - int(rng.integers(0, 14))
        images, labels = images.copy(), labels.copy()
        images[:, :low], images[:, high:] = 0.0, 0.0
        labels[:low], labels[high:] = 0, 0
    images = _dropped(images, recipe, rng)
    return Example(normalise_head(images).astype(np.float16), labels, brain)


def _dropped(
    images: npt.NDArray[np.float32], recipe: Recipe, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Lose T2 now and then."""
    if rng.random() >= recipe.drop_t2:
        return images
    images = images.copy()
    images[2] = np.nan
    return images


def imperfect(brain: Mask, spacing_mm: float, rng: np.random.Generator) -> Mask:
    """Return a brain mask with the faults masks have: too tight, too wide, with lumps that leak."""
    wide = int(rng.choice((-1, 0, 1, 2, 3), p=(0.1, 0.35, 0.3, 0.15, 0.1)))
    inside = torch.from_numpy(brain)
    mask = eroded(inside) if wide < 0 else dilated(inside, wide)
    if rng.random() < 0.4:
        lumps = smooth_noise(brain.shape, 25.0 / spacing_mm, rng) > rng.uniform(0.2, 1.6)
        # Through the skull into the scalp, where thick slices blur the vertex.
        far = max(1, round(rng.uniform(5.0, 22.0) / spacing_mm))
        mask = mask | (lumps & dilated(inside, far))
    if rng.random() < 0.35:
        # Found on thick slices: a slice too many at the vertex, where they lie along the skull.
        below = mask
        for _ in range(max(1, round(rng.uniform(2.0, 9.0) / spacing_mm))):
            below = torch.cat([below[:1], below[1:] | below[:-1]])
        mask = below
    return np.asarray(mask.numpy(), bool)


class Producer:
    """Processes that generate heads and put them in a queue.

    Parameters
    ----------
    packed
        Head maps, as `engine.anatomy.pack` writes them.
    recipe
        What to make.
    seed
        Of the first process; each has its own.
    workers
        Number of processes.
    held_out
        Whether to draw from the held-out anatomies instead of the training ones.
    device
        Where heads are deformed and rendered.
    """

    def __init__(
        self,
        packed: Path,
        recipe: Recipe,
        seed: int,
        workers: int = 1,
        *,
        held_out: bool = False,
        device: str = "cpu",
    ) -> None:
        context = mp.get_context("spawn")
        self._queue: mp.Queue[Example] = context.Queue(4)
        self._processes = [
            context.Process(
                target=_produce,
                args=(self._queue, packed, recipe, seed + i, held_out, device),
                daemon=True,
            )
            for i in range(workers)
        ]
        for process in self._processes:
            process.start()

    def take(self, *, wait: bool) -> Example | None:
        """Return the next head; None when there is none yet and `wait` is false."""
        try:
            return self._queue.get(block=wait, timeout=300.0 if wait else None)
        except Empty:
            return None

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()


def _produce(
    queue: mp.Queue[Example],
    packed: Path,
    recipe: Recipe,
    seed: int,
    held_out: bool,  # noqa: FBT001
    device: str,
) -> None:
    """Body of a generating process; it ends with its parent."""
    torch.set_num_threads(1)
    parent = os.getppid()
    training, validation = split(load_pack(packed))
    for example in examples(
        validation if held_out else training, recipe, np.random.default_rng(seed), device
    ):
        while True:
            try:
                queue.put(example, timeout=5.0)
                break
            except Full:
                if os.getppid() != parent:
                    queue.cancel_join_thread()  # nobody will ever read what is left in it
                    return
