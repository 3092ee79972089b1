"""What training minimises: soft Dice over a batch, alone or with cross-entropy.

Each for both kinds of answer (`engine.outputs`): softmax over classes, sigmoid over regions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.outputs import Output

SMOOTH = 20.0
"""Voxels added to both sides of a Dice ratio, so that absent regions neither win nor lose much."""
HARDEST = 0.05
"""Share of voxels, those with the greatest loss, that get a cross-entropy of their own."""

Regions = Sequence[Sequence[int]]


def batch_dice_loss(
    logits: Tensor, labels: Tensor, regions: Regions, output: Output = "multi-class"
) -> Tensor:
    """Mean over regions of one minus soft Dice, each taken over the whole batch at once.

    Parameters
    ----------
    logits
        ``(N, K, D, H, W)``; K are the classes, or for ``"multi-label"`` the regions.
    labels
        ``(N, D, H, W)`` int64, classes.
    regions
        Classes that make up each region, for instance ``[(1, 2, 3), (1, 3), (3,)]``.
    output
        ``"multi-class"``: a region's share is the sum of its classes' shares after softmax.
        ``"multi-label"``: it is the sigmoid of the region's own logit.

    Returns
    -------
    Tensor
        A scalar (Milletari et al. 2016, arXiv:1606.04797, over a batch).
    """
    multi_class = output == "multi-class"
    shares = logits.softmax(dim=1) if multi_class else logits.sigmoid()
    losses = []
    for number, classes in enumerate(regions):
        predicted = shares[:, list(classes)].sum(dim=1) if multi_class else shares[:, number]
        wanted = within(labels, classes)
        both = (predicted * wanted).sum()
        losses.append(1.0 - (2.0 * both + SMOOTH) / (predicted.sum() + wanted.sum() + SMOOTH))
    return torch.stack(losses).mean()


def cross_entropy_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy plus a tenth of its mean over the `HARDEST` voxels.

    Parameters
    ----------
    logits
        ``(N, K, D, H, W)``.
    labels
        ``(N, D, H, W)`` int64.
    weights
        ``(K,)``, one for each class.
    """
    return _with_hardest(F.cross_entropy(logits, labels, weights, reduction="none").flatten())


def region_entropy_loss(
    logits: Tensor, labels: Tensor, weights: Tensor, regions: Regions
) -> Tensor:
    """Binary cross-entropy of each region, weighted, plus a tenth of its mean over the `HARDEST`.

    Parameters
    ----------
    logits
        ``(N, R, D, H, W)``, one channel for each region.
    labels
        ``(N, D, H, W)`` int64, classes.
    weights
        ``(R,)``, one for each region.
    regions
        Classes that make up each region.
    """
    wanted = torch.stack([within(labels, classes) for classes in regions], dim=1)
    each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return _with_hardest((each * weights.view(1, -1, 1, 1, 1)).flatten())


def within(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """1.0 where a label is one of some classes, else 0.0."""
    return torch.isin(labels, torch.tensor(list(classes), device=labels.device)).float()


def _with_hardest(each: Tensor) -> Tensor:
    """Mean of all, and a tenth of the mean of the greatest."""
    hardest = each.topk(max(1, int(HARDEST * each.numel()))).values
    return each.mean() + 0.1 * hardest.mean()
