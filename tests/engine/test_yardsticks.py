"""What ours is compared with, on a small network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine import yardsticks
from engine.inference import Patching, segment
from engine.network import NetworkConfig
from engine.runtime import compile_backbone
from engine.weights import Model
from engine.yardsticks import monai_torch, onnxruntime, untrained
from study.errors import FailedError

PATCHING = Patching(size=(16, 16, 16), overlap=0.25)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 28, 28, 28)).astype(np.float32)


@pytest.fixture(scope="module")
def model(images: np.ndarray) -> Model:
    return untrained(NetworkConfig(filters=(4, 8)), images[:, :16, :16, :16])


def test_every_class_of_an_untrained_network_wins_somewhere(
    model: Model, images: np.ndarray
) -> None:
    run = compile_backbone(model, "torch", threads=1)
    logits = segment(run, model.head, images, np.ones((28, 28, 28), bool), PATCHING)
    assert (np.bincount(logits.argmax(axis=0).ravel(), minlength=4) > 1000).all()


@pytest.mark.bench
def test_monai_computes_the_same_where_patches_lie_the_same(
    model: Model, images: np.ndarray
) -> None:
    """With equal weights: MONAI's Gaussian has its middle half a voxel elsewhere."""
    patching = replace(PATCHING, blending="constant")
    run = compile_backbone(model, "torch", threads=1)
    ours = segment(run, model.head, images, np.ones((28, 28, 28), bool), patching)
    theirs = monai_torch(model, patching, threads=1)(images)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.bench
def test_onnx_runtime_computes_the_same_features(model: Model, images: np.ndarray) -> None:
    stack = np.ascontiguousarray(images[None, :, :16, :24, :16])
    ours = compile_backbone(model, "torch", threads=1)(stack)
    np.testing.assert_allclose(onnxruntime(model, threads=1)(stack), ours, atol=1e-4)


def test_what_is_missing_says_what_installs_it(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(yardsticks.importlib, "import_module", missing)
    with pytest.raises(FailedError, match=r"monai\.inferers is missing, .* make bench-setup"):
        monai_torch(model, PATCHING, 1)
    with pytest.raises(FailedError, match=r"onnxruntime is missing, .* make bench-setup"):
        onnxruntime(model, 1)
