"""A head made from nothing: for demonstrations and tests, where no label map is at hand.

The head is smooth and simple, but its parts lie where a head has them, and the same tumours and
signal equations apply to it as to the label maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine import signal
from engine.anatomy import HeadMap, Substance
from engine.tumour import Lesion, draw, smooth_noise
from study.tissue import Role, Tissue

Field = npt.NDArray[np.float32]

SIZE = (200, 220, 180)
"""Slices, rows, columns of `phantom_map`, of 1 mm."""
_BRAIN_CENTRE = (115.0, 108.0, 90.0)
_BRAIN_RADII = (58.0, 80.0, 64.0)


@dataclass(frozen=True)
class PhantomHead:
    """Noise-free images of a phantom head with one lesion.

    Parameters
    ----------
    images
        For each `Role` and for ``"T1"`` (before contrast), ``(D, H, W)`` float32 in arbitrary
        units, axes towards (head, back, left).
    labels
        ``(D, H, W)`` uint8 of `Tissue` values.
    brain
        ``(D, H, W)`` mask.
    spacing_mm
        Edge of a voxel.
    origin
        LPS position in mm of voxel (0, 0, 0): x, y, z.
    """

    images: Mapping[str, Field]
    labels: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.bool_]
    spacing_mm: float
    origin: tuple[float, float, float]


def phantom_map(rng: np.random.Generator) -> HeadMap:
    """A head map, 1 mm, `SIZE`: scalp, skull, cortex, ventricles, cerebellum, eyes, vessels."""
    axes = [np.arange(n, dtype=np.float32) for n in SIZE]
    k, i, j = np.meshgrid(*axes, indexing="ij")
    stretch = 1.0 + rng.uniform(-0.06, 0.06, 3)
    radii = np.array(_BRAIN_RADII) * stretch
    brain = _ellipsoid(k, i, j, _BRAIN_CENTRE, radii)
    wave = smooth_noise(SIZE, 40.0, rng).numpy()
    brain = np.asarray(brain + 0.03 * wave, np.float32)
    head = np.zeros(SIZE, np.uint8)
    # Distances outward from the brain's surface, in units of the mean radius.
    mm = 1.0 / float(radii.mean())
    neck = (k < 70) & (((i - 118.0) / 62.0) ** 2 + ((j - 90.0) / 55.0) ** 2 < 1.0)
    head[(brain < 1.0 + 17.0 * mm) | neck] = Substance.SKIN
    head[brain < 1.0 + 14.0 * mm] = Substance.SOFT
    head[neck & (((i - 125.0) / 42.0) ** 2 + ((j - 90.0) / 42.0) ** 2 < 1.0)] = Substance.MUSCLE
    head[brain < 1.0 + 11.0 * mm] = Substance.CORTICAL_BONE
    head[(brain > 1.0 + 6.5 * mm) & (brain < 1.0 + 9.0 * mm)] = Substance.MARROW
    head[brain < 1.0 + 4.0 * mm] = Substance.CSF
    for side in (-1.0, 1.0):
        eye = _ellipsoid(k, i, j, (88.0, 26.0, 90.0 + side * 32.0), (12.0, 12.0, 12.0))
        head[eye < 1.0] = Substance.EYE
    nose = _ellipsoid(k, i, j, (70.0, 26.0, 90.0), (20.0, 22.0, 14.0))
    head[nose < 1.0] = Substance.MUCOSA
    head[nose < 0.75] = Substance.AIR
    head[_ellipsoid(k, i, j, (48.0, 115.0, 90.0), (60.0, 9.0, 9.0)) < 1.0] = Substance.CORD
    _draw_brain(head, brain, (k, i, j), rng)
    return head


def phantom_head(
    seed: int,
    *,
    growth: float = 0.0,
    spacing_mm: float = 1.5,
) -> PhantomHead:
    """A head with a ring-enhancing tumour; the same seed is the same patient.

    Parameters
    ----------
    seed
        Which patient.
    growth
        0 at the first date; the core's radius grows by this share (0.3 is 30 % more).
    spacing_mm
        Edge of a voxel of the result.

    Returns
    -------
    PhantomHead
        Deterministic in all arguments.
    """
    rng = np.random.default_rng(seed)
    full = phantom_map(rng)
    step = spacing_mm
    index = [np.arange(0.0, n - 1, step).round().astype(int) for n in SIZE]
    head = full[np.ix_(*index)]
    side = 1.0 if rng.random() < 0.5 else -1.0
    place = np.array([128.0, 92.0, 90.0 + side * 33.0]) + rng.uniform(-7.0, 7.0, 3)
    k, i, j = (round(float(c)) for c in place / step)
    radius = float(rng.uniform(13.0, 16.0)) * (1.0 + growth)
    lesion = Lesion((k, i, j), radius, "ring")
    drawn, tissue = draw(torch.from_numpy(head), lesion, step, np.random.default_rng(seed + 7))
    head, labels = drawn.numpy(), tissue.numpy()
    brain = np.isin(head, _INSIDE) | (labels > 0)
    origin = tuple(-float(c) for c in (_BRAIN_CENTRE[2], _BRAIN_CENTRE[1], _BRAIN_CENTRE[0]))
    images = _images(head, step, np.random.default_rng(seed + 11))
    return PhantomHead(images, labels, brain, step, (origin[0], origin[1], origin[2]))


_INSIDE = (
    Substance.CSF,
    Substance.GREY,
    Substance.WHITE,
    Substance.DEEP_GREY,
    Substance.CHOROID,
    Substance.BRAINSTEM,
)


def _ellipsoid(
    k: Field, i: Field, j: Field, centre: tuple[float, float, float], radii: npt.ArrayLike
) -> Field:
    """Distance from a centre in units of the radii: below 1 inside."""
    a, b, c = (float(r) for r in np.asarray(radii))
    squared = ((k - centre[0]) / a) ** 2 + ((i - centre[1]) / b) ** 2 + ((j - centre[2]) / c) ** 2
    return np.asarray(np.sqrt(squared), np.float32)


def _draw_brain(
    head: HeadMap, brain: Field, axes: tuple[Field, Field, Field], rng: np.random.Generator
) -> None:
    """Fill the inside of the skull, in place."""
    k, i, j = axes
    folds = np.abs(smooth_noise(head.shape, 9.0, rng).numpy())
    gap = np.abs(j - 90.0) < 1.6
    depth = 1.0 - brain
    inside = (brain < 1.0) & (k > 62.0)
    head[inside] = Substance.WHITE
    cortex = inside & ((depth < 0.06) | ((depth < 0.26) & (folds < 0.30)))
    head[cortex] = Substance.GREY
    head[inside & (depth < 0.22) & (folds < 0.07)] = Substance.CSF
    head[inside & gap & (depth < 0.45) & (k > 95.0)] = Substance.CSF
    for side in (-1.0, 1.0):
        deep = _ellipsoid(k, i, j, (112.0, 104.0, 90.0 + side * 20.0), (13.0, 24.0, 9.0))
        head[deep < 1.0] = Substance.DEEP_GREY
        horn = _ellipsoid(k, i, j, (124.0, 108.0, 90.0 + side * 9.0), (9.0, 34.0, 5.5))
        head[horn < 1.0] = Substance.CSF
        plexus = _ellipsoid(k, i, j, (122.0, 128.0, 90.0 + side * 10.0), (3.0, 7.0, 2.5))
        head[plexus < 1.0] = Substance.CHOROID
    tent = (k < 84.0) & (i > 118.0) & (brain < 0.98)
    head[tent & (k > 81.5)] = Substance.CSF
    head[tent & (k <= 81.5) & (folds < 0.45)] = Substance.GREY
    head[tent & (k <= 81.5) & (folds >= 0.45)] = Substance.WHITE
    stem = _ellipsoid(k, i, j, (80.0, 110.0, 90.0), (26.0, 13.0, 14.0))
    head[stem < 1.0] = Substance.BRAINSTEM
    sinus = (np.abs(j - 90.0) < 3.0) & (brain > 0.985) & (brain < 1.045) & (k > 100.0)
    head[sinus] = Substance.VEIN
    for side in (-1.0, 1.0):
        carotid = ((i - 92.0) ** 2 + (j - 90.0 - side * 14.0) ** 2 < 6.0) & (k < 86.0) & (k > 40.0)
        head[carotid] = Substance.ARTERY


_CONCENTRATION = {
    Substance.ENHANCING: 0.35,
    Substance.VEIN: 0.9,
    Substance.ARTERY: 0.9,
    Substance.CHOROID: 0.4,
    Substance.MUCOSA: 0.35,
}


def _images(head: HeadMap, spacing_mm: float, rng: np.random.Generator) -> dict[str, Field]:
    """FLAIR, T1gd, T2 and T1 by the signal equations at 3 T with usual times, mild texture."""
    table = signal.relaxation()
    factor = 1.0 + 0.03 * smooth_noise(head.shape, 4.0 / spacing_mm, rng)
    t1, t2, density = (
        torch.from_numpy(table[head, n].astype(np.float32)) * factor for n in range(3)
    )
    amount = np.zeros(len(Substance), np.float32)
    for substance, concentration in _CONCENTRATION.items():
        amount[substance] = concentration
    enhanced = signal.with_gadolinium(t1, torch.from_numpy(amount[head]))
    fluid_null = signal.nulling_time(float(table[Substance.CSF, 0]), 9000.0)
    images = {
        Role.FLAIR.value: signal.inversion_recovery(t1, t2, density, 9000.0, 120.0, fluid_null),
        Role.T1GD.value: signal.spin_echo(enhanced, t2, density, 550.0, 12.0),
        Role.T2.value: signal.spin_echo(t1, t2, density, 4500.0, 100.0),
        "T1": signal.spin_echo(t1, t2, density, 550.0, 12.0),
    }
    return {name: image.numpy().astype(np.float32) for name, image in images.items()}


def lesion_volume_ml(head: PhantomHead, tissue: Tissue) -> float:
    """Volume of one tissue of a phantom's lesion, in mL."""
    return float(np.count_nonzero(head.labels == tissue)) * head.spacing_mm**3 / 1000.0
