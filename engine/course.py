"""What becomes of one patient's tumour from date to date, drawn into a head map of 1 mm.

A `Course` is planned once; `drawn` gives the head at one of its dates. The shape of a focus is a
level of one random field, which is the same at every date: a tumour that grows keeps what it had.
Lengths are in mm, which are voxels of the head map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.anatomy import BRAIN, Substance
from engine.deform import look_up, pushed
from engine.morphology import eroded
from engine.tumour import made_of, offsets, smooth_noise

FIRST_RADIUS_MM = (7.0, 14.0)
"""Radius of the tumour's core at the first date."""
DEPTH_MM = 12
"""Least distance of the first focus from the brain's surface."""
GROWTH_MM_A_YEAR = (6.0, 24.0)
"""Radial growth of a small core (Wang et al. 2009: glioblastomas, some 5 to 50 mm a year)."""
SCATTER_OF_GROWTH = 0.3
"""Standard deviation of the logarithm of growth from one interval to the next."""
LARGEST_RADIUS_MM = 27.0
"""Growth slows down towards this radius."""
EDEMA_REACH = (0.2, 0.8)
"""How far edema goes through white matter, as a share of the core's radius, and 2 mm more."""
MASS_EFFECT = (0.0, 0.3)
"""How far the core's edge pushes tissue, as a share of its radius."""
CAVITY_OF_CORE = (0.9, 1.1)
"""Radius of the cavity, as a share of the core that was taken out."""
SHRINKS_A_YEAR = 0.15
"""Share of its radius that a cavity loses in a year."""
WALL_MM = (2.0, 4.0)
"""Gliosis around a cavity."""
RESTS = {"none": 0.2, "thin": 0.45, "nodular": 0.35}
"""What is left of the enhancing tumour at the wall, and how often."""
BLEEDS = 0.5
"""How often blood products lie at the wall at the first date after surgery."""
FLAP = 0.6
"""How often the bone was put back, so that only its seam shows."""
RECURS = 0.8
"""How often tumour comes again at the wall, from the second date after surgery on."""
DISTANT = 0.35
"""How often a new focus appears far away, at the second date or later."""
DISTANT_MM = 40.0
"""Least distance of a new focus from the first."""
NEW_RADIUS_MM = (3.0, 6.0)
"""Radius of a new focus when it is first seen."""

DAYS_A_YEAR = 365.25
_SEEDS_OF_TUMOUR = (Substance.WHITE, Substance.DEEP_GREY)
_SOLID = (*BRAIN, Substance.EDEMA, Substance.LESION_OF_WHITE_MATTER)
_PRICES = {
    Substance.WHITE: 1.0,
    Substance.EDEMA: 1.0,
    Substance.BRAINSTEM: 2.0,
    Substance.DEEP_GREY: 2.5,
    Substance.GREY: 2.6,
}
"""How slowly edema travels."""

Point = tuple[int, int, int]


@dataclass(frozen=True)
class Focus:
    """One focus of tumour.

    Parameters
    ----------
    centre
        Voxel of the head map.
    radii_mm
        Radius of the core at each date; 0 where it is not there.
    seed
        Of its shape, rim and edema.
    """

    centre: Point
    radii_mm: tuple[float, ...]
    seed: int


@dataclass(frozen=True)
class Surgery:
    """The tumour was taken out.

    Parameters
    ----------
    first_after
        Number of the first date after surgery, from 0.
    centre, seed
        Of the focus that was taken out.
    cavity_mm
        Radius of the cavity at each date; 0 before surgery.
    rest
        One of `RESTS`.
    bleeds
        Whether blood lies at the wall at the first date after it.
    """

    first_after: int
    centre: Point
    seed: int
    cavity_mm: tuple[float, ...]
    rest: str
    bleeds: bool


@dataclass(frozen=True)
class Course:
    """All foci, and the surgery if there is one."""

    foci: tuple[Focus, ...]
    surgery: Surgery | None


def planned(
    head: Tensor, years: Sequence[float], rng: np.random.Generator, *, surgery: bool
) -> Course:
    """Draw what will happen to a patient.

    Parameters
    ----------
    head
        ``(d, h, w)`` uint8 head map, 1 mm.
    years
        Time of each date since the first.
    rng
        Source of all randomness.
    surgery
        Whether the tumour is taken out between two of the dates.
    """
    places = made_of(head, _SEEDS_OF_TUMOUR)
    seeds = places.nonzero()
    inner = (places & eroded(made_of(head, BRAIN), DEPTH_MM)).nonzero()
    centre = _one_of(inner if len(inner) else seeds, rng)
    seed, count = int(rng.integers(2**31)), len(years)
    first_after = int(rng.integers(1, count)) if surgery else count
    radii = grown(float(rng.uniform(*FIRST_RADIUS_MM)), years, rng)
    kept = tuple(r if n < first_after else 0.0 for n, r in enumerate(radii))
    foci = [Focus(centre, kept, seed)]
    operation = None
    if surgery:
        taken = radii[first_after - 1] * float(rng.uniform(*CAVITY_OF_CORE))
        shrunk = [taken * (1.0 - SHRINKS_A_YEAR) ** (t - years[first_after]) for t in years]
        cavity = tuple(r if n >= first_after else 0.0 for n, r in enumerate(shrunk))
        rest = str(rng.choice(list(RESTS), p=list(RESTS.values())))
        operation = Surgery(first_after, centre, seed, cavity, rest, rng.random() < BLEEDS)
        if first_after + 1 < count and rng.random() < RECURS:
            at_wall = _one_of(_wall(head, operation, seeds), rng)
            foci.append(_new_focus(at_wall, first_after + 1, years, rng))
    if count > 1 and rng.random() < DISTANT:
        away = torch.linalg.vector_norm((seeds - torch.tensor(centre)).float(), dim=1)
        far = seeds[away > DISTANT_MM]
        if len(far):
            foci.append(_new_focus(_one_of(far, rng), int(rng.integers(1, count)), years, rng))
    return Course(tuple(foci), operation)


def grown(first_mm: float, years: Sequence[float], rng: np.random.Generator) -> tuple[float, ...]:
    """Radius of a core at each date: it grows at a rate of its own, slower when it is large."""
    rate = float(rng.uniform(*GROWTH_MM_A_YEAR))
    radii = [first_mm]
    for before, now in pairwise(years):
        left = LARGEST_RADIUS_MM - radii[-1]
        speed = rate * float(np.exp(rng.normal(0.0, SCATTER_OF_GROWTH)))
        radii.append(LARGEST_RADIUS_MM - left * float(np.exp(-speed * (now - before) / 20.0)))
    return tuple(radii)


def drawn(head: Tensor, course: Course, number: int) -> Tensor:
    """Draw a head at one of the dates of a course.

    Parameters
    ----------
    head
        ``(d, h, w)`` uint8 head map, 1 mm; not changed.
    course
        Planned for this head.
    number
        Of the date, from 0.

    Returns
    -------
    Tensor
        The head map with tumour, cavity and craniotomy.
    """
    head = head.clone()
    surgery = course.surgery
    if surgery is not None and number >= surgery.first_after:
        _draw_cavity(head, surgery, number)
        _draw_craniotomy(head, surgery)
    for focus in course.foci:
        if focus.radii_mm[number] > 0.0:
            _draw_focus(head, focus, number)
    return head


@dataclass(frozen=True)
class _Shape:
    """What makes a focus the same at every date."""

    box: tuple[slice, ...]
    centre: Point
    """Within the box."""
    far: Tensor
    """Distance from the centre in mm, irregular."""
    wavy: Tensor
    holes: Tensor
    uneven: Tensor
    rng: np.random.Generator
    """For what is drawn once, in always the same order."""


def _shape(head: Tensor, centre: Point, largest_mm: float, seed: int) -> _Shape:
    """Random fields around a centre."""
    half = int(1.9 * largest_mm + 26.0)
    ends = [
        (max(0, c - half), min(n, c + half + 1)) for c, n in zip(centre, head.shape, strict=True)
    ]
    box = tuple(slice(low, high) for low, high in ends)
    k, i, j = (c - low for c, (low, _) in zip(centre, ends, strict=True))
    size = tuple(high - low for low, high in ends)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    stretch = np.exp(np.clip(rng.normal(0.0, 0.2, 3), -0.35, 0.35))
    metric = torch.tensor(turn / stretch, dtype=torch.float32)
    away = torch.linalg.vector_norm(
        offsets(size, [float(k), float(i), float(j)], head.device) @ metric, dim=-1
    )
    lobes = smooth_noise(size, max(6.0, 0.7 * largest_mm), rng)
    fringe, wavy = smooth_noise(size, 4.0, rng), smooth_noise(size, 7.0, rng)
    far = away * (1.0 + 0.16 * lobes.clamp(-2.0, 2.0)) + 0.7 * fringe
    uneven = torch.exp(0.4 * smooth_noise(size, 14.0, rng))
    return _Shape(box, (k, i, j), far, wavy, smooth_noise(size, 8.0, rng), uneven, rng)


def _draw_focus(head: Tensor, focus: Focus, number: int) -> None:
    """Draw rim, necrotic centre, holes and edema of a focus, in place."""
    radius = focus.radii_mm[number]
    shape = _shape(head, focus.centre, max(focus.radii_mm), focus.seed)
    rng = shape.rng
    push, reach = float(rng.uniform(*MASS_EFFECT)), float(rng.uniform(*EDEMA_REACH))
    rim_mm, hole = float(rng.uniform(2.5, 6.0)), float(rng.uniform(0.8, 2.4))
    inside = _pushed_aside(head[shape.box], shape.centre, push * radius, radius)
    solid = made_of(inside, _SOLID)
    deep_fluid = (inside == Substance.CSF) & (shape.far > radius - 3.0)
    core = (shape.far < radius) & solid & ~deep_fluid
    arrival = _arrival(inside, core, shape.uneven, 2.0 + reach * radius)
    edema = (arrival < 2.0 + reach * radius) & made_of(inside, _PRICES)
    inside[edema] = int(Substance.EDEMA)
    inside[core] = int(Substance.ENHANCING)
    inside[core & (shape.holes > hole)] = int(Substance.INFILTRATED)
    necrotic = shape.far + 1.2 * shape.wavy < radius - rim_mm
    inside[core & necrotic] = int(Substance.NECROSIS)
    head[shape.box] = inside


def _draw_cavity(head: Tensor, surgery: Surgery, number: int) -> None:
    """Draw a cavity with gliosis, blood and what is left of the tumour, in place."""
    radius = surgery.cavity_mm[number]
    shape = _shape(head, surgery.centre, max(surgery.cavity_mm), surgery.seed)
    rng = shape.rng
    wall, threshold = float(rng.uniform(*WALL_MM)), float(rng.uniform(0.0, 0.9))
    nodule_mm, reach = float(rng.uniform(3.0, 6.0)), float(rng.uniform(*EDEMA_REACH))
    inside = head[shape.box]
    core = (shape.far < radius) & made_of(inside, _SOLID)
    hollow = core & (shape.far < radius - wall)
    rim = core & ~hollow
    gliosis = _arrival(inside, core, shape.uneven, 2.0 + 0.4 * reach * radius)
    inside[(gliosis < 2.0 + 0.4 * reach * radius) & made_of(inside, _PRICES)] = int(Substance.EDEMA)
    inside[rim] = int(Substance.EDEMA)
    if surgery.rest == "thin":
        inside[rim & (shape.wavy > threshold)] = int(Substance.ENHANCING)
    elif surgery.rest == "nodular" and bool(rim.any()):
        at = _one_of(rim.nonzero(), rng)
        away = torch.linalg.vector_norm(
            offsets(tuple(rim.shape), [float(c) for c in at], rim.device), dim=-1
        )
        inside[(away < nodule_mm) & made_of(inside, _PRICES)] = int(Substance.ENHANCING)
    inside[hollow] = int(Substance.CAVITY)
    if surgery.bleeds and number == surgery.first_after:
        clot = hollow & (shape.far > radius - wall - 2.5) & (shape.holes < -0.4)
        inside[clot] = int(Substance.BLOOD)


def _draw_craniotomy(head: Tensor, surgery: Surgery) -> None:
    """Replace the bone nearest to the cavity, or a seam around it, in place."""
    bone = made_of(head, (Substance.CORTICAL_BONE, Substance.MARROW)).nonzero()
    if not len(bone):
        return
    rng = np.random.default_rng(surgery.seed + 1)
    away = torch.linalg.vector_norm((bone - torch.tensor(surgery.centre)).float(), dim=1)
    hole = bone[int(away.argmin())]
    from_hole = torch.linalg.vector_norm((bone - hole).float(), dim=1)
    radius = float(rng.uniform(18.0, 32.0))
    gone = from_hole < radius
    if rng.random() < FLAP:
        gone &= from_hole > radius - 3.0
    k, i, j = bone[gone].unbind(dim=1)
    head[k, i, j] = int(Substance.SOFT if rng.random() < 0.5 else Substance.MUSCLE)


def _pushed_aside(inside: Tensor, centre: Point, push_mm: float, radius_mm: float) -> Tensor:
    """Give tissue that made way for a tumour."""
    if push_mm < 0.5:
        return inside.clone()
    here = offsets(tuple(inside.shape), (0.0, 0.0, 0.0), inside.device)
    return look_up(inside, pushed(here, centre, push_mm, radius_mm, 1.0))


_WAYS = tuple(
    (along, float(np.sqrt(sum(along)))) for along in product((0, 1), repeat=3) if any(along)
)
"""Axes along which a step goes, and how far: over faces, edges and corners."""


def _arrival(inside: Tensor, core: Tensor, uneven: Tensor, reach_mm: float) -> Tensor:
    """When a front from a core arrives, in mm of white matter; worked out on every second voxel."""
    prices = torch.full((256,), 50.0, device=inside.device)
    for substance, price in _PRICES.items():
        prices[int(substance)] = price
    cost = 2.0 * (prices[inside.long()] * uneven)[None, None, ::2, ::2, ::2]
    found = torch.full_like(cost, 1e3)
    # A core of a few voxels must not fall between those that are looked at.
    found[F.max_pool3d(core[None, None].float(), 2, 2, ceil_mode=True) > 0.0] = 0.0
    for _ in range(int(np.ceil(0.8 * reach_mm))):
        ways = [
            cost * far - F.max_pool3d(-found, tuple(2 * a + 1 for a in along), 1, along)
            for along, far in _WAYS
        ]
        found = torch.stack([found, *ways]).amin(0)
    found = found.clamp(max=4.0 * reach_mm)
    fine = F.interpolate(found, size=tuple(inside.shape), mode="trilinear", align_corners=False)
    return fine[0, 0].masked_fill(core, 0.0)


def _new_focus(
    centre: Point, first: int, years: Sequence[float], rng: np.random.Generator
) -> Focus:
    """Give a focus that appears at a date and grows."""
    radii = grown(float(rng.uniform(*NEW_RADIUS_MM)), years[first:], rng)
    return Focus(centre, (0.0,) * first + radii, int(rng.integers(2**31)))


def _wall(head: Tensor, surgery: Surgery, seeds: Tensor) -> Tensor:
    """White matter just outside a cavity; all of it where there is none."""
    shape = _shape(head, surgery.centre, max(surgery.cavity_mm), surgery.seed)
    ring = (shape.far - max(surgery.cavity_mm) - 1.0).abs() < 1.5
    low = torch.tensor([s.start for s in shape.box])
    found = (ring & (head[shape.box] == Substance.WHITE)).nonzero() + low
    return found if len(found) else seeds


def _one_of(points: Tensor, rng: np.random.Generator) -> Point:
    """Pick one row of ``(n, 3)`` points."""
    k, i, j = points[int(rng.integers(len(points)))].tolist()
    return int(k), int(i), int(j)
