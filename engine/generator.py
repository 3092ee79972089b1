"""Generated heads: from a map of substances to FLAIR, T1gd and T2 with their labels.

`geometry` deforms a head map and draws tumours into it; `render` turns one geometry into images
with the signal equations, slices, bias and noise of one imagined scanner. One geometry is rendered
several times. Everything is a function of the random generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine import signal
from engine.acquisition import Slicing, acquired, as_read
from engine.anatomy import BRAIN, Substance
from engine.deform import look_up, pushed, sampling_grid
from engine.morphology import blurred, closed, dilated, opened
from engine.tumour import draw, draw_lesions, made_of, smooth_noise, white_matter_disease

Floats = npt.NDArray[np.float64]
_Channels = tuple[Tensor, Tensor, Tensor]

_ENHANCES = {
    Substance.SOFT: (0.0, 0.05),
    Substance.ARTERY: (0.3, 2.0),
    Substance.VEIN: (0.3, 2.0),
    Substance.MUCOSA: (0.15, 0.8),
    Substance.CHOROID: (0.2, 0.9),
    Substance.MUSCLE: (0.0, 0.12),
    Substance.MARROW: (0.0, 0.1),
    Substance.DURA: (0.03, 0.5),
    Substance.NECROSIS: (0.0, 0.03),
    Substance.ENHANCING: (0.11, 0.9),
}
"""Lowest and highest concentration of gadolinium in each substance, mmol/L, drawn log-uniformly."""

_TEXTURED = {
    Substance.EDEMA: 0.10,
    Substance.NECROSIS: 0.12,
    Substance.ENHANCING: 0.12,
    Substance.INFILTRATED: 0.10,
    Substance.CAVITY: 0.06,
    Substance.BLOOD: 0.25,
    Substance.SOFT: 0.45,
    Substance.SKIN: 0.35,
    Substance.MUSCLE: 0.20,
    Substance.MARROW: 0.20,
    Substance.MUCOSA: 0.15,
    Substance.GREY: 0.13,
    Substance.WHITE: 0.08,
    Substance.DEEP_GREY: 0.10,
    Substance.BRAINSTEM: 0.10,
    Substance.CSF: 0.03,
}
"""Greatest relative variation of relaxation times within a substance."""


SCATTER = 0.07
"""Standard deviation of the logarithm of relaxation times and densities from head to head."""
SCATTER_OUTSIDE = 0.4
"""The same outside the brain: fat suppression, flow, coils and age make anything of these."""
FAVOUR = (1.0, 2.5)
"""How much more readers of thick slices see enhancement than its share of a slice."""
_OUTSIDE = (
    Substance.SOFT,
    Substance.SKIN,
    Substance.CORTICAL_BONE,
    Substance.MARROW,
    Substance.MUSCLE,
    Substance.MUCOSA,
    Substance.EYE,
    Substance.ARTERY,
    Substance.VEIN,
    Substance.DURA,
    Substance.CORD,
)


@dataclass(frozen=True)
class Geometry:
    """One head with its tumours, before any scanner looks at it.

    Parameters
    ----------
    substances
        ``(D, H, W)`` uint8 of `Substance`.
    labels
        ``(D, H, W)`` uint8 of `study.tissue.Tissue`.
    brain
        ``(D, H, W)`` bool: brain, ventricles, sulci, tumour and cavity.
    spacing_mm
        Edge of a voxel.
    """

    substances: Tensor
    labels: Tensor
    brain: Tensor
    spacing_mm: float


@dataclass(frozen=True)
class Sample:
    """Images of a geometry.

    Parameters
    ----------
    images
        ``(3, D, H, W)`` float32, FLAIR, T1gd, T2 in arbitrary units.
    labels
        ``(D, H, W)`` uint8 as a reader would draw them on these slices.
    brain
        ``(D, H, W)`` bool.
    spacing_mm
        Edge of a voxel.
    """

    images: Tensor
    labels: Tensor
    brain: Tensor
    spacing_mm: float

    def arrays(
        self,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Images, labels and brain as arrays."""
        images, labels, brain = (x.cpu().numpy() for x in (self.images, self.labels, self.brain))
        return images, labels, brain


def geometry(
    head: Tensor,
    shape: tuple[int, int, int],
    spacing_mm: float,
    rng: np.random.Generator,
    *,
    tumours: bool = True,
) -> Geometry:
    """Deform a head, draw tumours and distractors into it.

    Parameters
    ----------
    head
        1 mm head map, uint8, (slice, row, column) towards (head, back, left). Its device is where
        everything is computed.
    shape
        Of the result, in voxels.
    spacing_mm
        Edge of a voxel of the result.
    rng
        Source of all randomness.
    tumours
        False makes a healthy head.

    Returns
    -------
    Geometry
        Centred on the brain.
    """
    grid = sampling_grid(head, shape, spacing_mm, rng)
    substances = look_up(head, grid)
    lesions = draw_lesions(substances, spacing_mm, rng) if tumours else []
    for lesion in lesions:
        if lesion.kind != "cavity" and rng.random() < 0.6:
            push = rng.uniform(0.0, 0.35) * lesion.radius_mm
            grid = pushed(grid, lesion.centre, push, lesion.radius_mm, spacing_mm)
    if lesions:
        substances = look_up(head, grid)
    if rng.random() < 0.35:
        substances = white_matter_disease(substances, spacing_mm, rng)
    brain = brain_mask(substances, spacing_mm)
    if rng.random() < 0.6:
        substances = _with_dura(substances, spacing_mm)
    if rng.random() < 0.5:
        substances = _with_cortical_veins(substances, spacing_mm, rng)
    labels = torch.zeros_like(substances)
    for lesion in lesions:
        substances, drawn = draw(substances, lesion, spacing_mm, rng)
        labels = torch.where(drawn > 0, drawn, labels)
    labels = labels * made_of(substances, _TUMOUR)
    return Geometry(substances, labels, brain | (labels > 0), spacing_mm)


_TUMOUR = (Substance.EDEMA, Substance.NECROSIS, Substance.ENHANCING, Substance.INFILTRATED)


def brain_mask(substances: Tensor, spacing_mm: float) -> Tensor:
    """Brain with ventricles, sulci and the vessels within; those on its surface are left out."""
    steps = max(1, round(2.0 / spacing_mm))
    brain = opened(made_of(substances, (*BRAIN, Substance.LESION_OF_WHITE_MATTER)), steps)
    vessels = made_of(substances, (Substance.ARTERY, Substance.VEIN))
    return closed(brain, steps) | (vessels & closed(brain, 3 * steps))


def render(
    scene: Geometry, rng: np.random.Generator, *, invented: float = 0.0, inside: float = 0.25
) -> Sample:
    """Image a geometry with one imagined scanner.

    Parameters
    ----------
    scene
        What is imaged.
    rng
        Source of all randomness.
    invented
        Share of renderings whose substances are made brighter or darker at random in each channel,
        whatever the signal equations say, most of all outside the brain: who learns the brain's
        outline from these relies on no contrast (Hoopes et al. 2022, SynthStrip).
    inside
        Standard deviation of the logarithm of these gains inside the brain.

    Returns
    -------
    Sample
        FLAIR, T1gd and T2 on the geometry's grid, each with its own slices, shift and noise.
    """
    t1, t2, density = _relaxation_maps(scene.substances, scene.spacing_mm, rng)
    gadolinium = _gadolinium(scene, rng)
    slicing = Slicing.draw(scene.spacing_mm, rng)
    flair_t1 = signal.with_gadolinium(t1, gadolinium) if rng.random() < 0.3 else t1
    clean = (
        _flair(flair_t1, t2, density, rng),
        _t1gd(signal.with_gadolinium(t1, gadolinium), t2, density, rng),
        _t2(t1, t2, density, rng),
    )
    if rng.random() < invented:
        clean = _invented(clean, scene.substances, inside, rng)
    images = [
        acquired(image, thickness, axis, scene.spacing_mm, rng, move=channel != 1)
        for channel, (image, (thickness, axis)) in enumerate(
            zip(clean, slicing.channels, strict=True)
        )
    ]
    labels = scene.labels
    if slicing.read:
        labels = as_read(labels, *slicing.channels[1], favour=float(rng.uniform(*FAVOUR)))
    return Sample(torch.stack(images), labels, scene.brain, scene.spacing_mm)


def _invented(
    images: _Channels, substances: Tensor, inside: float, rng: np.random.Generator
) -> _Channels:
    """Give every substance a gain of its own in every channel."""
    spread = np.full(len(Substance), inside)
    spread[list(_OUTSIDE)] = 0.8
    gains = _table(np.exp(rng.normal(0.0, 1.0, (3, len(spread))) * spread), substances)
    where = substances.long()
    flair, t1gd, t2 = (image * gain[where] for image, gain in zip(images, gains, strict=True))
    return flair, t1gd, t2


def _with_dura(substances: Tensor, spacing_mm: float) -> Tensor:
    """Dura where fluid meets bone."""
    bone = made_of(substances, (Substance.CORTICAL_BONE, Substance.MARROW))
    near = dilated(bone, max(1, round(1.5 / spacing_mm)))
    return substances.masked_fill(near & (substances == Substance.CSF), int(Substance.DURA))


def _with_cortical_veins(substances: Tensor, spacing_mm: float, rng: np.random.Generator) -> Tensor:
    """Veins here and there in the sulci: small, and bright after gadolinium."""
    scale = max(1.0, rng.uniform(2.0, 3.5) / spacing_mm)
    spots = smooth_noise(tuple(substances.shape), scale, rng, substances.device)
    veins = (substances == Substance.CSF) & (spots > rng.uniform(1.4, 2.2))
    return substances.masked_fill(veins, int(Substance.VEIN))


def _table(values: Floats, head: Tensor) -> Tensor:
    """A table with a value for each substance, where a head lies."""
    return torch.tensor(values, dtype=torch.float32, device=head.device)


def _scatter() -> Floats:
    """Scatter of each substance."""
    scatter = np.full(len(Substance), SCATTER)
    scatter[list(_OUTSIDE)] = SCATTER_OUTSIDE
    return scatter


def _relaxation_maps(substances: Tensor, spacing_mm: float, rng: np.random.Generator) -> _Channels:
    """T1, T2 (ms) and proton density of every voxel, with texture."""
    tesla = float(rng.choice((1.5, 3.0), p=(0.45, 0.55)))
    table = signal.at_field(signal.relaxation(), tesla)
    table = table * np.exp(rng.normal(0.0, 1.0, table.shape) * _scatter()[:, None])
    # Trains of refocusing pulses show fat much brighter than its T2 would (Henkelman et al. 1992).
    table[[Substance.SOFT, Substance.MARROW, Substance.SKIN], 1] *= rng.uniform(1.0, 3.5)
    if rng.random() < 0.5:
        # A calvaria full of fatty marrow is bright, most of all where slices cut it obliquely.
        bone, marrow = table[Substance.CORTICAL_BONE], table[Substance.MARROW]
        table[Substance.CORTICAL_BONE] = bone + rng.uniform(0.2, 1.0) * (marrow - bone)
    if rng.random() < 0.5:
        # On many a spin echo grey and white matter can hardly be told apart.
        grey, white = table[Substance.GREY, 0], table[Substance.WHITE, 0]
        table[Substance.GREY, 0] = grey + rng.uniform(0.0, 0.7) * (white - grey)
    if rng.random() < 0.6:
        # What fills a cavity is anything from clear fluid to fluid full of protein and debris.
        clear, thick = table[Substance.CAVITY], table[Substance.NECROSIS]
        table[Substance.CAVITY] = clear * (thick / clear) ** rng.uniform(0.0, 0.9)
    variation = np.zeros(len(table))
    for substance, most in _TEXTURED.items():
        variation[substance] = rng.uniform(0.2, 1.0) * most
    shape, device = tuple(substances.shape), substances.device
    fine = smooth_noise(shape, rng.uniform(1.5, 4.0) / spacing_mm + 1.0, rng, device)
    coarse = smooth_noise(shape, rng.uniform(8.0, 25.0) / spacing_mm, rng, device)
    where = substances.long()
    texture = 1.0 + _table(variation, substances)[where] * (0.6 * fine + 0.8 * coarse)
    factor = texture.clamp(0.4, 2.0)
    t1, t2, density = (column[where] for column in _table(table.T, substances))
    return t1 * factor, t2 * factor, density * factor.sqrt()


def _gadolinium(scene: Geometry, rng: np.random.Generator) -> Tensor:
    """Concentration of gadolinium in every voxel, mmol/L."""
    table = np.zeros(len(Substance))
    for substance, (low, high) in _ENHANCES.items():
        table[substance] = np.exp(rng.uniform(np.log(low + 1e-3), np.log(high)))
    head = scene.substances
    amount = _table(table, head)[head.long()]
    # Knots and gaps within a rim, and an edge that leaks a little.
    scale = rng.uniform(2.0, 10.0) / scene.spacing_mm
    uneven = smooth_noise(tuple(head.shape), max(1.5, scale), rng, head.device)
    tumour = (head == Substance.ENHANCING) * torch.exp(rng.uniform(0.1, 0.8) * uneven)
    tumour = blurred(tumour, rng.uniform(0.0, 1.4) / scene.spacing_mm)
    others = amount.masked_fill(head == Substance.ENHANCING, 0.0)
    return others + float(table[Substance.ENHANCING]) * tumour


def _flair(t1: Tensor, t2: Tensor, density: Tensor, rng: np.random.Generator) -> Tensor:
    """FLAIR: an inversion time near the null of fluid."""
    tr, te = rng.uniform(5000.0, 11000.0), rng.uniform(80.0, 150.0)
    fluid = signal.relaxation()[Substance.CSF, 0]
    ti = signal.nulling_time(fluid, tr) * rng.uniform(0.92, 1.06)
    image = signal.inversion_recovery(t1, t2, density, tr, te, ti)
    if rng.random() < 0.4:
        # Fluid that flows in between the pulses is not nulled, here and there.
        flowing = smooth_noise(tuple(image.shape), rng.uniform(6.0, 20.0), rng, image.device)
        unsuppressed = (flowing - rng.uniform(0.5, 1.5)).clamp(0.0, 1.0)
        image = torch.where(t1 > 3000.0, image + float(image.mean()) * unsuppressed, image)
    return image


def _t1gd(t1: Tensor, t2: Tensor, density: Tensor, rng: np.random.Generator) -> Tensor:
    """T1 after gadolinium: spin echo, spoiled gradient echo, or magnetisation-prepared."""
    style = rng.random()
    if style < 0.4:
        tr, te = rng.uniform(400.0, 800.0), rng.uniform(8.0, 18.0)
        return signal.spin_echo(t1, t2, density, tr, te)
    if style < 0.65:
        tr, te, flip = rng.uniform(6.0, 30.0), rng.uniform(2.0, 5.0), rng.uniform(12.0, 35.0)
        return signal.spoiled_gradient_echo(t1, t2, density, tr, te, flip)
    tr, ti = rng.uniform(1700.0, 2400.0), rng.uniform(800.0, 1100.0)
    return signal.inversion_recovery(t1, t2, density, tr, 3.0, ti)


def _t2(t1: Tensor, t2: Tensor, density: Tensor, rng: np.random.Generator) -> Tensor:
    """T2-weighted turbo spin echo."""
    tr, te = rng.uniform(2500.0, 7000.0), rng.uniform(75.0, 130.0)
    return signal.spin_echo(t1, t2, density, tr, te)
