"""A PACS, a service and a patient for the tests of the whole loop."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from acceptance.scene import Scene
from engine.network import Network, NetworkConfig
from engine.phantom import phantom_head
from engine.weights import Manifest, save
from glioloop.phantom import PhantomStudy, write_study
from glioloop.private_orthanc import Orthanc
from glioloop.private_service import Service
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
                normalisation="z-score over brain",
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
def patient_without_t2(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    """Another patient, of whom the T2 was not scanned."""
    folder, head = tmp_path_factory.mktemp("without-t2"), phantom_head(2, spacing_mm=3.0)
    return write_study(folder, head, 2, 1, MOMENT, frozenset({Role.T2}))


@pytest.fixture
def scene(
    tmp_path: Path, small_models: Path, free_port: Callable[[], int]
) -> Iterator[Callable[..., Scene]]:
    """A function that makes a PACS and a service with small networks; both end with the test."""
    made: list[Scene] = []

    def make(pacs_runs: bool = True, command: tuple[str, ...] = (), **settings: object) -> Scene:
        service = Service(
            tmp_path / "service",
            free_port(),
            {"inference": {"model_folder": str(small_models), "overlap": 0.0}, **settings},
        )
        if command:
            service.command = command
        orthanc = Orthanc(
            tmp_path / "orthanc",
            service.port,
            service.web_port,
            stable_age_s=1,
            dicom_port=service.pacs_port,
        )
        made.append(Scene(orthanc, service))
        if pacs_runs:
            orthanc.start()
        service.start()
        return made[-1]

    yield make
    for one in made:
        one.service.stop()
        one.orthanc.stop()
