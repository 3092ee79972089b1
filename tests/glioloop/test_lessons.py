from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import dcmread
from small_dicom import ARRIVED_SEG as SEG

from dicomseg.identity import ResultIdentity
from dicomseg.write import write_seg
from glioloop import label_file, outlines, results
from glioloop.bench_seg import make_task
from glioloop.ledger import Ledger
from glioloop.ledger_schema import CorrectionState
from glioloop.lessons import Lesson, lesson_json, with_layers
from glioloop.phantom import FIRST_STUDY
from study.tissue import TUMOUR_TISSUES


@pytest.fixture
def site(tmp_path):
    """Six SEGs of one result: layers 1, 3 and 6, and three that are none of 6.

    One is of another series, one was withdrawn, one is not yet learnt.
    """
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for number, series, state in [
        (1, "1.7", CorrectionState.ACCEPTED),
        (2, "1.8", CorrectionState.ACCEPTED),
        (3, "1.7", CorrectionState.NOT_BETTER),
        (4, "1.7", CorrectionState.WITHDRAWN),
        (5, "1.7", CorrectionState.LEARNING),
        (6, "1.7", CorrectionState.LEARNING),
    ]:
        ledger.enter(
            replace(
                SEG,
                sop_instance_uid=f"1.9.{number}",
                series_uid=series,
                received_at=float(number),
                path=Path(f"{number}.dcm"),
                sha256=str(number),
            )
        )
        ledger.set_correction(
            f"1.9.{number}", state=state, result_id="00112233445566778899aabbccddeeff"
        )
    yield SimpleNamespace(ledger=ledger, results=results.ResultStore(tmp_path / "results"))
    ledger.close()


def test_layers_are_what_was_taken_before_in_the_same_series(site):
    """The newest first, each with the decision about it; what came later is left out, too."""
    site.ledger.set_correction("1.9.1", label_map={"Segment 1": "edema"})
    lessons = {n: lesson_json(site, site.ledger.correction(f"1.9.{n}")) for n in (1, 2, 3, 6)}
    assert lessons[6]["layers"] == [("3.dcm", {}), ("1.dcm", {"Segment 1": "edema"})]
    assert lessons[3]["layers"] == [("1.dcm", {"Segment 1": "edema"})]
    assert lessons[1]["layers"] == lessons[2]["layers"] == []


def test_a_head_is_taught_by_layers_too(site):
    rows = [site.ledger.correction(f"1.9.{number}") for number in (6, 2)]
    found = with_layers(site, rows)
    assert [row.sop_instance_uid for row in found] == ["1.9.1", "1.9.2", "1.9.3", "1.9.6"]


@pytest.mark.parametrize(
    "changed", [{"state": CorrectionState.WITHDRAWN}, {"label_map": {"Segment 1": "edema"}}]
)
def test_another_layer_teaches_something_else(site, changed):
    """What is kept of an outline is found again only where its files, and their meaning, are."""
    before = lesson_json(site, site.ledger.correction("1.9.6"))["outline"]
    site.ledger.set_correction("1.9.1", **changed)
    assert lesson_json(site, site.ledger.correction("1.9.6"))["outline"] != before


def test_what_was_read_otherwise_is_not_found_again(site, monkeypatch):
    """An outline that an older version of the reader kept would be learnt from for ever."""
    before = lesson_json(site, site.ledger.correction("1.9.1"))["outline"]
    monkeypatch.setattr("glioloop.lessons.FORMAT", 4)
    assert lesson_json(site, site.ledger.correction("1.9.1"))["outline"] != before


def without_places(encoded):
    """Frames that only name the images on which they were drawn."""
    ds = dcmread(BytesIO(encoded))
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    buffer = BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


def test_a_lesson_is_read_with_its_layers_and_the_images_of_its_result(tmp_path):
    """Three files of one tissue each, of which the frames do not say where they lie."""
    task = make_task(tmp_path, (48, 40, 8))
    sources = [dcmread(path, stop_before_pixels=True) for path in task.sources]
    identity = ResultIdentity("00112233445566778899aabbccddeeff", "base", "1", FIRST_STUDY)
    (tmp_path / results.SEG).write_bytes(write_seg(task.labels, sources, identity))
    (tmp_path / results.LABELS).write_bytes(label_file.labels_to_bytes(task.labels))
    for tissue in TUMOUR_TISSUES:
        alone = np.where(task.labels.array == tissue, tissue, 0).astype(np.uint8)
        assert alone.any()
        own = replace(identity, kind=f"correction {tissue}")
        layer = write_seg(task.labels.with_array(alone), sources, own, (tissue,))
        (tmp_path / f"{tissue}.dcm").write_bytes(without_places(layer))
    newest, *older = (tmp_path / f"{tissue}.dcm" for tissue in reversed(TUMOUR_TISSUES))
    layers = [(str(path), {}) for path in older]
    lesson = Lesson(tmp_path, newest, tmp_path, tmp_path, {}, layers=layers)
    corrected, _ = outlines.read_correction(lesson)
    assert (corrected.outlined, corrected.unchanged) == (set(TUMOUR_TISSUES), True)
