"""Tumours and what surgery leaves, drawn into a head of substances.

Everything works on tensors ``(D, H, W)`` with cubic voxels of `spacing_mm`, on the device where the
head lies, and on a random generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.anatomy import BRAIN, Substance
from engine.morphology import blurred, distance
from study.tissue import Tissue

CPU = torch.device("cpu")
KINDS = ("ring", "solid", "patchy", "infiltrative", "cavity")
_KIND_SHARES = (0.40, 0.11, 0.18, 0.06, 0.25)

_EDEMA_COST = {Substance.WHITE: 1.0, Substance.BRAINSTEM: 2.0, Substance.DEEP_GREY: 2.5}
_BARRIER = 1e3
"""Price of everything that edema does not cross."""
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

    head: Tensor
    labels: Tensor
    core: Tensor
    distance: Tensor
    """In mm from the lesion's centre, irregular."""
    lesion: Lesion
    spacing_mm: float

    def paint(self, where: Tensor, substance: Substance, tissue: Tissue) -> None:
        """Make some voxels of one substance and one tissue."""
        self.head[where] = int(substance)
        self.labels[where] = int(tissue)

    def noise(self, scale: float, rng: np.random.Generator) -> Tensor:
        """Give `smooth_noise` over the canvas."""
        return smooth_noise(tuple(self.core.shape), scale, rng, self.core.device)


def smooth_noise(
    shape: tuple[int, ...], scale: float, rng: np.random.Generator, device: torch.device = CPU
) -> Tensor:
    """Gaussian noise of about unit variance that varies over `scale` voxels.

    Parameters
    ----------
    shape
        ``(D, H, W)`` of the result.
    scale
        Distance in voxels between the points that are drawn; between them it is interpolated.
    rng
        Source of all randomness.
    device
        Of the result, which is float32.
    """
    coarse = [max(2, int(np.ceil(n / scale)) + 1) for n in shape]
    grid = torch.from_numpy(rng.standard_normal(coarse).astype(np.float32)).to(device)
    field = F.interpolate(grid[None, None], size=shape, mode="trilinear", align_corners=True)
    return field[0, 0]


def made_of(head: Tensor, substances: Iterable[int]) -> Tensor:
    """Mask of the voxels of a head map that are one of some substances."""
    table = torch.zeros(256, dtype=torch.bool, device=head.device)
    table[[int(s) for s in substances]] = True
    return table[head.long()]


def offsets(shape: tuple[int, ...], centre: Sequence[float], device: torch.device) -> Tensor:
    """``(D, H, W, 3)`` float32: how many voxels each voxel is from a centre, along each axis."""
    axes = [
        torch.arange(n, dtype=torch.float32, device=device) - c
        for n, c in zip(shape, centre, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def draw_lesions(head: Tensor, spacing_mm: float, rng: np.random.Generator) -> list[Lesion]:
    """Choose foci: mostly one, at times two or three; none in a few healthy heads."""
    seeds = made_of(head, (Substance.WHITE, Substance.DEEP_GREY)).nonzero()
    if len(seeds) < 100 or rng.random() < 0.06:
        return []
    first_kind = str(rng.choice(KINDS, p=_KIND_SHARES))
    largest = 34.0 if first_kind == "cavity" else 26.0  # a lobe may have been taken out
    lesions = [Lesion(_one_of(seeds, rng), float(rng.uniform(5.0, largest)), first_kind)]
    for _ in range(int(rng.choice((0, 1, 2), p=(0.74, 0.19, 0.07)))):
        kind = str(rng.choice(("ring", "solid", "patchy")))
        first = torch.tensor(lesions[0].centre, device=head.device)
        near = torch.linalg.vector_norm((seeds - first).float(), dim=1) * spacing_mm < 60.0
        where = seeds[near] if rng.random() < 0.7 and bool(near.any()) else seeds
        lesions.append(Lesion(_one_of(where, rng), float(rng.uniform(2.5, 9.0)), kind))
    return lesions


def draw(
    head: Tensor, lesion: Lesion, spacing_mm: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw one focus into a head.

    Parameters
    ----------
    head
        ``(D, H, W)`` uint8 substances; not changed.
    lesion
        What to draw.
    spacing_mm
        Edge of a voxel.
    rng
        Source of all randomness.

    Returns
    -------
    head, labels
        The head with the lesion, and uint8 `Tissue` values of this lesion alone, same shape.
    """
    reach = _edema_reach(lesion, rng)
    box = _box(
        tuple(head.shape), lesion.centre, (1.6 * lesion.radius_mm + reach + 10.0) / spacing_mm
    )
    inside = head[box].clone()
    labels = torch.zeros_like(inside)
    centre = [c - s.start for c, s in zip(lesion.centre, box, strict=True)]
    brain = made_of(inside, BRAIN)
    far = _distance(inside, centre, spacing_mm, lesion.radius_mm, rng)
    # Tumour pushes into ventricles and sulci a little, but does not cross them.
    fluid = inside == Substance.CSF
    core = (far < lesion.radius_mm) & brain & ~(fluid & (far > lesion.radius_mm - 3.0))
    edema = _edema(inside, core, reach, spacing_mm, rng) & brain & ~core
    parts = {"cavity": _cavity, "infiltrative": _infiltrative, "solid": _solid}
    canvas = _Canvas(inside, labels, core, far, lesion, spacing_mm)
    canvas.paint(edema, Substance.EDEMA, Tissue.EDEMA)
    parts.get(lesion.kind, _ring)(canvas, rng)
    head, full = head.clone(), torch.zeros_like(head)
    head[box], full[box] = inside, labels
    if lesion.kind == "cavity" and rng.random() < 0.7:
        _craniotomy(head, lesion, spacing_mm, rng)
    return head, full


def white_matter_disease(head: Tensor, spacing_mm: float, rng: np.random.Generator) -> Tensor:
    """Periventricular caps and small foci: bright on FLAIR and T2, no tumour."""
    white = head == Substance.WHITE
    shape = tuple(head.shape)
    near = distance(head == Substance.CSF, max(1, round(5.0 / spacing_mm))) * spacing_mm
    wavy = smooth_noise(shape, 10.0 / spacing_mm, rng, head.device)
    caps = white & (near < rng.uniform(1.5, 5.0)) & (wavy > rng.uniform(0.0, 1.5))
    spots = smooth_noise(shape, rng.uniform(3.0, 6.0) / spacing_mm, rng, head.device)
    foci = white & (spots > rng.uniform(2.3, 3.2))
    return head.masked_fill(caps | foci, int(Substance.LESION_OF_WHITE_MATTER))


def _one_of(points: Tensor, rng: np.random.Generator) -> tuple[int, int, int]:
    """Pick one row of ``(n, 3)`` points."""
    k, i, j = points[int(rng.integers(len(points)))].tolist()
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
    inside: Tensor,
    centre: Sequence[float],
    spacing_mm: float,
    radius_mm: float,
    rng: np.random.Generator,
) -> Tensor:
    """Distance in mm from the centre in a random ellipsoidal metric, made irregular by noise."""
    shape = tuple(inside.shape)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    stretch = np.exp(np.clip(rng.normal(0.0, 0.2, 3), -0.4, 0.4))
    metric = torch.tensor(turn / stretch, dtype=torch.float32, device=inside.device)
    away = (offsets(shape, centre, inside.device) * spacing_mm) @ metric
    lobes = smooth_noise(shape, max(3.0, radius_mm * 0.7 / spacing_mm), rng, inside.device)
    fringe = smooth_noise(shape, rng.uniform(2.0, 5.0), rng, inside.device)
    rough = 0.25 * min(radius_mm, 16.0) * lobes + min(1.5, 0.2 * radius_mm) * fringe
    far: Tensor = torch.linalg.vector_norm(away, dim=-1) + rough
    return far


def _edema(
    head: Tensor, core: Tensor, reach_mm: float, spacing_mm: float, rng: np.random.Generator
) -> Tensor:
    """Voxels that a front starting at the core reaches, fast in white matter, never through CSF."""
    if reach_mm < spacing_mm or not bool(core.any()):
        return torch.zeros_like(core)
    prices = torch.full((256,), _BARRIER, device=head.device)
    prices[int(Substance.GREY)] = _EDEMA_COST_GREY * rng.uniform(0.8, 1.6)
    for substance, price in _EDEMA_COST.items():
        prices[int(substance)] = price
    cost = prices[head.long()].masked_fill(core, 0.0)
    uneven = smooth_noise(tuple(head.shape), 14.0 / spacing_mm, rng, head.device)
    price_per_step = (cost * torch.exp(0.5 * uneven) * spacing_mm)[None, None]
    arrival = torch.full_like(price_per_step, 1e4)
    arrival[0, 0][core] = 0.0
    for step in range(int(np.ceil(1.6 * reach_mm / spacing_mm))):
        # Alternating cube and cross neighbourhoods makes the front nearly round.
        nearest = -F.max_pool3d(-arrival, 3, 1, 1) if step % 2 else _cross_minimum(arrival)
        arrival = torch.minimum(arrival, nearest + price_per_step)
    # Blurred, it has the smooth fingers of edema instead of the steps of the grid.
    smooth = blurred((arrival[0, 0] < reach_mm).float(), 1.3 / spacing_mm) > 0.5
    return smooth & (cost < _BARRIER)


def _cross_minimum(x: Tensor) -> Tensor:
    """Minimum over a voxel and its six face neighbours."""
    along = [-F.max_pool3d(-x, k, 1, p) for k, p in _CROSS]
    return torch.minimum(torch.minimum(along[0], along[1]), along[2])


_CROSS = (((3, 1, 1), (1, 0, 0)), ((1, 3, 1), (0, 1, 0)), ((1, 1, 3), (0, 0, 1)))


def _ring(on: _Canvas, rng: np.random.Generator) -> None:
    """Draw a rim that enhances around a necrotic centre; patchy tumours have holes in the rim."""
    thickness = rng.uniform(1.8, 7.0) if on.lesion.kind == "ring" else rng.uniform(4.0, 14.0)
    wavy = on.noise(rng.uniform(2.0, 5.0), rng)
    necrotic = on.core & (
        on.distance + wavy * rng.uniform(0.5, 2.5) < on.lesion.radius_mm - thickness
    )
    holes = on.noise(rng.uniform(4.0, 12.0) / on.spacing_mm, rng)
    threshold = rng.uniform(1.2, 2.6) if on.lesion.kind == "ring" else rng.uniform(0.2, 1.2)
    silent = on.core & ~necrotic & (holes > threshold)
    rim = on.core & ~necrotic & ~silent
    on.paint(rim, Substance.ENHANCING, Tissue.ENHANCING)
    on.paint(necrotic, Substance.NECROSIS, Tissue.NECROSIS)
    if rng.random() < 0.5:
        on.paint(silent, Substance.INFILTRATED, Tissue.NECROSIS)
    else:
        on.paint(silent, Substance.EDEMA, Tissue.EDEMA)


def _solid(on: _Canvas, _rng: np.random.Generator) -> None:
    """Draw a core that enhances throughout."""
    on.paint(on.core, Substance.ENHANCING, Tissue.ENHANCING)


def _infiltrative(on: _Canvas, rng: np.random.Generator) -> None:
    """Draw a tumour without enhancement: BraTS counts it as the FLAIR-bright class."""
    substance = Substance.INFILTRATED if rng.random() < 0.6 else Substance.EDEMA
    on.paint(on.core, substance, Tissue.EDEMA)


def _cavity(on: _Canvas, rng: np.random.Generator) -> None:
    """Draw a resection cavity, blood at its wall, gliosis, and a thin or nodular rest of tumour."""
    wall = rng.uniform(1.5, 5.0)
    hollow = on.core & (on.distance < on.lesion.radius_mm - wall)
    rim = on.core & ~hollow
    on.paint(rim, Substance.EDEMA, Tissue.EDEMA)
    on.paint(hollow, Substance.CAVITY, Tissue.BACKGROUND)
    wavy = on.noise(rng.uniform(5.0, 14.0) / on.spacing_mm, rng)
    if rng.random() < 0.35:
        clot = (
            on.core
            & (on.distance > on.lesion.radius_mm - wall - rng.uniform(1.0, 4.0))
            & (wavy < -0.8)
        )
        on.paint(clot, Substance.BLOOD, Tissue.BACKGROUND)
    if rng.random() < 0.8:
        rest = rim & (wavy > rng.uniform(-0.8, 1.3))
        on.paint(rest, Substance.ENHANCING, Tissue.ENHANCING)
    if rng.random() < 0.35:
        left = hollow & _standing_into(on, on.lesion.radius_mm - wall, rng)
        on.paint(left, Substance.ENHANCING, Tissue.ENHANCING)


def _standing_into(on: _Canvas, hollow_mm: float, rng: np.random.Generator) -> Tensor:
    """Where tumour that was left stands into the fluid of a cavity: nodules, or sheets and strands.

    It is thin and has fluid on all sides, so that in thick slices it is bright after gadolinium and
    as dark on FLAIR as the fluid that it shares its voxels with.
    """
    depth = rng.uniform(2.0, 9.0)
    there = on.noise(rng.uniform(10.0, 25.0) / on.spacing_mm, rng) > rng.uniform(-0.3, 0.8)
    fine = on.noise(rng.uniform(3.0, 8.0) / on.spacing_mm, rng)
    nodules = rng.random() < 0.5
    shape = fine > rng.uniform(0.8, 1.4) if nodules else fine.abs() < rng.uniform(0.1, 0.35)
    standing: Tensor = there & shape & (on.distance > hollow_mm - depth)
    return standing


def _craniotomy(head: Tensor, lesion: Lesion, spacing_mm: float, rng: np.random.Generator) -> None:
    """Replace the bone nearest to a cavity by a gap or a flap with a seam, in place."""
    bone = made_of(head, (Substance.CORTICAL_BONE, Substance.MARROW)).nonzero()
    if not len(bone):
        return
    centre = torch.tensor(lesion.centre, device=head.device)
    away = torch.linalg.vector_norm((bone - centre).float(), dim=1)
    nearest = bone[int(away.argmin())]
    from_hole = torch.linalg.vector_norm((bone - nearest).float(), dim=1) * spacing_mm
    radius = rng.uniform(18.0, 35.0)
    gone = from_hole < radius
    if rng.random() < 0.6:  # a flap was put back: only its seam shows
        gone &= from_hole > radius - 3.0
    k, i, j = bone[gone].unbind(dim=1)
    head[k, i, j] = int(Substance.SOFT if rng.random() < 0.5 else Substance.MUSCLE)
