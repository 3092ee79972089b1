"""Orthanc's own page of a study leads to OHIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from browser.clinic import Window
from browser.ohif import CURRENT, PATIENCE_MS
from glioloop.demo_studies import Study
from glioloop.private_orthanc import Orthanc, storescu

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_the_button_on_a_studys_page_opens_it_in_ohif(
    archive: Orthanc, patient: Sequence[Study], window: Window, pictures: Path
) -> None:
    uid = patient[0].study_uid
    assert storescu(archive, patient[0].files).returncode == 0
    query = {"Level": "Study", "Query": {"StudyInstanceUID": uid}}
    [study] = archive.post("/tools/find", query)
    page = window(archive)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{archive.url}/app/explorer.html#study?uuid={study}")
    button = page.get_by_role("link", name="Correct in OHIF")
    button.wait_for()
    page.screenshot(path=pictures / "orthanc-study.png")
    button.click()
    page.wait_for_url(f"{archive.url}/ohif/segmentation?StudyInstanceUIDs={uid}")
    page.wait_for_function(f"({CURRENT})().includes('/studies/{uid}/')")
