"""One line of reports: each takes the place of the one before it, also when one was withdrawn."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from small_world import World, said, write_study

from glioloop import decisions, overview, results
from glioloop.correction_reports import CorrectionReports
from glioloop.delivery import Deliveries
from study.tissue import Tissue

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

COMPREHENSIVE_SR = results.SR_SOP_CLASS


@pytest.fixture(autouse=True)
def _complete(world: World) -> None:
    world.network.complete = True


def started(world: World) -> str:
    """A study with a result; the result's id."""
    service = world.start()
    study = write_study(world.folder / "in", StudyDate="20260101")
    world.send(study.every())
    world.until_state(study, "delivered")
    return service.site.ledger.results()[0].result_id


def corrected(world: World, name: str, count: int) -> str:
    """Send a correction and wait until so many reports are in the archive; its UID."""
    path = world.correct(write_study(world.folder / "again", StudyDate="20260101"), name)
    world.send([path])
    world.until(lambda: len(reports(world)) == count)
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def reports(world: World) -> list[str]:
    """SOP Instance UIDs of the reports in the archive, in the order in which they came."""
    return [uid for sop_class, uid in world.others if sop_class == COMPREHENSIVE_SR]


def report(world: World, result_id: str, number: int) -> Dataset:
    """A report of a result: 0 is its own, the next that of its first correction."""
    assert world.service is not None
    known = world.service.site.results.reports(result_id)
    ids = [result_id, *(entry["report_id"] for entry in known)]
    return world.stored(ids[number], results.SR)


def before(document: Dataset) -> str:
    """UID of the report that one takes the place of."""
    (study,) = document.PredecessorDocumentsSequence
    uid: str = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    return uid


def test_a_second_correction_takes_the_place_of_the_first_ones_report(world: World) -> None:
    result = started(world)
    corrected(world, "c1", 2)
    corrected(world, "c2", 3)
    own, first, second = (report(world, result, n) for n in range(3))
    assert reports(world) == [d.SOPInstanceUID for d in (own, first, second)]
    assert before(first) == own.SOPInstanceUID
    assert before(second) == first.SOPInstanceUID


def test_a_withdrawn_correction_gives_place_to_the_one_before_it(world: World) -> None:
    result = started(world)
    first = corrected(world, "c1", 2)
    second = corrected(world, "c2", 3)
    assert world.service is not None
    site = world.service.site
    decisions.withdraw(site, second)
    # The first is learnt from again; whichever of the two jobs comes first reports it.
    world.until(lambda: site.results.reports(result)[-1]["seg"] == first)
    at_rest(world)
    withdrawn, *later = (report(world, result, n) for n in range(2, len(reports(world))))
    assert before(later[0]) == withdrawn.SOPInstanceUID
    for document in later:
        assert first in str(document.ContentSequence)
        assert second not in str(document.ContentSequence)
    assert reports(world)[-1] == later[-1].SOPInstanceUID


def at_rest(world: World) -> None:
    """Wait until no job waits or runs."""
    assert world.service is not None
    site = world.service.site
    world.until(
        lambda: not [j for j in overview.jobs(site) if j["state"] in ("ENQUEUED", "PENDING")]
    )


def test_without_another_correction_the_results_own_outline_is_reported_again(
    world: World,
) -> None:
    result = started(world)
    uid = corrected(world, "c1", 2)
    assert world.service is not None
    site = world.service.site
    decisions.withdraw(site, uid)
    world.until(lambda: len(reports(world)) == 3)
    own, withdrawn, again = (report(world, result, n) for n in range(3))
    assert reports(world)[-1] == again.SOPInstanceUID
    assert before(again) == withdrawn.SOPInstanceUID
    assert again.SOPInstanceUID != own.SOPInstanceUID
    assert "A person withdrew the correction that was reported last" in said(again)
    assert uid not in str(again.ContentSequence)
    # The box of the stand-in, as in the result's own report: 27 mL enhance, 189 mL are edema.
    for volume in ("27", "189"):
        assert volume in said(own)
        assert volume in said(again)
    # Asked once more, nothing more is said.
    decisions.withdraw(site, uid)
    at_rest(world)
    assert len(reports(world)) == 3


def test_a_withdrawal_while_the_report_is_written_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The withdrawal's own job comes after, and finds the report that it takes back."""
    result = started(world)
    assert world.service is not None
    site = world.service.site
    written = CorrectionReports.write

    def withdrawn_first(self: CorrectionReports, uid: str, plan: dict[str, Any]) -> bool:
        if site.ledger.correction(uid).state != "withdrawn":
            decisions.withdraw(site, uid)
        return written(self, uid, plan)

    withdrawn_first.__name__ = "write"
    monkeypatch.setattr(CorrectionReports, "write", withdrawn_first)
    uid = corrected(world, "c1", 3)
    at_rest(world)
    assert site.results.reports(result)[-1]["seg"] == ""
    assert uid not in str(report(world, result, 2).ContentSequence)


def test_a_report_that_was_written_is_planned_again_until_it_is_delivered(world: World) -> None:
    """A job that was given up between writing and delivering is asked for once more."""
    result = started(world)
    uid = corrected(world, "c1", 2)
    assert world.service is not None
    site = world.service.site
    decisions.withdraw(site, uid)
    world.until(lambda: len(reports(world)) == 3)
    at_rest(world)
    again = CorrectionReports(site, Deliveries(site)).plan(uid)
    assert again is not None
    assert again["report_id"] == site.results.reports(result)[-1]["report_id"]


def test_a_correction_that_is_not_the_last_is_withdrawn_without_a_report(world: World) -> None:
    result = started(world)
    first = corrected(world, "c1", 2)
    second = corrected(world, "c2", 3)
    assert world.service is not None
    site = world.service.site
    decisions.withdraw(site, first)
    world.until(lambda: site.ledger.correction(second).state == "accepted")
    at_rest(world)
    assert {entry["seg"] for entry in site.results.reports(result)[2:]} <= {second}
    assert site.results.reports(result)[1]["seg"] == second


def test_a_newer_result_takes_the_place_of_the_latest_report(world: World) -> None:
    result = started(world)
    corrected(world, "c1", 2)
    assert world.service is not None
    site = world.service.site
    study_uid = site.ledger.result(result).study_uid
    overview.request_study(site, study_uid)
    world.until(lambda: len(reports(world)) == 3)
    newer = site.ledger.results(study_uid)[0].result_id
    assert before(world.stored(newer, results.SR)) == report(world, result, 1).SOPInstanceUID


def sent(world: World, tissue: Tissue, count: int) -> str:
    """Send one tissue of a correction, in one series with the others; its UID, once reported."""
    study = write_study(world.folder / "again", StudyDate="20260101")
    path = world.correct(study, f"c{tissue}", tissues=(tissue,))
    seg = dcmread(path)
    seg.SeriesInstanceUID = "1.2.826.0.1.3680043.10.777.77"
    seg.save_as(path)
    world.send([path])
    world.until(lambda: len(reports(world)) == count)
    return str(seg.SOPInstanceUID)


def numbers(document: Dataset) -> set[float]:
    """All numbers of a report."""
    return {float(word) for word in said(document).split() if re.fullmatch(r"\d+(\.\d+)?", word)}


@pytest.mark.parametrize("learnt", [True, False])
def test_layers_are_reported_compared_and_withdrawn_together(world: World, learnt: bool) -> None:
    """Also where no head is let go, and none is fitted again."""
    world.network.complete = True
    world.network.fit["accepted"] = learnt
    result = started(world)
    older, newer = sent(world, Tissue.ENHANCING, 2), sent(world, Tissue.EDEMA, 3)
    assert world.service is not None
    site = world.service.site
    # As in test_deliverables: 48 mL enhance, the rest of the box is edema.
    assert {48.0, 168.0} <= numbers(report(world, result, 2))
    assert older in str(report(world, result, 2).ContentSequence)
    both = {"necrosis": 0.0, "edema": 168.0, "enhancing": 48.0}
    assert site.ledger.correction(newer).report["volumes_ml"] == pytest.approx(both)
    decisions.withdraw(site, older)
    world.until(lambda: site.results.reports(result)[-1]["layers"] == [])
    at_rest(world)
    last = report(world, result, len(reports(world)) - 1)
    assert 168.0 in numbers(last)
    assert 48.0 not in numbers(last)
    assert older not in str(last.ContentSequence)
    # Of what enhances nothing is said any more: the 27 mL of the result count.
    own = {"necrosis": 0.0, "edema": 168.0, "enhancing": 27.0}
    assert site.ledger.correction(newer).report["volumes_ml"] == pytest.approx(own)
