"""Samples of corrections, which are kept beside their results."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.sampling import FeatureSample
from glioloop import learning
from glioloop.lessons import Lesson
from glioloop.networks import Options
from study.errors import RefusedError
from study.tissue import Tissue


def sample(features: float) -> bytes:
    """Two voxels of backbone B1."""
    return FeatureSample(
        features=np.full((2, 1), features, np.float16),
        target=np.array([0, 1], np.uint8),
        weight=np.ones(2, np.float32),
        block=np.zeros(2, np.int16),
        changed=np.zeros(2, bool),
        outlined=frozenset(Tissue),
        backbone_sha256="B1",
    ).to_npz()


def test_a_sample_is_used_again_in_its_own_mode_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise RefusedError("its features are computed")

    monkeypatch.setattr(learning, "_inputs", none)
    lesson = Lesson(tmp_path, tmp_path / "seg", tmp_path / "outline", tmp_path / "s.npz", {})
    networks: Any = SimpleNamespace(manifest=SimpleNamespace(backbone_sha256="B1"))

    def features(options: Options) -> list[float]:
        found = learning._sample(lesson, networks, options, 9, lambda _part: None)
        return found.features.ravel().tolist()

    lesson.sample.write_bytes(sample(0.5))
    assert features(Options(mode="standard")) == [0.5, 0.5]
    with pytest.raises(RefusedError, match="its features are computed"):
        features(Options(mode="fast"))
    (tmp_path / "s-fast.npz").write_bytes(sample(0.25))
    assert features(Options(mode="fast")) == [0.25, 0.25]
    assert features(Options(mode="standard")) == [0.5, 0.5]
