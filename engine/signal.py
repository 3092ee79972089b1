"""MR signal of substances, by the equations of the pulse sequences.

Times are in milliseconds, concentrations of gadolinium in mmol/L. The relaxation times are rounded
means of published values at 3 T (Stanisz et al. 2005, doi:10.1002/mrm.20605; Wansapura et al. 1999;
for tumour tissue Hattingen et al. 2013 and Badve et al. 2017); what is drawn around them
is wider than their scatter, so that a network meets every scanner.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from torch import Tensor

from engine.anatomy import Substance

RELAXIVITY = 4.5e-3
"""r1 of a gadolinium chelate at 1.5 to 3 T, in 1/(ms mmol/L) (Rohrer et al. 2005)."""

_AT_3T: Mapping[Substance, tuple[float, float, float]] = {
    Substance.AIR: (1.0, 1.0, 0.01),
    Substance.SOFT: (350.0, 70.0, 0.85),
    Substance.CORTICAL_BONE: (300.0, 5.0, 0.15),
    Substance.MARROW: (350.0, 50.0, 0.60),
    Substance.MUSCLE: (1000.0, 40.0, 0.75),
    Substance.MUCOSA: (1100.0, 80.0, 0.80),
    Substance.EYE: (3500.0, 900.0, 0.95),
    Substance.CSF: (4000.0, 1800.0, 1.00),
    Substance.GREY: (1400.0, 95.0, 0.85),
    Substance.WHITE: (850.0, 75.0, 0.72),
    Substance.ARTERY: (1700.0, 60.0, 0.35),
    Substance.VEIN: (1700.0, 70.0, 0.45),
    Substance.DEEP_GREY: (1200.0, 82.0, 0.80),
    Substance.CHOROID: (1800.0, 200.0, 0.90),
    Substance.BRAINSTEM: (950.0, 78.0, 0.75),
    Substance.CORD: (950.0, 78.0, 0.75),
    Substance.DURA: (1000.0, 45.0, 0.65),
    Substance.EDEMA: (1550.0, 150.0, 0.87),
    Substance.NECROSIS: (2500.0, 300.0, 0.93),
    Substance.ENHANCING: (1350.0, 115.0, 0.86),
    Substance.CAVITY: (3600.0, 1400.0, 1.00),
    Substance.BLOOD: (600.0, 90.0, 0.80),
    Substance.LESION_OF_WHITE_MATTER: (1350.0, 140.0, 0.85),
    Substance.INFILTRATED: (1650.0, 170.0, 0.88),
    Substance.SKIN: (600.0, 60.0, 0.80),
}
"""T1 (ms), T2 (ms) and proton density of each substance, before gadolinium."""


def relaxation() -> npt.NDArray[np.float64]:
    """T1 (ms), T2 (ms) and proton density at 3 T, ``(substances, 3)`` ordered as `Substance`."""
    return np.array([_AT_3T[s] for s in Substance], dtype=np.float64)


def at_field(table: npt.NDArray[np.float64], tesla: float) -> npt.NDArray[np.float64]:
    """Relaxation table of another field strength; free fluids keep their times.

    T1 of tissue falls by about a quarter from 3 T to 1.5 T (Stanisz et al. 2005); fluids do not
    change.
    """
    fluids = [Substance.EYE, Substance.CSF, Substance.CAVITY, Substance.AIR]
    tissue = ~np.isin(np.arange(len(table)), [int(s) for s in fluids])
    result = table.copy()
    result[tissue, 0] *= (tesla / 3.0) ** 0.38
    result[tissue, 1] *= (tesla / 3.0) ** -0.10
    return result


def with_gadolinium(t1: Tensor, concentration: Tensor) -> Tensor:
    """T1 in ms after gadolinium of a concentration in mmol/L: rates add (Bloembergen 1957)."""
    return 1.0 / (1.0 / t1 + RELAXIVITY * concentration)


def spin_echo(t1: Tensor, t2: Tensor, density: Tensor, tr: float, te: float) -> Tensor:
    """Signal of a spin echo, arbitrary units; all times in ms."""
    return density * (1.0 - (-tr / t1).exp()) * (-te / t2).exp()


def inversion_recovery(
    t1: Tensor, t2: Tensor, density: Tensor, tr: float, te: float, ti: float
) -> Tensor:
    """Magnitude signal of an inversion-recovery spin echo, arbitrary units; all times in ms."""
    recovered = (1.0 - 2.0 * (-ti / t1).exp() + (-tr / t1).exp()).abs()
    return density * recovered * (-te / t2).exp()


def spoiled_gradient_echo(
    t1: Tensor, t2: Tensor, density: Tensor, tr: float, te: float, flip_degrees: float
) -> Tensor:
    """Signal of a spoiled gradient echo (Ernst); T2 stands for T2*; all times in ms."""
    flip = np.deg2rad(flip_degrees)
    e1 = (-tr / t1).exp()
    steady = (1.0 - e1) / (1.0 - float(np.cos(flip)) * e1)
    return density * float(np.sin(flip)) * steady * (-te / t2).exp()


def nulling_time(t1: float, tr: float) -> float:
    """Inversion time in ms at which a substance of this T1 gives no signal, for a given TR."""
    return float(t1 * np.log(2.0 / (1.0 + np.exp(-tr / t1))))
