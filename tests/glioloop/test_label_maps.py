"""A destination that gets results as label maps, and what comes back from it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from dicom_network import storescp
from pydicom import Dataset, dcmread
from small_world import Study, World, write_study

from dicomseg.read import read_seg
from glioloop import overview, results
from glioloop.label_file import labels_from_file
from glioloop.private_orthanc import PACS_AET, Orthanc, free_port

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


def as_label_map(port: int, ae_title: str = "PACS") -> dict[str, object]:
    """A destination."""
    return {
        "name": "viewer",
        "ae_title": ae_title,
        "host": "127.0.0.1",
        "port": port,
        "encoding": "LABELMAP",
    }


@pytest.fixture(autouse=True)
def _complete(world: World) -> None:
    world.network.complete = True


def delivered(world: World) -> tuple[Study, str]:
    """A study and the id of its result, both encodings made."""
    assert world.service is not None
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    return study, world.service.site.ledger.results(study.uid)[0].result_id


def test_each_destination_gets_the_encoding_that_it_wants(world: World) -> None:
    pacs = {**as_label_map(world.pacs.port), "name": "pacs", "encoding": "BINARY"}
    world.given = {"destinations": [pacs, as_label_map(world.pacs.port)]}
    service = world.start()
    _, result = delivered(world)
    store = service.site.results
    binary = dcmread(store.path(result, results.SEG))
    other = dcmread(store.path(result, results.LABEL_MAP))
    assert sorted(world.archived) == sorted({binary.SOPInstanceUID, other.SOPInstanceUID})
    assert other.SOPClassUID == LABEL_MAP_STORAGE
    labels = labels_from_file(store.path(result, results.LABELS))
    for name in (results.SEG, results.LABEL_MAP):
        found = read_seg(store.path(result, name), labels.geometry)
        np.testing.assert_array_equal(found.labels(), labels.array)


def test_without_such_a_destination_there_is_no_label_map(world: World) -> None:
    service = world.start()
    _, result = delivered(world)
    assert not service.site.results.has(result, results.LABEL_MAP)


def test_a_newer_label_map_supersedes_the_older(world: World) -> None:
    world.given = {"destinations": [as_label_map(world.pacs.port)]}
    service = world.start()
    study, first = delivered(world)
    overview.request_study(service.site, study.uid)
    world.until(lambda: len(world.archived) == 2)
    newer = service.site.ledger.results(study.uid)[0].result_id
    store = service.site.results
    (before,) = dcmread(store.path(newer, results.LABEL_MAP)).PredecessorDocumentsSequence
    named = before.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    older = dcmread(store.path(first, results.LABEL_MAP))
    assert named.ReferencedSOPInstanceUID == older.SOPInstanceUID
    assert named.ReferencedSOPClassUID == LABEL_MAP_STORAGE


def test_what_comes_back_from_it_is_recognised(world: World) -> None:
    world.given = {"destinations": [as_label_map(world.pacs.port)]}
    service = world.start()
    study, result = delivered(world)
    ours = service.site.results.path(result, results.LABEL_MAP)
    world.send([ours])
    ledger = service.site.ledger
    world.until(lambda: [row.state for row in ledger.corrections()] == ["echo"])
    # A correction that names the label map as its predecessor, not the SEG.
    correction = world.correct(study)
    path = renamed(correction, dcmread(ours))
    world.send([path])
    world.until(lambda: [row.state for row in ledger.corrections()] == ["echo", "accepted"])
    row = ledger.corrections()[1]
    assert (row.signal, row.result_id) == (1, result)


def renamed(correction: Path, label_map: Dataset) -> Path:
    """The correction with the label map as its predecessor."""
    ds = dcmread(correction)
    study = ds.PredecessorDocumentsSequence[0]
    series = study.ReferencedSeriesSequence[0]
    series.SeriesInstanceUID = label_map.SeriesInstanceUID
    series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = label_map.SOPInstanceUID
    series.ReferencedSOPSequence[0].ReferencedSOPClassUID = LABEL_MAP_STORAGE
    ds.save_as(correction)
    return correction


def test_an_archive_that_refuses_the_class_is_named_on_the_status_page(
    world: World, tmp_path: Path
) -> None:
    """DCMTK of Debian 12 does not know label maps; report and pictures arrive all the same."""
    port = free_port()
    (tmp_path / "archive of DCMTK").mkdir()
    world.given = {"destinations": [as_label_map(port)]}
    with storescp(tmp_path / "archive of DCMTK", port):
        service, study = world.start(), write_study(world.folder / "in")
        world.send(study.every())
        ledger = service.site.ledger
        world.until(lambda: [d.state for d in ledger.deliveries()] == ["refused"])
        (delivery,) = ledger.deliveries()
        assert f"SOP class {LABEL_MAP_STORAGE}" in delivery.reason
        page = httpx.get(f"http://127.0.0.1:{world.web}/").text
        assert f"SOP class {LABEL_MAP_STORAGE}" in page
        assert len(list((tmp_path / "archive of DCMTK").iterdir())) == 2


def test_a_label_map_arrives_in_a_real_orthanc(world: World, tmp_path: Path) -> None:
    with Orthanc(tmp_path / "orthanc", glioloop_port=free_port()) as orthanc:
        world.given = {"destinations": [as_label_map(orthanc.dicom_port, PACS_AET)]}
        service = world.start()
        study, result = delivered(world)
        (instance,) = orthanc.find(study.uid, "SEG")
        arrived = dcmread(BytesIO(orthanc.file(instance)))
        sent = dcmread(service.site.results.path(result, results.LABEL_MAP))
    assert arrived.SOPClassUID == LABEL_MAP_STORAGE
    assert arrived.SOPInstanceUID == sent.SOPInstanceUID
    assert arrived.PixelData == sent.PixelData
