"""Networks made ready to run, against eager torch in float32."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino_telemetry
import pytest
import torch

from engine.head import Head
from engine.inference import Patching, segment
from engine.network import Network, NetworkConfig
from engine.runtime import (
    Run,
    bytes_a_voxel,
    compile_backbone,
    compile_network,
    patches_at_once,
)
from engine.weights import Manifest, Model, load, save
from study.agreement import dice
from study.errors import RefusedError

F32_TOLERANCE = 1e-4
"""Largest difference of a feature, in standard deviations of all features, in float32."""
BF16_TOLERANCE = 0.02
"""Root mean square of that difference in bf16, which keeps 8 bits of each number."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A tiny network whose batch statistics are those of the images it sees here."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = NetworkConfig(filters=(8, 12, 16))
    network = Network(config).train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(1, 3, 16, 16, 16))
    folder = tmp_path_factory.mktemp("tiny")
    save(folder, network, Manifest("tiny", "1", config, 1.0, "n", ("a", "b", "c", "d")))
    return load(folder)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 3, 16, 24, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(model: Model, images: np.ndarray) -> np.ndarray:
    return compile_backbone(model, "torch", threads=1)(images)


@pytest.fixture(scope="module")
def exact(model: Model) -> Run:
    """OpenVINO in float32."""
    return compile_backbone(model, "openvino", threads=2, precision="f32")


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference in standard deviations."""
    return float(np.abs(found - expected).max() / expected.std())


def typical(found: np.ndarray, expected: np.ndarray) -> float:
    """Root mean square of the difference in standard deviations."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


def test_openvino_in_float32_agrees_with_torch(
    exact: Run, images: np.ndarray, expected: np.ndarray
) -> None:
    found = exact(images)
    assert (exact.device, exact.precision, exact.threads) == ("openvino", "f32", 2)
    assert found.shape == expected.shape == (3, 8, 16, 24, 16)
    assert found.dtype == np.float32
    assert worst(found, expected) < F32_TOLERANCE


def test_openvino_in_bf16_agrees_with_torch(
    model: Model, images: np.ndarray, expected: np.ndarray
) -> None:
    found = compile_backbone(model, "openvino", threads=1, precision="bf16")(images)
    assert 0 < typical(found, expected) < BF16_TOLERANCE


def test_labels_in_bf16_are_those_of_torch(model: Model) -> None:
    """A head that tells classes apart by one feature each, on a volume in patches."""
    rng = np.random.default_rng(2)
    volume = rng.normal(size=(3, 24, 24, 24)).astype(np.float32)
    brain = np.ones((24, 24, 24), bool)
    features = compile_backbone(model, "torch", threads=1)(volume[None])[0]
    scale = features.std(axis=(1, 2, 3))
    weight = np.zeros((4, 8), np.float32)
    weight[range(4), np.argsort(-scale)[:4]] = 10 / np.sort(scale)[::-1][:4]
    head = Head(weight, np.zeros(4, np.float32), model.backbone_hash)
    labels = {}
    for name, precision in (("torch", "f32"), ("openvino", "bf16")):
        run = compile_backbone(model, name, threads=1, precision=precision)  # type: ignore[arg-type]
        logits = segment(run, head, volume, brain, Patching((16, 16, 16)))
        labels[name] = logits.argmax(axis=0)
    for tissue in range(4):
        a, b = labels["torch"] == tissue, labels["openvino"] == tissue
        assert a.sum() > 100
        assert dice(a, b) > 0.99


def test_the_same_input_gives_the_same_answer(exact: Run, images: np.ndarray) -> None:
    assert np.array_equal(exact(images), exact(images))


def test_a_stack_is_answered_in_its_order(exact: Run, images: np.ndarray) -> None:
    whole = exact(images)
    for index in range(3):
        np.testing.assert_allclose(exact(images[index : index + 1])[0], whole[index], atol=1e-5)


def test_a_whole_network_ends_with_its_own_head(
    model: Model, images: np.ndarray, expected: np.ndarray
) -> None:
    found = compile_network(model, "openvino", threads=1, precision="f32")(images)
    assert found.shape == (3, 4, 16, 24, 16)
    np.testing.assert_allclose(found, model.head.apply(expected), atol=1e-4)


def test_what_was_compiled_is_kept_and_used_again(
    model: Model, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compile_backbone(model, "openvino", tmp_path / "kept", threads=1)(images)
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.suffix == ".compiled"
    monkeypatch.setattr("engine.compiled.convert", lambda *_: pytest.fail("converted again"))
    second = compile_backbone(model, "openvino", tmp_path / "kept", threads=1)(images)
    assert np.array_equal(first, second)


def test_what_is_kept_is_for_its_owner_alone(model: Model, tmp_path: Path) -> None:
    compile_backbone(model, "openvino", tmp_path / "kept", threads=1)
    (kept,) = (tmp_path / "kept").iterdir()
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    assert kept.stat().st_mode & 0o777 == 0o600


def spoilt_text(_data: bytes) -> bytes:
    return b"no network"


def spoilt_byte(data: bytes) -> bytes:
    return data[:200] + bytes([data[200] ^ 1]) + data[201:]


def spoilt_end(data: bytes) -> bytes:
    return data[: len(data) // 2]


def foreign(_data: bytes) -> bytes:
    """Whole, but no network of this OpenVINO."""
    content = b"a network of another program"
    return hashlib.sha256(content).digest() + content


@pytest.mark.parametrize("spoil", [spoilt_text, spoilt_byte, spoilt_end, foreign])
def test_a_kept_network_that_cannot_be_used_is_made_again(
    model: Model,
    images: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[bytes], bytes],
) -> None:
    first = compile_backbone(model, "openvino", tmp_path, threads=1)(images)
    (kept,) = tmp_path.iterdir()
    good = kept.read_bytes()
    kept.write_bytes(spoil(good))
    second = compile_backbone(model, "openvino", tmp_path, threads=1)(images)
    assert np.array_equal(first, second)
    assert "is made again" in caplog.text
    caplog.clear()
    compile_backbone(model, "openvino", tmp_path, threads=1)
    assert caplog.text == ""


def test_another_processor_makes_its_own(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_backbone(model, "openvino", tmp_path, threads=1)
    monkeypatch.setattr("engine.compiled.instructions", lambda: frozenset({"sse2"}))
    compile_backbone(model, "openvino", tmp_path, threads=1)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_network_that_cannot_be_kept_works_all_the_same(
    model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    run = compile_backbone(model, "openvino", tmp_path / "file" / "kept", threads=1)
    assert run(np.zeros((1, 3, 8, 8, 8), np.float32)).shape == (1, 8, 8, 8, 8)
    assert "is not kept" in caplog.text


def test_one_compiled_network_takes_any_size(model: Model, exact: Run) -> None:
    for shape in ((8, 8, 8), (16, 8, 24), (8, 8, 8)):
        volume = np.random.default_rng(4).normal(size=(1, 3, *shape)).astype(np.float32)
        expected = compile_backbone(model, "torch", threads=1)(volume)
        assert worst(exact(volume), expected) < F32_TOLERANCE


def test_memory_grows_with_the_filters_of_the_first_level() -> None:
    # 13 arrays of 24 filters of 4 bytes.
    assert bytes_a_voxel(NetworkConfig()) == 1248


def test_a_processor_takes_one_patch_at_a_time() -> None:
    assert patches_at_once("openvino") == patches_at_once("torch") == 1
    assert patches_at_once("cuda") == 16


def test_conversion_reports_to_nobody(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """openvino.convert_model opens a telemetry session; we must not get there."""
    monkeypatch.setattr(
        openvino_telemetry.Telemetry, "init", lambda *_, **__: pytest.fail("telemetry was opened")
    )
    assert compile_backbone(model, "openvino", threads=1).device == "openvino"


@pytest.mark.parametrize(
    "shape", [(1, 3, 16, 16, 18), (1, 2, 16, 16, 16), (3, 16, 16, 16), (1, 3, 16, 16)]
)
def test_shapes_that_the_network_cannot_take_are_refused(
    exact: Run, shape: tuple[int, ...]
) -> None:
    with pytest.raises(RefusedError, match=r"takes \(N, 3, d, h, w\) with sizes divisible by 4"):
        exact(np.zeros(shape, np.float32))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_that_is_not_there_is_refused(model: Model) -> None:
    with pytest.raises(RefusedError, match="torch finds none"):
        compile_backbone(model, "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_torch_on_the_processor(
    model: Model, images: np.ndarray, expected: np.ndarray
) -> None:
    run = compile_backbone(model, "cuda")
    assert run.precision == "bf16"
    assert typical(run(images), expected) < BF16_TOLERANCE
