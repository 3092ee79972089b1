"""Glioloop's page under a real Orthanc, on a site whose ledger was written for it: no inference."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from small_world import SEQUENCES, SLICES, write_slice
from web_site import IMAGE, KEY, WebSite, open_web, result

from browser.clinic import Window
from browser.test_desk import keep
from glioloop import results
from glioloop.ledger_schema import StudyState
from glioloop.models import BASE
from glioloop.private_orthanc import Orthanc, free_port, storescu
from study.patient import PatientKey

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

UID = "1.2.826.0.1.3680043.10.777.1"
MAKE_JOBS = "import sys; from glioloop import jobs; jobs.run(sys.argv[1]); jobs.stop()"
NAMELESS = {"SeriesDescription": "series 5", "EchoTime": None, "RepetitionTime": None}


@dataclass
class Desk:
    """Orthanc, and the site behind it."""

    orthanc: Orthanc
    web: WebSite


@pytest.fixture
def desk(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A held study whose T2 nothing names; its patient has two versions and two dates."""
    assert pictures.is_dir()
    # `make test-browser` sets it, and the settings refuse what they do not know.
    monkeypatch.delenv("GLIOLOOP_SCREENSHOTS", raising=False)
    (tmp_path / "data").mkdir()
    # In a process of its own: the engine does not start beside the browser's event loop.
    command = [sys.executable, "-c", MAKE_JOBS, f"sqlite:///{tmp_path / 'data' / 'jobs.db'}"]
    subprocess.run(command, check=True, timeout=120)
    with open_web(tmp_path / "data") as web:
        fill(web, tmp_path / "in")
        port = int(web.client.base_url.port or 0)
        with Orthanc(tmp_path / "orthanc", free_port(), port, stable_age_s=3600) as orthanc:
            assert storescu(orthanc, sorted((tmp_path / "in").iterdir())).returncode == 0
            yield Desk(orthanc, web)


def fill(web: WebSite, folder: Path) -> None:
    """Write the study's files and what the ledger, the results and the models know."""
    for series, (role, header) in enumerate(SEQUENCES.items(), 1):
        given = {**header, **NAMELESS} if role == "T2" else header
        for k in range(SLICES):
            path = write_slice(folder, UID, series, k, **given)
            uid = f"{UID}.{series}.{k + 1}"
            one = replace(IMAGE, study_uid=UID, sop_instance_uid=uid, sha256=uid, path=path)
            web.site.ledger.enter(one)
    web.site.ledger.set_study(UID, state=StudyState.HELD, reason="T2 is missing.")
    for number, (date, enhancing) in enumerate((("20260101", 5.0), ("20260301", 8.0)), 1):
        web.site.ledger.put(result(number, f"1.2.{number}", 2000.0 + number))
        volumes = {"necrosis": 1.0, "edema": 20.0, "enhancing": enhancing}
        report = {"study_date": date, "same_person": True, "volumes_ml": volumes}
        web.site.results.write(f"{number:032x}", results.REPORT, json.dumps(report).encode())
    for parent in (BASE, 1):
        web.site.models.accept(
            PatientKey(KEY),
            parent=parent,
            backbone=web.site.manifest()["backbone_sha256"],
            head={"weight": [[float(parent)]], "bias": [0.0]},
            corrections=(f"1.9.{parent}",),
            metrics={"dice_base": {"enhancing": 0.4}, "dice_fitted": {"enhancing": 0.7}},
            software="1",
        )


@pytest.fixture
def page(desk: Desk, window: Window) -> Page:
    """A window that knows Orthanc's password, on Glioloop's page."""
    opened = window(desk.orthanc)
    opened.set_default_timeout(120_000)
    opened.goto(f"{desk.orthanc.url}/glioloop/desk/index.html")
    return opened


def test_a_held_study_is_resolved_with_the_keyboard_alone(
    desk: Desk, page: Page, pictures: Path
) -> None:
    # The study is called what Orthanc calls it: Glioloop knows no name.
    page.get_by_role("link", name="Quokka^Zebulon").first.press("Enter")
    page.locator("#phase", has_text="held").wait_for()
    page.get_by_role("link", name="Which series is which?").press("Enter")
    choice = page.get_by_label("take series 5 as T2")
    choice.focus()
    page.keyboard.press("Space")
    assert choice.is_checked()
    keep(page, pictures / "desk-held.png")
    page.get_by_role("button", name="Segment with these series").press("Enter")
    page.get_by_text("Asked for").wait_for()
    study = desk.web.site.ledger.study(UID)
    assert (study.request, study.overrides) == (1, {"T2": f"{UID}.3"})


def test_a_model_is_rolled_back_beside_its_chart(desk: Desk, page: Page, pictures: Path) -> None:
    page.get_by_role("link", name="Patients").click()
    page.get_by_role("link", name="patient abababab").click()
    chart = page.locator("img.chart")
    chart.wait_for()
    assert chart.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.locator("#uses", has_text="abababab.2").wait_for()
    keep(page, pictures / "desk-patient.png")
    page.get_by_role("button", name="Roll back").click()
    page.locator("#uses", has_text="abababab.1").wait_for()
    [done] = desk.web.site.models.audit()
    assert (done.action, done.by) == ("rollback", f"web: {desk.orthanc.user}")
