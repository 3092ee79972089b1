"""Residual-inception 3D U-Net, in two parts: a backbone for everybody and a head for each patient.

Every block is made of *simple blocks*: convolution, batch normalisation, ReLU. A
residual-inception block joins four of them of different reach (Szegedy et al. 2016,
arXiv:1602.07261) inside a U-Net (Ronneberger et al. 2015; Cicek et al. 2016).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from study.errors import RefusedError


@dataclass(frozen=True)
class NetworkConfig:
    """What a network looks like.

    Parameters
    ----------
    channels_in
        Number of input images; 3 are FLAIR, T1gd, T2.
    classes
        Number of output classes, background included.
    filters
        Filters of each level, from full resolution down. Sizes of an input must be divisible by
        ``2 ** (len(filters) - 1)``.
    norm
        ``"batch"``: features of a voxel do not depend on the rest of its patch once the statistics
        are frozen. ``"instance"`` is for comparison.

    Raises
    ------
    RefusedError
        For fewer than two levels, sizes below one, or an unknown norm.
    """

    channels_in: int = 3
    classes: int = 4
    filters: tuple[int, ...] = (24, 48, 96, 192)
    norm: str = "batch"

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", tuple(int(f) for f in self.filters))
        if len(self.filters) < 2 or min(self.filters) < 1:
            raise RefusedError(f"a U-Net needs two or more levels of filters, not {self.filters}")
        if self.channels_in < 1 or self.classes < 2:
            raise RefusedError("a network needs at least one channel and two classes")
        if self.norm not in _NORMS:
            raise RefusedError(f"norm {self.norm!r} is not one of {sorted(_NORMS)}")

    @property
    def stride(self) -> int:
        """Sizes of an input must be divisible by this."""
        return int(2 ** (len(self.filters) - 1))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return {**asdict(self), "filters": list(self.filters)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> NetworkConfig:
        """Undo `to_json`; unknown names are refused."""
        try:
            return cls(**{**values, "filters": tuple(values["filters"])})
        except (TypeError, KeyError) as error:
            raise RefusedError(f"this is no network configuration: {error}") from error


_NORMS: dict[str, type[nn.BatchNorm3d | nn.InstanceNorm3d]] = {
    "batch": nn.BatchNorm3d,
    "instance": nn.InstanceNorm3d,
}


def _simple(config: NetworkConfig, into: int, out: int, kernel: int, stride: int = 1) -> nn.Module:
    """Make a simple block: convolution, normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv3d(into, out, kernel, stride, kernel // 2, bias=False),
        _NORMS[config.norm](out, affine=True),
        nn.ReLU(inplace=True),
    )


class ResidualInception(nn.Module):
    """Four branches of different reach, concatenated, reduced, added to the input."""

    def __init__(self, config: NetworkConfig, filters: int) -> None:
        super().__init__()
        self.point = _simple(config, filters, filters, 1)
        self.near = _simple(config, filters, filters, 3)
        self.far = nn.Sequential(
            _simple(config, filters, filters, 3), _simple(config, filters, filters, 3)
        )
        self.pooled = nn.Sequential(nn.MaxPool3d(3, 1, 1), _simple(config, filters, filters, 1))
        self.reduce = _simple(config, 4 * filters, filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, filters, D, H, W) to the same shape."""
        branches = [self.point(x), self.near(x), self.far(x), self.pooled(x)]
        reduced: Tensor = self.reduce(torch.cat(branches, dim=1))
        return x + reduced


class Rise(nn.Module):
    """One level up: transposed convolution, long skip, residual-inception block."""

    def __init__(self, config: NetworkConfig, below: int, here: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose3d(below, here, 3, 2, 1, 1, bias=False),
            _NORMS[config.norm](here, affine=True),
            nn.ReLU(inplace=True),
        )
        self.merge = _simple(config, 2 * here, here, 1)
        self.block = ResidualInception(config, here)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Join (N, below, d, h, w) with the skip (N, here, 2d, 2h, 2w)."""
        joined: Tensor = self.block(self.merge(torch.cat([self.up(x), skip], dim=1)))
        return joined


class Backbone(nn.Module):
    """All but the last layer: images to features.

    Parameters
    ----------
    config
        The network's shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        filters = config.filters
        self.stem = _simple(config, config.channels_in, filters[0], 3)
        self.levels = nn.ModuleList([ResidualInception(config, f) for f in filters])
        self.downs = nn.ModuleList([_simple(config, a, b, 3, 2) for a, b in pairwise(filters)])
        self.rises = nn.ModuleList([Rise(config, b, a) for a, b in pairwise(filters)][::-1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, D, H, W) images to (N, filters[0], D, H, W) features."""
        x = self.levels[0](self.stem(x))
        skips = [x]
        for down, level in zip(self.downs, list(self.levels)[1:], strict=True):
            x = level(down(x))
            skips.append(x)
        for rise, skip in zip(self.rises, skips[-2::-1], strict=True):
            x = rise(x, skip)
        return x


class Network(nn.Module):
    """A backbone and a head.

    Parameters
    ----------
    config
        The network's shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.head = nn.Conv3d(config.filters[0], config.classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, D, H, W) images to (N, classes, D, H, W) logits."""
        logits: Tensor = self.head(self.backbone(x))
        return logits
