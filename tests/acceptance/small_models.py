"""Networks that answer in a second, for tests in which it does not matter what they say."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.network import Network, NetworkConfig
from engine.normalise import NORMALISATION
from engine.weights import Manifest, save


def write_small_models(folder: Path) -> Path:
    """Write them: `brain` calls everything brain, `base` is not trained."""
    torch.manual_seed(1)
    for name, spacing, labels in (
        ("base", 4.0, ("background", "necrosis", "edema", "enhancing")),
        ("brain", 8.0, ("outside", "brain", "tumour")),
    ):
        config = NetworkConfig(classes=len(labels), filters=(4, 6, 8, 8))
        network = Network(config).eval()
        if name == "brain":
            with torch.no_grad():
                network.head.weight.zero_()
                network.head.bias.copy_(torch.tensor([-9.0, 9.0, -9.0]))
        save(
            folder / name,
            network,
            Manifest(
                name=f"small-{name}",
                version="0",
                network=config,
                spacing_mm=spacing,
                normalisation=NORMALISATION,
                labels=labels,
            ),
        )
    return folder
