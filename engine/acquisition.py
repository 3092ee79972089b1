"""What a scanner makes of an ideal image: slices, blur, shading, artefacts, noise.

Everything is a function of the random generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.morphology import blurred, closed, shifted
from engine.tumour import offsets, smooth_noise
from study.tissue import Tissue

OUTLINED = 1.6
"""From which favour on an outline takes in the gaps of enhancement."""


@dataclass(frozen=True)
class Slicing:
    """How thick slices are, and along which axis.

    Parameters
    ----------
    channels
        Thickness in voxels and axis of the slices of each channel.
    read
        Whether labels are those that a reader would draw on the slices of T1gd.
    """

    channels: tuple[tuple[float, int], ...]
    read: bool

    @classmethod
    def draw(cls, spacing_mm: float, rng: np.random.Generator) -> Slicing:
        """Thick slices often, on T1gd less; usually all channels share the axial axis."""
        style = rng.random()
        shared = rng.uniform(3.0, 7.0) / spacing_mm
        drawn = []
        for channel in range(3):
            axis = 0 if rng.random() < 0.85 else int(rng.integers(3))
            mm = rng.uniform(3.0, 7.0) if rng.random() < (0.4, 0.25, 0.5)[channel] else 1.0
            drawn.append((mm / spacing_mm, axis))
        if style < 0.35:  # a study of thick axial slices, as many follow-ups are
            drawn = [(shared, 0)] * 3
        elif style < 0.6:  # all isotropic
            drawn = [(1.0 / spacing_mm, 0)] * 3
        return cls(tuple(drawn), bool(rng.random() < 0.8))


def acquired(
    image: Tensor,
    thickness: float,
    axis: int,
    spacing_mm: float,
    rng: np.random.Generator,
    *,
    move: bool,
) -> Tensor:
    """Slices, blur, shift, bias field, artefacts and Rician noise of one acquisition.

    Parameters
    ----------
    image
        ``(D, H, W)``, what the signal equations say, in arbitrary units.
    thickness, axis
        Of the slices, in voxels, and along which axis they follow one another.
    spacing_mm
        Edge of a voxel.
    rng
        Source of all randomness.
    move
        Whether the head may have moved since the channel that the others are aligned to.

    Returns
    -------
    Tensor
        ``(D, H, W)`` magnitudes (noise as in Gudbjartsson and Patz 1995).
    """
    shape = tuple(image.shape)
    if move and rng.random() < 0.35:
        i, j, k = rng.uniform(-2.0, 2.0, 3) / spacing_mm
        image = shifted(image, (i, j, k))
    bias = smooth_noise(shape, rng.uniform(50.0, 120.0) / spacing_mm, rng, image.device)
    image = image * torch.exp(rng.uniform(0.0, 0.3) * bias)
    if rng.random() < 0.5:
        image = image * _coil(image, rng.uniform(-0.35, 0.35, 3).tolist(), rng.uniform(0.0, 1.4))
    # A voxel at the border of two substances holds some of both; and no sequence is quite sharp.
    image = blurred(image, rng.uniform(0.5, 1.2) / spacing_mm**0.5)
    image = _through_slices(image, thickness, axis)
    if rng.random() < 0.08:
        image = _truncated(image, float(rng.uniform(0.5, 0.85)))
    if rng.random() < 0.08:
        image = _ghosted(image, int(rng.integers(1, 3)), rng)
    level = float(image.mean()) * rng.uniform(0.0, 0.09)
    source = torch.Generator(image.device).manual_seed(int(rng.integers(2**62)))
    real, other = torch.randn((2, *shape), generator=source, device=image.device) * level
    return torch.hypot(image + real, other)


def _truncated(image: Tensor, kept: float) -> Tensor:
    """Ringing at edges (Gibbs): of the highest frequencies in plane, only a part is kept."""
    spectrum = torch.fft.rfftn(image, dim=(1, 2))
    rows, columns = (torch.fft.fftfreq(n, device=image.device).abs() for n in image.shape[1:])
    spectrum[:, rows > 0.5 * kept] = 0.0
    spectrum[:, :, columns[: spectrum.shape[2]] > 0.5 * kept] = 0.0
    ringing: Tensor = torch.fft.irfftn(spectrum, s=image.shape[1:], dim=(1, 2))
    return ringing.abs()


def _ghosted(image: Tensor, axis: int, rng: np.random.Generator) -> Tensor:
    """Ghosts of a head that moved: faint copies along the direction of phase encoding."""
    ghosts = image.clone()
    for part in (2, 3, 4):
        shift = round(image.shape[axis] / part)
        amount = float(rng.uniform(0.0, 0.05))
        ghosts += amount * (image.roll(shift, axis) + image.roll(-shift, axis))
    return ghosts


def _coil(image: Tensor, towards: Sequence[float], gain: float) -> Tensor:
    """Brightness of a surface coil: 1 off the middle, `gain` more at the middle of each side.

    ``towards`` is where it is 1, from the middle and in parts of the half edge.
    """
    shape = tuple(image.shape)
    middle = [(n - 1) / 2.0 + t * n / 2.0 for n, t in zip(shape, towards, strict=True)]
    half = torch.tensor([n / 2.0 for n in shape], device=image.device)
    squared = ((offsets(shape, middle, image.device) / half) ** 2).sum(dim=-1)
    return 1.0 + gain * squared


def _through_slices(image: Tensor, thickness: float, axis: int) -> Tensor:
    """Average over slices `thickness` voxels thick, and interpolate back."""
    if thickness <= 1.3:
        return image
    count = max(4, round(image.shape[axis] / thickness))
    thick = [count if a == axis else n for a, n in enumerate(image.shape)]
    sliced = F.interpolate(image[None, None], size=thick, mode="area")
    back = F.interpolate(sliced, size=tuple(image.shape), mode="trilinear", align_corners=False)
    return back[0, 0]


def as_read(labels: Tensor, thickness: float, axis: int, favour: float = 1.0) -> Tensor:
    """Labels as a reader would draw them on thick slices: the most of each voxel wins.

    Parameters
    ----------
    labels
        ``(D, H, W)`` uint8 of `study.tissue.Tissue`.
    thickness, axis
        As for `acquired`.
    favour
        Enhancement counts for so many times its share: it is drawn where it is seen to be bright,
        also where it fills less than most of a slice. Who favours it more than `OUTLINED` takes
        gaps in, too: an outline is drawn around what belongs together.
    """
    if thickness <= 1.3:
        return labels
    shares = [_through_slices((labels == tissue).float(), thickness, axis) for tissue in Tissue]
    shares[Tissue.ENHANCING] *= favour
    drawn = torch.stack(shares).argmax(0).to(torch.uint8)
    if favour > OUTLINED:
        enhancing = closed(drawn == Tissue.ENHANCING)
        drawn = drawn.masked_fill(enhancing, int(Tissue.ENHANCING))
    return drawn
