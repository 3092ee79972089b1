"""Glioloop under Orthanc, as a radiologist and an administrator use it, from first to last."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from acceptance.scene import Scene
from browser.clinic import Window, outcome, result_of
from browser.desk_scene import open_desk
from browser.test_status_page import with_a_nameless_segment
from engine.phantom import phantom_head
from glioloop.demo_studies import Study, read_studies
from glioloop.ledger_schema import CorrectionState
from glioloop.phantom import write_study
from glioloop.private_orthanc import VIEWER_AET, storescu

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

PATIENCE_MS = 400_000
"""Longest wait: other tests may keep the machine busy."""


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A PACS that sends nothing by itself, and a service."""
    with open_desk(tmp_path_factory.mktemp("ward")) as opened:
        yield opened


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    """Two coarse studies of a phantom patient, which are aligned quickly."""
    folder, first = tmp_path_factory.mktemp("visits"), dt.datetime(2026, 1, 14, 9, tzinfo=dt.UTC)
    for number in (1, 2):
        head = phantom_head(1, spacing_mm=3.0)
        write_study(folder / str(number), head, 1, number, first + dt.timedelta(days=60 * number))
    return read_studies([folder])


@pytest.fixture
def page(ward: Scene, window: Window) -> Page:
    """A window that knows Orthanc's password. Whatever the page asks, it answers yes."""
    opened = window(ward.orthanc)
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("dialog", lambda dialog: dialog.accept())
    return opened


def keep(page: Page, path: Path) -> None:
    """Write the page as a picture that is small enough for a document."""
    image = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    small = image.resize((1024, round(1024 * image.height / image.width)))
    small.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def orthanc_id(ward: Scene, level: str, **query: str) -> str:
    """Orthanc's id of the one study or series that fits."""
    [found] = ward.orthanc.post("/tools/find", {"Level": level, "Query": query})
    return str(found)


def desk(ward: Scene, page: Page, part: str = "") -> None:
    """Open a part of Glioloop's page."""
    page.goto(f"{ward.orthanc.url}/glioloop/desk/index.html#/{part}")


def test_a_study_is_segmented_taught_and_rolled_back(
    ward: Scene, visits: Sequence[Study], page: Page, pictures: Path, tmp_path: Path
) -> None:
    study = visits[0]
    assert storescu(ward.orthanc, study.files).returncode == 0
    uid = study.study_uid
    page.goto(
        f"{ward.orthanc.url}/app/explorer.html"
        f"#study?uuid={orthanc_id(ward, 'Study', StudyInstanceUID=uid)}"
    )
    state = page.locator("#glioloop-state")
    state.get_by_text("not sent to Glioloop").wait_for()
    page.get_by_role("link", name="Segment glioma").click()
    state.get_by_text("segmenting").wait_for()
    keep(page, pictures / "orthanc-segmenting.png")
    state.get_by_text("delivered").wait_for()
    keep(page, pictures / "orthanc-delivered.png")

    # A correction of which one segment has no name: nobody sent it on, so a person teaches it.
    header = with_a_nameless_segment(result_of(ward, study))
    header.save_as(tmp_path / "seg.dcm")
    assert storescu(ward.orthanc, [tmp_path / "seg.dcm"], VIEWER_AET).returncode == 0
    series = orthanc_id(ward, "Series", SeriesInstanceUID=str(header.SeriesInstanceUID))
    page.goto(f"{ward.orthanc.url}/app/explorer.html#series?uuid={series}")
    page.get_by_role("link", name="Teach Glioloop").click()
    page.get_by_text("Sent to be learnt from").wait_for()
    held = outcome(ward, study, str(header.SOPInstanceUID))
    assert (held.state, held.called_ae) == (CorrectionState.HELD, "GLIOLOOP_LEARN")

    desk(ward, page)
    page.get_by_role("link", name="decide").first.click()
    page.get_by_label("tissue of segment Seg 3").select_option("enhancing")
    keep(page, pictures / "desk-correction.png")
    page.get_by_role("button", name="Accept").click()
    desk(ward, page, f"studies/{uid}")
    page.locator("#phase", has_text="correction learnt").wait_for()

    page.get_by_role("link", name="patient ").click()
    chart = page.locator("img.chart")
    chart.wait_for()
    assert chart.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.locator("#uses", has_text=".1").wait_for()
    keep(page, pictures / "desk-patient.png")
    page.get_by_role("button", name="Roll back").click()
    page.locator("#uses", has_text="its group's head, or base").wait_for()
    [audit] = page.locator("tr", has=page.locator("td:text-is('rollback')")).all()
    assert ward.orthanc.user in audit.inner_text()
