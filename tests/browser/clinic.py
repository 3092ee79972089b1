"""What the tests in Chromium ask the PACS and the service of `conftest.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from acceptance.scene import Scene, wait_for
from browser.place import along
from converter.series import Series
from converter.volume import to_volume
from dicomseg.facts import read_facts
from dicomseg.read import CorrectedSeg, read_seg
from glioloop.demo_studies import Study
from glioloop.ledger_schema import CorrectionRow, CorrectionState
from glioloop.private_orthanc import Orthanc, storescu
from study.volume import Volume

if TYPE_CHECKING:
    from playwright.sync_api import Page

Labels = npt.NDArray[np.uint8]
Window = Callable[[Orthanc], "Page"]

UNFINISHED = (CorrectionState.RECEIVED, CorrectionState.LEARNING)


@dataclass(frozen=True, eq=False)
class Result:
    """The service's SEG of a study, as the PACS has it."""

    encoded: bytes
    seg: CorrectedSeg
    series: Series
    image: Volume
    labels: Labels
    order: list[str]
    """(0008,0018) *SOP Instance UID* of each slice of the image."""


def result_of(clinic: Scene, study: Study) -> Result:
    """Send a study, unless it was sent, and wait for its first SEG."""
    if not clinic.state(study.study_uid):
        assert storescu(clinic.orthanc, study.files).returncode == 0
    assert wait_for(lambda: len(clinic.segs(study.study_uid)) >= 1), clinic.said()
    encoded = clinic.orthanc.file(clinic.segs(study.study_uid)[0])
    series = study.series(read_facts(encoded).referenced_series[0])
    image = to_volume(series)
    seg = read_seg(encoded, image.geometry)
    return Result(encoded, seg, series, image, seg.labels(), along(series, image))


def newest(clinic: Scene, study: Study, count: int) -> bytes:
    """The SEG of a study that came last to the PACS, once there are so many."""
    assert wait_for(lambda: len(clinic.segs(study.study_uid)) == count), clinic.said()
    return clinic.orthanc.file(clinic.segs(study.study_uid)[-1])


def looked_at(clinic: Scene, study: Study) -> list[CorrectionRow]:
    """A study's SEGs in the ledger with which all is done that is to be done."""
    ledger = clinic.service.ledger()
    try:
        rows = ledger.corrections()
    finally:
        ledger.close()
    return [r for r in rows if r.study_uid == study.study_uid and r.state not in UNFINISHED]


def outcome(clinic: Scene, study: Study, sop_instance_uid: str) -> CorrectionRow:
    """What became of a SEG."""

    def found() -> list[CorrectionRow]:
        rows = looked_at(clinic, study)
        return [row for row in rows if row.sop_instance_uid == sop_instance_uid]

    assert wait_for(lambda: len(found()) == 1), clinic.said()
    return found()[0]
