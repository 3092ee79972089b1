"""What training minimises."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTH = 20.0
"""Voxels added to both sides of a Dice ratio, so that absent regions neither win nor lose much."""
HARDEST = 0.05
"""Share of voxels, those with the greatest loss, that get a cross-entropy of their own."""


def batch_dice_loss(logits: Tensor, labels: Tensor, regions: Sequence[Sequence[int]]) -> Tensor:
    """Mean over regions of one minus soft Dice, each taken over the whole batch at once.

    Parameters
    ----------
    logits
        ``(N, K, D, H, W)``.
    labels
        ``(N, D, H, W)`` int64.
    regions
        Classes that make up each region, for instance ``[(1, 2, 3), (1, 3), (3,)]``.

    Returns
    -------
    Tensor
        A scalar (Milletari et al. 2016, arXiv:1606.04797, over a batch).
    """
    shares = logits.softmax(dim=1)
    losses = []
    for classes in regions:
        predicted = shares[:, list(classes)].sum(dim=1)
        wanted = torch.isin(labels, torch.tensor(list(classes), device=labels.device)).float()
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
    each = F.cross_entropy(logits, labels, weights, reduction="none").flatten()
    hardest = each.topk(max(1, int(HARDEST * each.numel()))).values
    return each.mean() + 0.1 * hardest.mean()
