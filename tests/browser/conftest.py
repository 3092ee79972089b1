"""Chromium, a PACS that serves OHIF, and a service beside it; for ``make test-browser``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acceptance.scene import Scene
from browser.ohif import PREPARED
from glioloop.demo_studies import Study, phantom_studies
from glioloop.phantom import write_patient
from glioloop.private_orthanc import Orthanc, free_port
from glioloop.private_service import Service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPEN_GATE = Path(__file__).parents[1] / "acceptance" / "open_gate_service.py"

DRAWN_BY_THE_PROCESSOR = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)
"""OHIF draws with WebGL; no graphics card is needed for it."""

ALONE = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
"""Chromium asks its makers for nothing."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - make test has no Playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*DRAWN_BY_THE_PROCESSOR, *ALONE]
        )
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Browser) -> Iterator[Callable[[Orthanc], Page]]:
    """A function that opens an empty window for somebody who may see what Orthanc has."""
    contexts = []

    def opened(orthanc: Orthanc) -> Page:
        context = chromium.new_context(
            viewport={"width": 1280, "height": 800},
            http_credentials={"username": orthanc.user, "password": orthanc.password},
        )
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of screenshots: the one that GLIOLOOP_SCREENSHOTS names, else a temporary one."""
    named = os.environ.get("GLIOLOOP_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, ...]:
    """The two studies of a phantom patient."""
    return tuple(phantom_studies(write_patient(tmp_path_factory.mktemp("patient"))))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A PACS with OHIF, and no service behind it."""
    folder = tmp_path_factory.mktemp("archive")
    with Orthanc(folder / "orthanc", free_port(), ohif=PREPARED) as orthanc:
        yield orthanc


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A PACS with OHIF, and the service with its shipped model. The gate stands open."""
    folder = tmp_path_factory.mktemp("clinic")
    command = (sys.executable, str(OPEN_GATE))
    quick = {"inference": {"mode": "fast"}}
    service = Service(folder / "service", free_port(), quick, command=command)
    orthanc = Orthanc(
        folder / "orthanc",
        service.port,
        service.web_port,
        ohif=PREPARED,
        dicom_port=service.pacs_port,
    )
    with orthanc, service:
        yield Scene(orthanc, service)
