"""The pieces of ``glioloop bench inference`` on a small head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioloop import bench_inference
from glioloop.bench_inference import contend, head
from study.errors import FailedError


def test_the_head_is_an_ellipsoid_in_the_middle() -> None:
    images, brain = head((60, 48, 31))
    assert images.shape == (3, 31, 48, 60)
    # Axes of 35, 34 and 26 voxels: 4/3 pi 17.5 * 17 * 13 = 16200 voxels.
    assert brain.sum() == pytest.approx(16200, rel=0.02)
    assert (images[:, ~brain] == -2.5).all()
    assert brain[15, 24, 30]
    assert not brain[0].any()


def test_the_reference_network_says_what_it_took(tmp_path: Path) -> None:
    images, brain = head((16, 16, 16))
    np.savez(tmp_path / "head.npz", images=images, brain=brain)
    found = contend("ours_fast", None, tmp_path)
    assert set(found) == {"s", "cpu_s", "peak_mib", "gflop"}
    assert found["s"] > 0
    # The ellipsoid has 9 voxels by 13 by 13 at most, 4 more on each side: 24 on each axis.
    assert found["gflop"] == pytest.approx(2 * 199320 * 24**3 / 1e9)
    labels = np.load(tmp_path / "ours_fast.npy")
    assert labels.shape == brain.shape


def test_figures_name_both_sides_and_compare_labels() -> None:
    runs = {
        name: {"s": s, "cpu_s": 2 * s, "peak_mib": 100.0, "gflop": 50.0}
        for name, s in zip(bench_inference.CONTENDERS, (10.0, 5.0, 2.0, 1.0), strict=True)
    }
    one = np.array([0, 0, 1, 1], np.uint8)
    other = np.array([0, 1, 1, 1], np.uint8)
    labels = dict(zip(bench_inference.CONTENDERS, (one, one, other, one), strict=True))
    found = bench_inference._figures(runs, labels, 100.0, np.ones(4, bool))
    assert found["monai_torch_fp32_s"] == 10.0
    assert found["ours_times_faster"] == 5.0
    assert found["ratio"] == 0.2
    assert found["ours_share_of_peak"] == 0.25
    # Class 0 on 1 of 2 voxels: 2 / 3; class 1 on 2 of 3: 4 / 5.
    assert found["ours_dice_worst_class"] == 0.6667
    assert found["ours_fast_dice_worst_class"] == 1.0


def test_a_contender_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FailedError, match="ours ended with exit code 1 and no answer"):
        bench_inference._in_child("ours", tmp_path / "none", tmp_path)
