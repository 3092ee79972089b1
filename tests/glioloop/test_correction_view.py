"""A held SEG as a person decides about it: its segments, and what they are taken for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from small_world import StandIn, write_study
from web_site import IMAGE, WebSite, open_web, result

from converter.parts import headers_of, read_part
from converter.volume import to_volume
from dicomseg.encode import encode_seg
from dicomseg.identity import ResultIdentity
from glioloop import inference
from glioloop.ledger_schema import CorrectionState
from study.tissue import Tissue


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebSite]:
    # In truth a confined child opens what came; that is tested by itself, and takes seconds.
    monkeypatch.setattr(inference, "run", StandIn().run)
    with open_web(tmp_path / "data") as opened:
        yield opened


def seg_with_a_nameless_segment(folder: Path) -> Path:
    """A SEG of edema, and of a segment that nothing names."""
    files = write_study(folder).files["T1GD"]
    part = read_part([str(path) for path in files])
    volume = to_volume(part)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[3:9, 4:10, 5:11] = Tissue.EDEMA
    labels[5:8, 6:9, 6:9] = Tissue.ENHANCING
    identity = ResultIdentity("ab" * 16, "a viewer", "1", datetime(2026, 1, 2, tzinfo=UTC))
    path = folder / "seg.dcm"
    path.write_bytes(encode_seg(volume.with_array(labels), headers_of(part), identity))
    header = dcmread(path)
    for segment in header.SegmentSequence:
        if segment.SegmentLabel == "Enhancing Lesion":
            segment.SegmentLabel, segment.SegmentDescription = "Seg 3", ""
            kind = segment.SegmentedPropertyTypeCodeSequence[0]
            kind.CodeValue, kind.CodingSchemeDesignator = "85756007", "SCT"
            for keyword in ("TrackingUID", "TrackingID", "RecommendedDisplayCIELabValue"):
                delattr(segment, keyword)
    header.save_as(path)
    return path


def held(web: WebSite, path: Path) -> None:
    arrival = replace(IMAGE, sop_instance_uid="1.9", modality="SEG", sha256="bb", path=path)
    web.site.ledger.enter(arrival)
    web.site.ledger.set_correction("1.9", state=CorrectionState.HELD, reason="what is Seg 3?")


def test_its_segments_are_shown_with_what_they_are_taken_for(web: WebSite, tmp_path: Path) -> None:
    held(web, seg_with_a_nameless_segment(tmp_path / "in"))
    web.site.ledger.put(result(1))
    found = web.get("corrections/1.9")
    assert (found["state"], found["reason"]) == ("held", "what is Seg 3?")
    tissues = {one["label"]: one["tissue"] for one in found["segments"]}
    assert (tissues["Edema"], tissues["Seg 3"]) == ("edema", "")
    assert found["tissues"] == ["necrosis", "edema", "enhancing", "none"]
    assert [one["result_id"] for one in found["results"]] == [f"{1:032x}"]
    web.site.ledger.set_correction("1.9", label_map={"Seg 3": "none"})
    tissues = {one["label"]: one["tissue"] for one in web.get("corrections/1.9")["segments"]}
    assert tissues["Seg 3"] == "none"


def test_one_that_cannot_be_opened_is_shown_with_the_reason(web: WebSite, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    path.write_bytes(b"no SEG")
    held(web, path)
    found = web.get("corrections/1.9")
    assert found["segments"] == []
    assert found["unreadable"]
    assert web.client.get("/api/v1/corrections/8.8").status_code == 400
