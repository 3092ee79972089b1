from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import dcmread

from dicomseg.identity import ResultIdentity
from dicomseg.write import write_seg
from glioloop import label_file, outlines, results
from glioloop.bench_seg import make_task
from glioloop.ledger import Ledger
from glioloop.ledger_schema import CorrectionState
from glioloop.lessons import Lesson, lesson_json
from glioloop.phantom import FIRST_STUDY
from listener.inbox import Received
from study.tissue import TUMOUR_TISSUES

SEG = Received(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
    sop_instance_uid="",
    series_uid="1.7",
    study_uid="1",
    modality="SEG",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    calling_ae="WORKSTATION",
    called_ae="GLIOLOOP_LEARN",
    received_at=0.0,
    path=None,
    sha256="",
)


@pytest.fixture
def site(tmp_path):
    """Five SEGs of one result: layers 1 to 3, one of another series, one that was withdrawn."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for number, series, state in [
        (1, "1.7", CorrectionState.ACCEPTED),
        (2, "1.8", CorrectionState.ACCEPTED),
        (3, "1.7", CorrectionState.LEARNING),
        (4, "1.7", CorrectionState.WITHDRAWN),
        (5, "1.7", CorrectionState.LEARNING),
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


def test_layers_are_what_came_before_in_the_same_series(site):
    """The newest first; another series, what was withdrawn and what came later are left out."""
    lessons = {n: lesson_json(site, site.ledger.correction(f"1.9.{n}")) for n in (1, 2, 3, 5)}
    assert lessons[5]["layers"] == ["3.dcm", "1.dcm"]
    assert lessons[3]["layers"] == ["1.dcm"]
    assert lessons[1]["layers"] == lessons[2]["layers"] == []


def test_another_layer_teaches_something_else(site):
    """What is kept of an outline is found again only where all of its files are the same."""
    before = lesson_json(site, site.ledger.correction("1.9.5"))["outline"]
    site.ledger.set_correction("1.9.1", state=CorrectionState.WITHDRAWN)
    assert lesson_json(site, site.ledger.correction("1.9.5"))["outline"] != before


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
    lesson = Lesson(tmp_path, newest, tmp_path, tmp_path, {}, layers=[str(path) for path in older])
    corrected, _ = outlines.read_correction(lesson)
    assert (corrected.outlined, corrected.unchanged) == (set(TUMOUR_TISSUES), True)
