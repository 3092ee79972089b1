"""The status page in Chromium: a held correction is accepted, a mask is uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from acceptance.scene import Scene, wait_for
from browser.clinic import Result, Window, looked_at, outcome, result_of
from glioloop.demo_correction import write_correction
from glioloop.demo_studies import Study
from glioloop.ledger_schema import CorrectionState
from glioloop.private_orthanc import VIEWER_AET, storescu
from study.tissue import Tissue

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

PATIENCE_MS = 120_000


def with_a_nameless_segment(result: Result) -> pydicom.Dataset:
    """A correction whose enhancing lesion is called ``Seg 3``, and by nothing else."""
    labels = result.labels.copy()
    labels[labels == Tissue.EDEMA] = Tissue.ENHANCING
    encoded = write_correction(labels, result.image.geometry, result.series, result.seg.facts)
    header = pydicom.dcmread(BytesIO(encoded))
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    segment = next(s for s in header.SegmentSequence if s.SegmentLabel == "Enhancing Lesion")
    segment.SegmentLabel, segment.SegmentDescription = "Seg 3", ""
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning = "85756007", "SCT", "Tissue"
    for keyword in ("TrackingUID", "TrackingID", "RecommendedDisplayCIELabValue"):
        delattr(segment, keyword)
    return header


def status_page(clinic: Scene, window: Window) -> Page:
    """The service's page."""
    page = window(clinic.orthanc)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"http://127.0.0.1:{clinic.service.web_port}/")
    return page


def row(page: Page, uid: str) -> Locator:
    """The row of the page that begins with a UID."""
    return page.locator("tr", has=page.locator(f"td:first-child:text-is('{uid}')"))


def test_a_held_correction_is_accepted_with_a_mapping(
    clinic: Scene, patient: Sequence[Study], window: Window, pictures: Path, tmp_path: Path
) -> None:
    study = patient[0]
    header = with_a_nameless_segment(result_of(clinic, study))
    uid = str(header.SOPInstanceUID)
    header.save_as(tmp_path / "seg.dcm")
    assert storescu(clinic.orthanc, [tmp_path / "seg.dcm"], VIEWER_AET).returncode == 0
    held = outcome(clinic, study, uid)
    assert held.state == CorrectionState.HELD
    assert "Seg 3" in held.reason
    page = status_page(clinic, window)
    waiting = row(page, uid)
    assert "held" in waiting.inner_text()
    page.screenshot(path=pictures / "status-held.png", full_page=True)
    waiting.locator("input[name=map]").fill("Seg 3=enhancing")
    waiting.get_by_role("button", name="accept").click()
    # The page shows itself anew every ten seconds.
    row(page, uid).filter(has=page.locator("td:text-is('accepted')")).wait_for()
    page.screenshot(path=pictures / "status-accepted.png", full_page=True)
    assert outcome(clinic, study, uid).label_map == {"Seg 3": "enhancing"}


def test_a_mask_is_uploaded_and_becomes_a_correction(
    clinic: Scene, patient: Sequence[Study], window: Window, pictures: Path, tmp_path: Path
) -> None:
    study = patient[0]
    result = result_of(clinic, study)
    known = {found.sop_instance_uid for found in looked_at(clinic, study)}
    labels = result.labels.copy()
    labels[labels == Tissue.NECROSIS] = 0
    # NIfTI counts (column, row, slice), and its world is RAS where DICOM's is LPS.
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ result.image.geometry.affine[:, [2, 1, 0, 3]]
    mask = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(labels.transpose(2, 1, 0), affine), mask)
    page = status_page(clinic, window)
    field = row(page, study.study_uid).locator("input[type=file]")
    field.set_input_files(mask)
    page.get_by_text("taken").wait_for()
    page.screenshot(path=pictures / "status-uploaded.png", full_page=True)

    def fresh() -> list[str]:
        rows = looked_at(clinic, study)
        return [r.sop_instance_uid for r in rows if r.sop_instance_uid not in known]

    assert wait_for(lambda: len(fresh()) == 1), clinic.said()
    [uid] = fresh()
    assert outcome(clinic, study, uid).calling_ae == "WEB"
    assert outcome(clinic, study, uid).state == CorrectionState.ACCEPTED
    row(page, uid).filter(has=page.locator("td:text-is('accepted')")).wait_for()
