"""Tumours and what surgery leaves, drawn into a head of substances.

Everything works on arrays ``(D, H, W)`` with cubic voxels of `spacing_mm`, and on a random
generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage

from engine.anatomy import BRAIN, HeadMap, Substance
from study.tissue import Tissue

Mask = npt.NDArray[np.bool_]
Field = npt.NDArray[np.float32]

KINDS = ("ring", "solid", "patchy", "infiltrative", "cavity")
_KIND_SHARES = (0.40, 0.11, 0.18, 0.06, 0.25)

_EDEMA_COST = {Substance.WHITE: 1.0, Substance.BRAINSTEM: 2.0, Substance.DEEP_GREY: 2.5}
_EDEMA_COST_GREY = 2.6
"""How much slower edema travels than in white matter: it follows tracts and spares cortex."""


@dataclass(frozen=True)
class Lesion:
    """One focus of tumour.

    Parameters
    ----------
    centre
        Voxel (slice, row, column).
    radius_mm
        Of the core.
    kind
        One of `KINDS`.
    """

    centre: tuple[int, int, int]
    radius_mm: float
    kind: str


@dataclass(frozen=True)
class _Canvas:
    """Where one kind of lesion is drawn: `head` and `labels` are changed in place."""

    head: HeadMap
    labels: npt.NDArray[np.uint8]
    core: Mask
    distance: Field
    """In mm from the lesion's centre, irregular."""
    lesion: Lesion
    spacing_mm: float


def smooth_noise(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Field:
    """Gaussian noise of about unit variance that varies over `scale` voxels."""
    coarse = [max(2, int(np.ceil(n / scale)) + 1) for n in shape]
    grid = torch.from_numpy(rng.standard_normal(coarse).astype(np.float32))
    field = F.interpolate(grid[None, None], size=shape, mode="trilinear", align_corners=True)
    result: Field = field[0, 0].numpy()
    return result


def draw_lesions(head: HeadMap, spacing_mm: float, rng: np.random.Generator) -> list[Lesion]:
    """Choose foci: mostly one, at times two or three; none in a few healthy heads."""
    seeds = np.argwhere(np.isin(head, (Substance.WHITE, Substance.DEEP_GREY)))
    if len(seeds) < 100 or rng.random() < 0.06:
        return []
    first_kind = str(rng.choice(KINDS, p=_KIND_SHARES))
    largest = 34.0 if first_kind == "cavity" else 26.0  # a lobe may have been taken out
    lesions = [Lesion(_one_of(seeds, rng), float(rng.uniform(5.0, largest)), first_kind)]
    for _ in range(int(rng.choice((0, 1, 2), p=(0.74, 0.19, 0.07)))):
        kind = str(rng.choice(("ring", "solid", "patchy")))
        near = np.linalg.norm(seeds - np.array(lesions[0].centre), axis=1) * spacing_mm < 60.0
        where = seeds[near] if rng.random() < 0.7 and near.any() else seeds
        lesions.append(Lesion(_one_of(where, rng), float(rng.uniform(2.5, 9.0)), kind))
    return lesions


def draw(
    head: HeadMap, lesion: Lesion, spacing_mm: float, rng: np.random.Generator
) -> tuple[HeadMap, npt.NDArray[np.uint8]]:
    """Draw one focus into a head.

    Parameters
    ----------
    head
        ``(D, H, W)`` substances; not changed.
    lesion
        What to draw.
    spacing_mm
        Edge of a voxel.
    rng
        Source of all randomness.

    Returns
    -------
    head, labels
        The head with the lesion, and `Tissue` values of this lesion alone, same shape.
    """
    reach = _edema_reach(lesion, rng)
    box = _box(head.shape, lesion.centre, (1.6 * lesion.radius_mm + reach + 10.0) / spacing_mm)
    inside = head[box].copy()
    labels = np.zeros(inside.shape, np.uint8)
    centre = np.array(lesion.centre) - [s.start for s in box]
    brain = np.isin(inside, BRAIN)
    distance = _distance(inside.shape, centre, spacing_mm, lesion.radius_mm, rng)
    # Tumour pushes into ventricles and sulci a little, but does not cross them.
    fluid = inside == Substance.CSF
    core = (distance < lesion.radius_mm) & brain & ~(fluid & (distance > lesion.radius_mm - 3.0))
    edema = _edema(inside, core, reach, spacing_mm, rng) & brain & ~core
    inside[edema] = Substance.EDEMA
    labels[edema] = Tissue.EDEMA
    parts = {"cavity": _cavity, "infiltrative": _infiltrative, "solid": _solid}
    canvas = _Canvas(inside, labels, core, distance, lesion, spacing_mm)
    parts.get(lesion.kind, _ring)(canvas, rng)
    head, full = head.copy(), np.zeros(head.shape, np.uint8)
    head[box], full[box] = inside, labels
    if lesion.kind == "cavity" and rng.random() < 0.7:
        _craniotomy(head, lesion, spacing_mm, rng)
    return head, full


def white_matter_disease(head: HeadMap, spacing_mm: float, rng: np.random.Generator) -> HeadMap:
    """Periventricular caps and small foci: bright on FLAIR and T2, no tumour."""
    head = head.copy()
    white = head == Substance.WHITE
    near = ndimage.distance_transform_edt(head != Substance.CSF) * spacing_mm
    wavy = smooth_noise(head.shape, 10.0 / spacing_mm, rng)
    caps = white & (near < rng.uniform(1.5, 5.0)) & (wavy > rng.uniform(0.0, 1.5))
    spots = smooth_noise(head.shape, rng.uniform(3.0, 6.0) / spacing_mm, rng)
    foci = white & (spots > rng.uniform(2.3, 3.2))
    head[caps | foci] = Substance.LESION_OF_WHITE_MATTER
    return head


def _one_of(points: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[int, int, int]:
    """Pick one row of ``(n, 3)`` points."""
    k, i, j = points[int(rng.integers(len(points)))]
    return int(k), int(i), int(j)


def _edema_reach(lesion: Lesion, rng: np.random.Generator) -> float:
    """How far edema goes, in mm of white matter; none at times."""
    if rng.random() < 0.12:
        return 0.0
    typical = 3.5 if lesion.kind == "cavity" else 6.0
    return float(min(rng.gamma(2.0, typical), 32.0))


def _box(shape: tuple[int, ...], centre: tuple[int, ...], half: float) -> tuple[slice, ...]:
    """Return the part of an array within `half` voxels of a centre."""
    return tuple(
        slice(max(0, int(c - half)), min(n, int(c + half) + 1))
        for c, n in zip(centre, shape, strict=True)
    )


def _distance(
    shape: tuple[int, ...],
    centre: npt.NDArray[np.float64],
    spacing_mm: float,
    radius_mm: float,
    rng: np.random.Generator,
) -> Field:
    """Distance in mm from the centre in a random ellipsoidal metric, made irregular by noise."""
    axes = [np.arange(n, dtype=np.float32) - c for n, c in zip(shape, centre, strict=True)]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) * spacing_mm
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    stretch = np.exp(np.clip(rng.normal(0.0, 0.2, 3), -0.4, 0.4))
    round_ = np.linalg.norm(
        (offsets @ turn.astype(np.float32)) / stretch.astype(np.float32), axis=-1
    )
    lobes = smooth_noise(shape, max(3.0, radius_mm * 0.7 / spacing_mm), rng)
    fringe = smooth_noise(shape, rng.uniform(2.0, 5.0), rng)
    rough = round_ + 0.25 * min(radius_mm, 16.0) * lobes + min(1.5, 0.2 * radius_mm) * fringe
    return np.asarray(rough, np.float32)


def _edema(
    head: HeadMap, core: Mask, reach_mm: float, spacing_mm: float, rng: np.random.Generator
) -> Mask:
    """Voxels that a front starting at the core reaches, fast in white matter, never through CSF."""
    if reach_mm < spacing_mm or not core.any():
        return np.zeros(core.shape, bool)
    cost = np.full(head.shape, 1e3, np.float32)
    cost[head == Substance.GREY] = _EDEMA_COST_GREY * rng.uniform(0.8, 1.6)
    for substance, price in _EDEMA_COST.items():
        cost[head == substance] = price
    cost[core] = 0.0
    cost *= np.exp(0.5 * smooth_noise(head.shape, 14.0 / spacing_mm, rng)) * spacing_mm
    arrival = torch.full((1, 1, *head.shape), 1e4)
    arrival[0, 0][torch.from_numpy(core)] = 0.0
    price_per_step = torch.from_numpy(cost)[None, None]
    for step in range(int(np.ceil(1.6 * reach_mm / spacing_mm))):
        # Alternating cube and cross neighbourhoods makes the front nearly round.
        nearest = -F.max_pool3d(-arrival, 3, 1, 1) if step % 2 else _cross_minimum(arrival)
        arrival = torch.minimum(arrival, nearest + price_per_step)
    reached: Mask = arrival[0, 0].numpy() < reach_mm
    return reached


def _cross_minimum(x: torch.Tensor) -> torch.Tensor:
    """Minimum over a voxel and its six face neighbours."""
    along = [-F.max_pool3d(-x, k, 1, p) for k, p in _CROSS]
    return torch.minimum(torch.minimum(along[0], along[1]), along[2])


_CROSS = (((3, 1, 1), (1, 0, 0)), ((1, 3, 1), (0, 1, 0)), ((1, 1, 3), (0, 0, 1)))


def _ring(on: _Canvas, rng: np.random.Generator) -> None:
    """Draw a rim that enhances around a necrotic centre; patchy tumours have holes in the rim."""
    thickness = rng.uniform(1.8, 7.0) if on.lesion.kind == "ring" else rng.uniform(4.0, 14.0)
    wavy = smooth_noise(on.core.shape, rng.uniform(2.0, 5.0), rng)
    necrotic = on.core & (
        on.distance + wavy * rng.uniform(0.5, 2.5) < on.lesion.radius_mm - thickness
    )
    holes = smooth_noise(on.core.shape, rng.uniform(4.0, 12.0) / on.spacing_mm, rng)
    threshold = rng.uniform(1.2, 2.6) if on.lesion.kind == "ring" else rng.uniform(0.2, 1.2)
    silent = on.core & ~necrotic & (holes > threshold)
    rim = on.core & ~necrotic & ~silent
    on.head[rim], on.labels[rim] = Substance.ENHANCING, Tissue.ENHANCING
    on.head[necrotic], on.labels[necrotic] = Substance.NECROSIS, Tissue.NECROSIS
    if rng.random() < 0.5:
        on.head[silent], on.labels[silent] = Substance.INFILTRATED, Tissue.NECROSIS
    else:
        on.head[silent], on.labels[silent] = Substance.EDEMA, Tissue.EDEMA


def _solid(on: _Canvas, _rng: np.random.Generator) -> None:
    """Draw a core that enhances throughout."""
    on.head[on.core], on.labels[on.core] = Substance.ENHANCING, Tissue.ENHANCING


def _infiltrative(on: _Canvas, rng: np.random.Generator) -> None:
    """Draw a tumour without enhancement: BraTS counts it as the FLAIR-bright class."""
    on.head[on.core] = Substance.INFILTRATED if rng.random() < 0.6 else Substance.EDEMA
    on.labels[on.core] = Tissue.EDEMA


def _cavity(on: _Canvas, rng: np.random.Generator) -> None:
    """Draw a resection cavity, blood at its wall, gliosis, and a thin or nodular rest of tumour."""
    wall = rng.uniform(1.5, 5.0)
    hollow = on.core & (on.distance < on.lesion.radius_mm - wall)
    rim = on.core & ~hollow
    on.head[rim], on.labels[rim] = Substance.EDEMA, Tissue.EDEMA
    on.head[hollow], on.labels[hollow] = Substance.CAVITY, Tissue.BACKGROUND
    wavy = smooth_noise(on.core.shape, rng.uniform(5.0, 14.0) / on.spacing_mm, rng)
    if rng.random() < 0.35:
        clot = (
            on.core
            & (on.distance > on.lesion.radius_mm - wall - rng.uniform(1.0, 4.0))
            & (wavy < -0.8)
        )
        on.head[clot], on.labels[clot] = Substance.BLOOD, Tissue.BACKGROUND
    if rng.random() < 0.8:
        rest = rim & (wavy > rng.uniform(-0.8, 1.3))
        on.head[rest], on.labels[rest] = Substance.ENHANCING, Tissue.ENHANCING


def _craniotomy(head: HeadMap, lesion: Lesion, spacing_mm: float, rng: np.random.Generator) -> None:
    """Replace the bone nearest to a cavity by a gap or a flap with a seam, in place."""
    bone = np.argwhere(np.isin(head, (Substance.CORTICAL_BONE, Substance.MARROW)))
    if not len(bone):
        return
    away = np.linalg.norm(bone - np.array(lesion.centre), axis=1)
    nearest = bone[int(away.argmin())]
    from_hole = np.linalg.norm(bone - nearest, axis=1) * spacing_mm
    radius = rng.uniform(18.0, 35.0)
    flap = rng.random() < 0.6
    gone = (from_hole < radius) & (~flap | (from_hole > radius - 3.0))
    k, i, j = bone[gone].T
    head[k, i, j] = Substance.SOFT if rng.random() < 0.5 else Substance.MUSCLE
