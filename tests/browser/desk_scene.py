"""A PACS and a service for tests of Glioloop's page under Orthanc: nothing is sent by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acceptance.scene import Scene
from acceptance.small_models import write_small_models
from glioloop.private_orthanc import Orthanc, free_port
from glioloop.private_service import Service

OPEN_GATE = Path(__file__).parents[1] / "acceptance" / "open_gate_service.py"
NEVER_S = 3600
"""A study is never stable while a test runs: only a person's buttons send something."""


@contextmanager
def open_desk(folder: Path) -> Iterator[Scene]:
    """Both servers, with small networks and an open gate."""
    models = write_small_models(folder / "models")
    service = Service(
        folder / "service",
        free_port(),
        {"inference": {"model_folder": str(models), "mode": "fast"}},
        command=(sys.executable, str(OPEN_GATE)),
    )
    orthanc = Orthanc(
        folder / "orthanc",
        service.port,
        service.web_port,
        stable_age_s=NEVER_S,
        dicom_port=service.pacs_port,
    )
    with orthanc, service:
        yield Scene(orthanc, service)
