"""What scanners do to images, done to real cases on purpose: bias fields and noise, by TorchIO.

Perez-Garcia et al. 2021, doi:10.1016/j.cmpb.2021.106236. TorchIO is imported when it is used:
training on generated heads does without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from study.errors import RefusedError

BIAS_COEFFICIENTS = 0.5
"""Greatest coefficient of a bias field's polynomial (TorchIO's default)."""
NOISE_STD = 0.25
"""Greatest standard deviation of noise, in those over the brain (TorchIO's default)."""
_T2 = 2

Images = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """How often a case is changed, each time it is shown.

    Parameters
    ----------
    bias
        Probability of a random bias field.
    noise
        Probability of Gaussian noise.
    drop_t2
        Probability that T2 is left out.

    Raises
    ------
    RefusedError
        If one of them is no probability.
    """

    bias: float = 0.5
    noise: float = 0.5
    drop_t2: float = 0.15

    def __post_init__(self) -> None:
        for name, value in (("bias", self.bias), ("noise", self.noise), ("drop_t2", self.drop_t2)):
            if not 0.0 <= value <= 1.0:
                raise RefusedError(f"{name} is a probability, from 0 to 1, not {value:g}")


NONE = Augmentation(0.0, 0.0, 0.0)
"""Cases as they are."""


def with_bias(images: Images, augmentation: Augmentation, rng: np.random.Generator) -> Images:
    """Give each image a random bias field, with the probability of that.

    Parameters
    ----------
    images
        ``(C, D, H, W)`` as measured, not yet normalised; missing channels are NaN.
    augmentation
        How often.
    rng
        Source of all randomness.

    Returns
    -------
    numpy.ndarray
        Of the same shape; missing channels stay so.
    """
    if rng.random() >= augmentation.bias:
        return images
    import torchio  # noqa: PLC0415 - seconds, and only for real cases

    return _transformed(images, torchio.RandomBiasField(BIAS_COEFFICIENTS), rng)


def with_noise(
    images: Images, augmentation: Augmentation, unit: float, rng: np.random.Generator
) -> Images:
    """Add Gaussian noise, with the probability of that.

    Parameters
    ----------
    images
        ``(C, D, H, W)``, normalised; missing channels are NaN.
    augmentation
        How often.
    unit
        One standard deviation over the brain, in the units of the images.
    rng
        Source of all randomness.

    Returns
    -------
    numpy.ndarray
        Of the same shape; missing channels stay so.
    """
    if rng.random() >= augmentation.noise:
        return images
    import torchio  # noqa: PLC0415 - seconds, and only for real cases

    return _transformed(images, torchio.RandomNoise(std=(0.0, NOISE_STD * unit)), rng)


def without_t2(images: Images, augmentation: Augmentation, rng: np.random.Generator) -> Images:
    """Leave T2 out, with the probability of that: its channel becomes NaN."""
    if rng.random() >= augmentation.drop_t2:
        return images
    fewer = images.copy()
    fewer[_T2] = np.nan
    return fewer


def _transformed(images: Images, transform: object, rng: np.random.Generator) -> Images:
    """Apply a transform of TorchIO to each channel that is there, with parameters of its own."""
    import torchio  # noqa: PLC0415 - loaded already

    there = [c for c in range(len(images)) if np.isfinite(images[c]).any()]
    image: Any = torchio.ScalarImage  # its constructor has no types
    parts = {str(c): image(tensor=torch.from_numpy(images[[c]])) for c in there}
    with torch.random.fork_rng(devices=[]):  # TorchIO draws from torch's global generator
        torch.manual_seed(int(rng.integers(2**31)))
        changed = transform(torchio.Subject(**parts))  # type: ignore[operator]
    result = images.copy()
    for c in there:
        result[c] = changed[str(c)].data[0].numpy()
    return result
