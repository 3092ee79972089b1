"""Tests of `glioloop.networks`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.network import Network, NetworkConfig
from engine.normalise import NORMALISATION
from engine.outputs import BRAIN_LABELS, TISSUE_LABELS
from engine.weights import Manifest, save
from glioloop.networks import Options, load_networks
from study.errors import RefusedError


def write(folder: Path, classes: int, normalisation: str = NORMALISATION) -> Path:
    """A tiny model."""
    torch.manual_seed(0)
    config = NetworkConfig(3, classes, (4, 8))
    names = BRAIN_LABELS if classes == 3 else TISSUE_LABELS
    save(folder, Network(config), Manifest("tiny", "1", config, 2.0, normalisation, names))
    return folder


def test_a_model_of_the_other_task_is_refused(tmp_path: Path) -> None:
    tumour, brain = write(tmp_path / "t", 4), write(tmp_path / "b", 3)
    options = Options(device="torch", threads=1)
    assert load_networks(tumour, brain, options).brain_manifest.labels == BRAIN_LABELS
    with pytest.raises(RefusedError, match="that outlines tumour tells background, necrosis"):
        load_networks(brain, brain, options)
    with pytest.raises(RefusedError, match="that finds the brain tells outside, brain, tumour:"):
        load_networks(tumour, tumour, options)


def test_a_model_whose_intensities_are_made_in_an_unknown_way_is_refused(tmp_path: Path) -> None:
    tumour, brain = write(tmp_path / "t", 4, "quantiles/9"), write(tmp_path / "b", 3)
    with pytest.raises(RefusedError, match="normalisation 'quantiles/9' is unknown"):
        load_networks(tumour, brain, Options(device="torch", threads=1))


def test_a_mode_says_how_a_volume_is_taken_apart() -> None:
    config = NetworkConfig(3, 3, (4, 8))
    manifest = Manifest("tiny", "1", config, 2.0, "n", ("a", "b", "c"), outside_value=-2.5)
    fast = Options(mode="fast", batch=3).patching(manifest)
    assert (fast.overlap, fast.batch, fast.flips, fast.outside) == (0.25, 3, ((),), -2.5)
    assert (fast.most_voxels, fast.multiple) == (262_144, 2)
    quality = Options(mode="quality", device="openvino").patching(manifest)
    assert (quality.most_voxels, quality.size, quality.overlap) == (None, (64, 64, 64), 0.75)
    assert (quality.batch, quality.flips) == (1, ((),))
