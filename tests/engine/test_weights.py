"""Weights on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from engine.network import Network, NetworkConfig
from engine.weights import Manifest, load, save, shipped
from study.errors import RefusedError

CONFIG = NetworkConfig(filters=(4, 8))
MANIFEST = Manifest(
    name="tiny",
    version="1",
    network=CONFIG,
    spacing_mm=1.0,
    normalisation="zscore-brain-1",
    labels=("background", "necrosis", "edema", "enhancing"),
    tolerates_missing=("T2",),
    anatomies=("a", "b"),
    steps=12,
    seed=3,
    created="2026-01-02T03:04:05+00:00",
    notes="for tests",
)

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    made = Network(CONFIG)
    made.train()
    with torch.no_grad():
        made(torch.randn(2, 3, 8, 8, 8))
    return made.eval()


def change(folder: Path, how: Callable[[Tensors], object]) -> None:
    """Change the tensors of a model on disk, with a manifest whose hash of the file is right."""
    tensors = safetensors.torch.load((folder / "weights.safetensors").read_bytes())
    how(tensors)
    data = safetensors.torch.save(tensors)
    (folder / "weights.safetensors").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["weights_sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_model_comes_back_as_it_was(network: Network, tmp_path: Path) -> None:
    written = save(tmp_path / "tiny", network, MANIFEST)
    model = load(tmp_path / "tiny")
    assert model.manifest == written
    assert replace(written, backbone_sha256="", weights_sha256="") == MANIFEST
    assert model.backbone_hash == written.backbone_sha256 == model.head.backbone_sha256
    assert not model.backbone.training
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert np.array_equal(model.head.bias, network.head.bias.detach().numpy())
    x = torch.randn(1, 3, 8, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(model.backbone(x), network.backbone(x), rtol=1e-2, atol=1e-2)
    assert {f.name for f in (tmp_path / "tiny").iterdir()} == {
        "weights.safetensors",
        "manifest.json",
    }


def test_kernels_take_sixteen_bits_statistics_and_head_thirty_two(
    network: Network, tmp_path: Path
) -> None:
    save(tmp_path, network, MANIFEST)
    tensors = safetensors.torch.load((tmp_path / "weights.safetensors").read_bytes())
    assert tensors["backbone.stem.0.weight"].dtype == torch.float16
    assert tensors["backbone.stem.1.running_var"].dtype == torch.float32
    assert tensors["head.weight"].dtype == torch.float32
    assert not [name for name in tensors if name.endswith("num_batches_tracked")]


def test_the_hash_of_a_backbone_does_not_depend_on_the_head(
    network: Network, tmp_path: Path
) -> None:
    first = save(tmp_path, network, MANIFEST)
    with torch.no_grad():
        network.head.bias += 1
    second = save(tmp_path, network, MANIFEST)
    assert second.backbone_sha256 == first.backbone_sha256
    assert second.weights_sha256 != first.weights_sha256


@pytest.mark.parametrize(
    "other", [{"spacing_mm": 1.5}, {"normalisation": "another"}, {"outside_value": -1.0}]
)
def test_the_hash_of_a_backbone_covers_what_it_is_fed(
    network: Network, tmp_path: Path, other: dict[str, object]
) -> None:
    first = save(tmp_path, network, MANIFEST)
    second = save(tmp_path, network, replace(MANIFEST, **other))  # type: ignore[arg-type]
    assert second.backbone_sha256 != first.backbone_sha256


def test_changed_weights_are_refused(network: Network, tmp_path: Path) -> None:
    save(tmp_path, network, MANIFEST)
    path = tmp_path / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(RefusedError, match="weights of model tiny 1 have sha256"):
        load(tmp_path)


def test_a_file_that_is_no_safetensors_is_refused(network: Network, tmp_path: Path) -> None:
    save(tmp_path, network, MANIFEST)
    junk = b"\x80\x04junk, perhaps a pickle"
    (tmp_path / "weights.safetensors").write_bytes(junk)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["weights_sha256"] = hashlib.sha256(junk).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RefusedError, match="are no safetensors file"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json"])
def test_a_missing_file_is_refused(network: Network, tmp_path: Path, name: str) -> None:
    save(tmp_path, network, MANIFEST)
    (tmp_path / name).unlink()
    with pytest.raises(RefusedError, match="there is no readable model in"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("how", "match"),
    [
        (lambda t: t.pop("head.bias"), "lack 1 tensors, first head.bias"),
        (lambda t: t.update(more=torch.zeros(1)), "1 unexpected tensors, first more"),
        (lambda t: t.update({"head.bias": torch.zeros(5)}), r"head.bias has shape \(5,\)"),
        (
            lambda t: t.update({"head.bias": torch.tensor([0, 0, torch.nan, 0])}),
            "not finite, in head.bias",
        ),
        (
            lambda t: t.update({"backbone.stem.1.bias": torch.ones(4)}),
            "the backbone of model tiny has hash",
        ),
    ],
)
def test_tensors_that_are_not_the_manifests_are_refused(
    network: Network, tmp_path: Path, how: Callable[[Tensors], object], match: str
) -> None:
    save(tmp_path, network, MANIFEST)
    change(tmp_path, how)
    with pytest.raises(RefusedError, match=match):
        load(tmp_path)


def test_numbers_that_sixteen_bits_cannot_hold_are_not_written(
    network: Network, tmp_path: Path
) -> None:
    with torch.no_grad():
        network.backbone.stem[0].weight[0, 0, 0, 0, 0] = 1e6
    with pytest.raises(RefusedError, match=r"not finite, in backbone\.stem\.0\.weight"):
        save(tmp_path / "tiny", network, MANIFEST)
    assert not (tmp_path / "tiny").exists()


def test_a_manifest_of_another_network_is_not_written(network: Network, tmp_path: Path) -> None:
    other = replace(MANIFEST, network=NetworkConfig(filters=(4, 16)))
    with pytest.raises(RefusedError, match="the manifest describes"):
        save(tmp_path, network, other)


def test_a_manifest_comes_back_from_json() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"network": {"filters": [4, 8]}}', "3"])
def test_text_that_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="is no manifest"):
        Manifest.from_json(text)


def test_a_manifest_that_says_more_than_we_know_is_refused() -> None:
    values = {**json.loads(MANIFEST.to_json()), "flavour": "vanilla"}
    with pytest.raises(RefusedError, match=r"a manifest has no \['flavour'\]"):
        Manifest.from_json(json.dumps(values))


def test_a_manifest_names_every_class() -> None:
    with pytest.raises(RefusedError, match="4 classes needs as many names"):
        replace(MANIFEST, labels=("background", "tumour"))


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("base", ("background", "necrosis", "edema", "enhancing")),
        ("brain", ("outside", "brain", "tumour")),
    ],
)
def test_what_is_shipped_loads_and_is_small(name: str, labels: tuple[str, ...]) -> None:
    folder = shipped(name)  # type: ignore[arg-type]
    manifest = load(folder).manifest
    assert manifest.labels == labels
    assert manifest.name == f"glioloop-{name}"
    assert (folder / "weights.safetensors").stat().st_size < 25e6


def test_the_finest_spacing_is_that_of_the_grid_unless_said() -> None:
    assert replace(MANIFEST, spacing_mm=2.0).finest_mm == 2.0
    both = replace(MANIFEST, spacing_mm=2.0, finest_spacing_mm=1.0)
    assert both.finest_mm == 1.0
    assert Manifest.from_json(both.to_json()) == both


@pytest.mark.parametrize("finest", [-1.0, 1.5, float("nan")])
def test_a_finest_spacing_that_is_coarser_or_no_length_is_refused(finest: float) -> None:
    with pytest.raises(RefusedError, match="the finest spacing of a model for 1 mm"):
        replace(MANIFEST, finest_spacing_mm=finest)
