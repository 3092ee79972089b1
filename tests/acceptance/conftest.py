"""A PACS, a service and a patient for the tests of the whole loop."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import torch

from engine.network import Network, NetworkConfig
from engine.normalise import NORMALISATION
from engine.phantom import phantom_head
from engine.weights import Manifest, save
from glioloop.phantom import PhantomStudy, write_study
from study.tissue import Role

MOMENT = dt.datetime(2026, 1, 14, 9, 5, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that answer in a second: `brain` calls everything brain, `base` is not trained."""
    folder = tmp_path_factory.mktemp("models")
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


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    """One study of a phantom patient."""
    head = phantom_head(1, spacing_mm=3.0)
    return write_study(tmp_path_factory.mktemp("patient"), head, 1, 1, MOMENT)


@pytest.fixture(scope="session")
def without_t2(tmp_path_factory: pytest.TempPathFactory) -> tuple[PhantomStudy, PhantomStudy]:
    """Two other patients, of whom the T2 was not scanned."""
    head = phantom_head(2, spacing_mm=3.0)
    first, second = (
        write_study(tmp_path_factory.mktemp("no-t2"), head, seed, 1, MOMENT, frozenset({Role.T2}))
        for seed in (2, 3)
    )
    return first, second
