"""Imagined scanners: which field and sequences they have, and what they make of one patient.

What belongs to the patient (`Makeup`) stays the same from date to date; what belongs to the scanner
changes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine import signal
from engine.acquisition import acquired, as_read
from engine.anatomy import Substance
from engine.tumour import smooth_noise
from study.tissue import Role

NATIVE = "T1"
"""Name of the T1 before contrast, beside the values of `Role`."""
CONTRASTS = (*(role.value for role in Role), NATIVE)


@dataclass(frozen=True)
class Scanner:
    """One scanner and its protocol.

    Parameters
    ----------
    name
        Who writes headers knows the vendor by it.
    tesla
        Field strength.
    t1_style
        ``"spin echo"``, ``"inversion recovery"`` or ``"spoiled gradient echo"``.
    t1, flair, t2
        Repetition and echo time in ms; of T1 the third number is the inversion time in ms or the
        flip angle in degrees, where the style has one.
    thickness_mm
        Of the slices of each of `CONTRASTS`.
    noise
        Standard deviation of the noise, as a share of the mean signal.
    """

    name: str
    tesla: float
    t1_style: str
    t1: tuple[float, float, float]
    flair: tuple[float, float]
    t2: tuple[float, float]
    thickness_mm: tuple[float, float, float, float]
    noise: float

    @property
    def thickness(self) -> Mapping[str, float]:
        """Thickness of the slices in mm by contrast."""
        return dict(zip(CONTRASTS, self.thickness_mm, strict=True))

    @property
    def flair_ti(self) -> float:
        """Inversion time of the FLAIR in ms: fluid gives no signal."""
        return signal.nulling_time(float(signal.relaxation()[Substance.CSF, 0]), self.flair[0])


SCANNERS = (
    Scanner(
        "thick spin echo, 3 T", 3.0, "spin echo", (550.0, 12.0, 0.0), (9000.0, 120.0),
        (4500.0, 100.0), (5.0, 4.0, 4.0, 4.0), 0.03,
    ),
    Scanner(
        "thick spin echo, 1.5 T", 1.5, "spin echo", (450.0, 10.0, 0.0), (8500.0, 130.0),
        (4000.0, 95.0), (6.0, 6.0, 6.0, 6.0), 0.05,
    ),
    Scanner(
        "thin inversion recovery, 3 T", 3.0, "inversion recovery", (2000.0, 3.0, 900.0),
        (8000.0, 125.0), (5000.0, 90.0), (3.0, 1.2, 3.0, 1.2), 0.04,
    ),
    Scanner(
        "thin gradient echo, 1.5 T", 1.5, "spoiled gradient echo", (25.0, 4.6, 30.0),
        (9500.0, 110.0), (3800.0, 100.0), (5.0, 1.6, 5.0, 1.6), 0.06,
    ),
)  # fmt: skip
"""Scanners that patients are sent to. The first has the times of the demo's phantom."""

SCATTER, SCATTER_OUTSIDE = 0.04, 0.15
"""Standard deviation of the logarithm of relaxation times from patient to patient, and outside."""
GADOLINIUM = {
    Substance.ARTERY: (0.5, 1.5),
    Substance.VEIN: (0.5, 1.5),
    Substance.MUCOSA: (0.2, 0.6),
    Substance.CHOROID: (0.3, 0.8),
    Substance.MUSCLE: (0.02, 0.1),
    Substance.DURA: (0.05, 0.4),
    Substance.NECROSIS: (0.001, 0.02),
    Substance.ENHANCING: (0.15, 0.6),
}
"""Lowest and highest concentration of gadolinium in mmol/L; a patient has one for each."""
TEXTURE = {
    Substance.EDEMA: 0.08,
    Substance.NECROSIS: 0.10,
    Substance.ENHANCING: 0.10,
    Substance.INFILTRATED: 0.08,
    Substance.BLOOD: 0.20,
    Substance.SOFT: 0.20,
    Substance.SKIN: 0.15,
    Substance.MUSCLE: 0.15,
    Substance.MARROW: 0.12,
    Substance.GREY: 0.05,
    Substance.WHITE: 0.03,
    Substance.DEEP_GREY: 0.05,
    Substance.BRAINSTEM: 0.04,
}
"""Relative variation of relaxation times within a substance."""
_INSIDE = frozenset(range(Substance.CSF, Substance.BRAINSTEM + 1)) - {
    Substance.ARTERY,
    Substance.VEIN,
}


@dataclass(frozen=True, eq=False)
class Makeup:
    """What is a patient's own: tissue, texture, how the tumour enhances.

    Parameters
    ----------
    factors
        ``(substances, 3)``: what T1, T2 and density are multiplied with.
    gadolinium
        ``(substances,)`` mmol/L.
    texture
        ``(D, H, W)`` noise of about unit variance.
    """

    factors: npt.NDArray[np.float64]
    gadolinium: npt.NDArray[np.float64]
    texture: Tensor

    @classmethod
    def draw(
        cls, shape: tuple[int, int, int], spacing_mm: float, rng: np.random.Generator
    ) -> Makeup:
        """Draw a patient's tissues, with texture on a grid."""
        spread = np.full((len(Substance), 1), SCATTER_OUTSIDE)
        spread[[int(s) for s in _INSIDE]] = SCATTER
        factors = np.exp(rng.normal(0.0, 1.0, (len(Substance), 3)) * spread)
        amount = np.zeros(len(Substance))
        for substance, (low, high) in GADOLINIUM.items():
            amount[substance] = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        fine = smooth_noise(shape, max(1.0, 2.5 / spacing_mm), rng)
        coarse = smooth_noise(shape, max(1.0, 15.0 / spacing_mm), rng)
        return cls(factors, amount, 0.6 * fine + 0.8 * coarse)


def contrasts(substances: Tensor, makeup: Makeup, scanner: Scanner) -> dict[str, Tensor]:
    """Ideal images of a head by the signal equations.

    Parameters
    ----------
    substances
        ``(D, H, W)`` uint8 of `Substance`.
    makeup
        Of the patient.
    scanner
        That looks.

    Returns
    -------
    dict of str to Tensor
        For each of `CONTRASTS`, ``(D, H, W)`` float32 in arbitrary units, without noise.
    """
    table = signal.at_field(signal.relaxation(), scanner.tesla) * makeup.factors
    where = substances.long()
    variation = torch.zeros(len(Substance))
    for substance, amount in TEXTURE.items():
        variation[int(substance)] = amount
    factor = (1.0 + variation[where] * makeup.texture).clamp(0.5, 1.8)
    t1, t2, density = (torch.tensor(table[:, n], dtype=torch.float32)[where] for n in range(3))
    t1, t2 = t1 * factor, t2 * factor
    amount_there = torch.tensor(makeup.gadolinium, dtype=torch.float32)[where]
    enhanced = signal.with_gadolinium(t1, amount_there * factor)
    tr, te = scanner.flair
    return {
        Role.FLAIR.value: signal.inversion_recovery(t1, t2, density, tr, te, scanner.flair_ti),
        Role.T1GD.value: _t1(enhanced, t2, density, scanner),
        Role.T2.value: signal.spin_echo(t1, t2, density, *scanner.t2),
        NATIVE: _t1(t1, t2, density, scanner),
    }


def scanned(
    ideal: Mapping[str, Tensor], scanner: Scanner, spacing_mm: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Ideal images with the slices, shading, artefacts and noise of a scanner.

    Slices are axial and interpolated back to the grid; T1gd is where it is, the others may be
    shifted a little, as registration leaves them.
    """
    images = {}
    for name, image in ideal.items():
        thickness = scanner.thickness[name] / spacing_mm
        seen = acquired(image, thickness, 0, spacing_mm, rng, move=name != Role.T1GD.value)
        source = torch.Generator().manual_seed(int(rng.integers(2**62)))
        level = scanner.noise * float(seen.mean())
        real, other = torch.randn((2, *seen.shape), generator=source) * level
        images[name] = torch.hypot(seen + real, other)
    return images


def read_off(labels: Tensor, scanner: Scanner, spacing_mm: float) -> Tensor:
    """Labels as a reader draws them on the slices of the T1gd."""
    return as_read(labels, scanner.thickness[Role.T1GD.value] / spacing_mm, 0)


def _t1(t1: Tensor, t2: Tensor, density: Tensor, scanner: Scanner) -> Tensor:
    """T1-weighted signal in the scanner's style."""
    tr, te, third = scanner.t1
    if scanner.t1_style == "spin echo":
        return signal.spin_echo(t1, t2, density, tr, te)
    if scanner.t1_style == "inversion recovery":
        return signal.inversion_recovery(t1, t2, density, tr, te, third)
    return signal.spoiled_gradient_echo(t1, t2, density, tr, te, third)
