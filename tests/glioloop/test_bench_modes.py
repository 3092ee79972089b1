"""``glioloop bench modes`` on a case that a function segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.head import Head
from engine.inference import LEFT_RIGHT
from engine.network import NetworkConfig
from engine.normalise import NORMALISATION
from engine.outputs import TISSUE_LABELS
from engine.runtime import Run
from engine.weights import Manifest
from glioloop import bench, bench_modes
from glioloop.bench_modes import measure, ways_of
from glioloop.cases import Case
from glioloop.networks import Networks
from study.errors import RefusedError
from study.tissue import Role
from study.volume import Geometry, Volume

CONFIG = NetworkConfig(3, 4, (4, 8))
BASE = Manifest("base", "9", CONFIG, 2.0, NORMALISATION, TISSUE_LABELS, backbone_sha256="a" * 64)
GEOMETRY = Geometry((20, 24, 28), np.diag([2.0, 2.0, 2.0, 1.0]), "1.2")


def networks(features: Callable[[np.ndarray], np.ndarray] = lambda stack: stack) -> Networks:
    """What FLAIR shows is brain; where T1gd is far above the rest, it is enhancing tumour."""

    def brain(stack: np.ndarray) -> np.ndarray:
        likely = np.where(stack[:, :1] > 0.5, 5.0, -5.0)
        return np.concatenate([-likely, likely, -likely], axis=1).astype(np.float32)

    weight = np.zeros((4, 3), np.float32)
    weight[3, 1] = 1.0
    bias = np.array([2.5, 0.0, 0.0, 0.0], np.float32)
    head = Head(weight, bias, "a" * 64)
    other = Manifest("brain", "9", CONFIG, 4.0, "n", TISSUE_LABELS)
    runs = [Run("numpy", "f32", 1, call) for call in (features, brain)]
    return Networks(BASE, head, runs[0], other, runs[1])


def test_each_way_is_scored_on_each_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is asked as often as there are patches, and once more mirrored."""
    asked: list[tuple[int, ...]] = []

    def features(stack: np.ndarray) -> np.ndarray:
        asked.append(stack.shape)
        return stack

    monkeypatch.setattr(bench_modes, "prepare_networks", lambda _: networks(features))
    array = np.zeros(GEOMETRY.shape, np.float32)
    array[4:16, 4:20, 4:24] = np.random.default_rng(0).uniform(90, 110, (12, 16, 20))
    bright = np.zeros(GEOMETRY.shape, bool)
    bright[7:11, 8:14, 8:14] = True
    images = dict.fromkeys(Role, Volume(array + np.float32(100.0) * bright, GEOMETRY))
    found = measure([Case("X", images, {"enhancing": bright})])
    assert found["cases"] == 1
    assert {f"{way}_enhancing" for way in ways_of(networks())} < set(found)
    # Features do not depend on patches here, so all ways answer alike; mirrored too.
    dice = {found[f"{way}_enhancing"] for way in ways_of(networks())}
    assert len(dice) == 1
    assert 0.5 < dice.pop() <= 1.0
    # One patch each, the mirrored one twice: fitted, 64, 64, 64 and 64, in one piece.
    assert len(asked) == 6


def test_modes_without_cases_are_refused() -> None:
    with pytest.raises(RefusedError, match="name their folders, --data FOLDER"):
        list(bench.run(["modes"], bench.Options()))


def test_beside_the_modes_stands_what_none_does() -> None:
    ways = ways_of(networks())
    assert list(ways) == ["fast", "standard", "quality", "standard_mirrored", "one_piece"]
    assert ways["standard_mirrored"].flips == LEFT_RIGHT
    assert (ways["fast"].most_voxels, ways["one_piece"].most_voxels) == (262_144, 2_500_000)
