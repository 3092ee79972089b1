"""Tests of `engine.losses`."""

import math

import pytest
import torch

from engine.losses import batch_dice_loss, cross_entropy_loss, region_entropy_loss, within


def _logits_for(labels: torch.Tensor, sure: float = 50.0) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float() * sure


def test_a_perfect_answer_loses_nothing():
    labels = torch.tensor([[[[0, 1], [2, 3]]]])
    logits = _logits_for(labels)
    assert float(batch_dice_loss(logits, labels, ((1, 2, 3), (3,)))) == pytest.approx(0.0, abs=1e-6)
    assert float(cross_entropy_loss(logits, labels, torch.ones(4))) == pytest.approx(0.0, abs=1e-6)


def test_dice_of_a_half_found_region_over_the_batch():
    # 60 voxels wanted, 30 found and nothing else: 1 - (2*30 + 20) / (30 + 60 + 20)
    labels = torch.zeros(2, 1, 30, 4, dtype=torch.int64)
    labels[0, 0, :, 0] = 3
    labels[1, 0, :, 0] = 3
    answer = labels.clone()
    answer[1] = 0
    loss = batch_dice_loss(_logits_for(answer), labels, ((3,),))
    assert float(loss) == pytest.approx(1 - 80 / 110, abs=1e-5)


def test_cross_entropy_of_no_opinion_is_the_logarithm_of_the_classes():
    labels = torch.zeros(1, 1, 10, 10, dtype=torch.int64)
    loss = cross_entropy_loss(torch.zeros(1, 4, 1, 10, 10), labels, torch.ones(4))
    assert float(loss) == pytest.approx(1.1 * math.log(4), abs=1e-5)


def test_dice_of_regions_by_sigmoid():
    """Region 0 perfect; of region 1 half is found: 60 voxels wanted, 30 found."""
    labels = torch.zeros(1, 1, 30, 4, dtype=torch.int64)
    labels[0, 0, :, :2] = 3
    logits = torch.full((1, 2, 1, 30, 4), -50.0)
    logits[0, 0, 0, :, :2] = 50.0
    logits[0, 1, 0, :, 0] = 50.0
    loss = batch_dice_loss(logits, labels, ((1, 3), (3,)), "multi-label")
    assert float(loss) == pytest.approx((0.0 + 1 - 80 / 110) / 2, abs=1e-5)


def test_binary_cross_entropy_of_no_opinion_is_the_logarithm_of_two():
    labels = torch.zeros(1, 1, 10, 10, dtype=torch.int64)
    logits = torch.zeros(1, 2, 1, 10, 10)
    regions = ((1, 2, 3), (3,))
    loss = region_entropy_loss(logits, labels, torch.ones(2), regions)
    assert float(loss) == pytest.approx(1.1 * math.log(2), abs=1e-5)
    # Weighted 1 and 3: the mean is 2 log 2, that of the hardest 3 log 2.
    weighted = region_entropy_loss(logits, labels, torch.tensor([1.0, 3.0]), regions)
    assert float(weighted) == pytest.approx((2 + 0.3) * math.log(2), abs=1e-5)


def test_a_perfect_answer_by_regions_loses_nothing():
    labels = torch.tensor([[[[0, 1], [2, 3]]]])
    regions = ((1, 2, 3), (1, 3), (3,))
    logits = torch.stack([within(labels, r)[0] * 100.0 - 50.0 for r in regions])[None]
    assert float(batch_dice_loss(logits, labels, regions, "multi-label")) < 1e-6
    assert float(region_entropy_loss(logits, labels, torch.ones(3), regions)) < 1e-6
