"""A radiologist sees our outline in OHIF, corrects it and stores it: from that the loop runs."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)

from acceptance.scene import Scene, wait_for
from browser.clinic import Labels, Result, Window, newest, outcome, result_of
from browser.ohif import PREPARED, Viewer
from browser.place import compare, telling_slice
from dicomseg.opening import LABEL_MAP_SEGMENTATION
from dicomseg.read import read_seg
from glioloop.demo_day import algorithm_version
from glioloop.demo_studies import Study
from glioloop.ledger_schema import CorrectionState
from orthanc import ohif_dist
from study.tissue import Tissue

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

RESULT = 901
"""(0020,0011) *Series Number* of the service's SEG."""

STROKE = 12
"""Voxels that the brush is drawn along, to the side of the tumour."""
RADIUS_MM = 3
"""Of the brush."""
REACH = 5
"""Voxels of 0.9 mm, from the stroke, beyond which nothing is painted."""


def draw_enhancing(viewer: Viewer, result: Result) -> npt.NDArray[np.bool_]:
    """Draw with the brush from beside the tumour into it; which voxels must be painted."""
    number = telling_slice(result.labels)
    viewer.take_brush("Enhancing Lesion", RADIUS_MM)
    viewer.go_to(result.order, result.order[number])
    rows, columns = np.nonzero(result.labels[number])
    row, column = int(rows.mean()), int(columns.max())
    shape = result.labels[number].shape
    where = viewer.rectangle(result.image.geometry, number)
    path = [(row, column - n) for n in range(STROKE)]
    viewer.drag([where.pixel(*point, shape) for point in path])
    must = np.zeros(result.labels.shape, bool)
    must[number, row, column - STROKE + 1 : column + 1] = True
    return must


def check_stroke(before: Labels, after: Labels, must: npt.NDArray[np.bool_]) -> None:
    """Only the stroke was painted, as enhancing lesion."""
    assert (after[must] == Tissue.ENHANCING).all()
    changed = before != after
    assert changed.any()
    assert (after[changed] == Tissue.ENHANCING).all()
    [number] = np.unique(np.nonzero(must)[0])
    assert set(np.nonzero(changed)[0]) == {number}
    painted, drawn = np.argwhere(changed[number]), np.argwhere(must[number])
    apart = np.linalg.norm(painted[:, None] - drawn[None], axis=2).min(axis=1)
    assert apart.max() <= REACH


def test_the_services_seg_lies_where_its_masks_are(
    clinic: Scene, patient: Sequence[Study], window: Window, pictures: Path
) -> None:
    result = result_of(clinic, patient[0])
    viewer = Viewer(window(clinic.orthanc), clinic.orthanc.url)
    viewer.open(patient[0].study_uid)
    viewer.load(RESULT)
    found = compare(viewer, result.series, result.image, result.labels)
    viewer.keep(pictures / "ohif-result.png")
    assert found.shows_the_image, found
    assert found.fits, found
    # Nothing of a patient leaves the house, and nothing is fetched from elsewhere.
    assert [a for a in viewer.asked if not a.startswith((viewer.url, "blob:", "data:"))] == []


def test_an_edit_is_stored_recognised_learnt_and_the_next_study_uses_it(
    clinic: Scene, patient: Sequence[Study], window: Window, pictures: Path
) -> None:
    first, second = patient
    result = result_of(clinic, first)
    viewer = Viewer(window(clinic.orthanc), clinic.orthanc.url)
    viewer.open(first.study_uid)
    viewer.load(RESULT)
    must = draw_enhancing(viewer, result)
    viewer.keep(pictures / "ohif-edited.png")
    viewer.store()
    stored = newest(clinic, first, 2)
    header = pydicom.dcmread(BytesIO(stored))
    assert header.SOPClassUID == SegmentationStorage
    assert header.SegmentationType == "BINARY"
    assert header.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    check_stroke(result.labels, read_seg(stored, result.image.geometry).labels(), must)
    correction = outcome(clinic, first, header.SOPInstanceUID)
    assert (correction.state, correction.signal) == (CorrectionState.ACCEPTED, 1), correction.reason
    next_result = result_of(clinic, second)
    assert algorithm_version(next_result.encoded).endswith(".1")


def as_its_authors_publish_it(page: Page) -> None:
    """Let a window load OHIF without what `orthanc.ohif_dist` configures and mends in it."""
    ours = ohif_dist.CONFIGURATION.read_text()
    theirs = ours.replace("segmentation: {", "ignored: {")
    assert theirs != ours
    page.route("**/app-config.js", lambda route: route.fulfill(body=theirs))
    fault, mended = (ohif_dist.ASSIGNED.format(where) for where in ("", ".dataset"))
    [code] = [path for path in PREPARED.glob("*.js") if mended in path.read_text()]
    faulty = code.read_text().replace(mended, fault)
    page.route(f"**/{code.name}", lambda route: route.fulfill(body=faulty))


def test_what_another_ohif_stores_is_read_as_well_and_learnt_when_it_is_sent_to_be_learnt(
    clinic: Scene, patient: Sequence[Study], window: Window
) -> None:
    """LABELMAP in RLE, without (0020,9111) *Frame Content Sequence*, naming nothing of ours."""
    study = patient[1]
    result = result_of(clinic, study)
    known = len(clinic.segs(study.study_uid))
    page = window(clinic.orthanc)
    as_its_authors_publish_it(page)
    viewer = Viewer(page, clinic.orthanc.url)
    viewer.open(study.study_uid)
    viewer.load(RESULT)
    must = draw_enhancing(viewer, result)
    viewer.store()
    stored = newest(clinic, study, known + 1)
    header = pydicom.dcmread(BytesIO(stored))
    assert header.SOPClassUID == LABEL_MAP_SEGMENTATION
    assert header.file_meta.TransferSyntaxUID == RLELossless
    assert not any("FrameContentSequence" in f for f in header.PerFrameFunctionalGroupsSequence)
    assert "PredecessorDocumentsSequence" not in header
    check_stroke(result.labels, read_seg(stored, result.image.geometry).labels(), must)
    routed = outcome(clinic, study, header.SOPInstanceUID)
    assert (routed.state, routed.signal) == (CorrectionState.HELD, 7)
    # A person sends it to be learnt, with Orthanc's own button.
    sent = clinic.segs(study.study_uid)[-1]
    clinic.orthanc.post("/modalities/glioloop_learn/store", {"Resources": [sent]})

    def taken() -> bool:
        return outcome(clinic, study, header.SOPInstanceUID).state == CorrectionState.ACCEPTED

    assert wait_for(taken), clinic.said()
    assert outcome(clinic, study, header.SOPInstanceUID).signal == 6
