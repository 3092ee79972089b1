"""From C-STORE to the archive and back to the patient's model, with a stand-in for the network."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from small_dicom import ARRIVED_MR
from small_world import BIRTH_DATE, NAME, PATIENT_ID, World, write_slice, write_study

from glioloop import decisions, jobs, overview
from glioloop.ledger_schema import StudyRow
from glioloop.service import Service
from glioloop.site import Site
from listener.inbox import Inbox
from study.errors import FailedError, HeldError, RefusedError

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def test_a_study_comes_back_as_one_seg_and_names_its_model(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    assert len(world.archived) == 1
    assert world.seg().StudyInstanceUID == study.uid
    assert world.seg().SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert world.network.calls == ["segment", "encode"]
    (result,) = service.site.ledger.results()
    assert (result.head, result.request) == ("base", 0)
    assert [run.kind for run in service.site.ledger.runs()] == ["infer"]
    (delivery,) = service.site.ledger.deliveries()
    assert (delivery.state, delivery.attempts) == ("delivered", 1)


def test_no_patient_is_named_in_logs_names_or_databases(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "glioloop")
    caplog.set_level(logging.DEBUG, "listener")
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)], called="GLIOLOOP_LEARN")
    _until_corrected(world, "accepted")
    world.stop()
    data = world.folder / "data"
    told = [caplog.text.encode(), *(str(p).encode() for p in data.rglob("*"))]
    told += [p.read_bytes() for p in data.rglob("*") if p.is_file() and p.suffix != ".dcm"]
    assert len(told) > 20
    for token in (*NAME.split("^"), PATIENT_ID, BIRTH_DATE):
        assert not any(token.encode() in text for text in told), token


def test_no_label_of_a_segment_is_in_logs_or_jobs(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be a name; the ledger keeps it, for the person who is asked what it is."""
    caplog.set_level(logging.DEBUG, "glioloop")
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    path = world.correct(study)
    seg = dcmread(path)
    segment = seg.SegmentSequence[1]
    segment.SegmentLabel = "Wombat^Agatha"
    for keyword in ("SegmentedPropertyTypeCodeSequence", "TrackingUID", "TrackingID"):
        delattr(segment, keyword)
    del segment.RecommendedDisplayCIELabValue
    seg.save_as(path)
    world.send([path])
    _until_corrected(world, "held")
    (row,) = service.site.ledger.corrections()
    assert "Wombat^Agatha" in row.reason
    decisions.accept(service.site, row.sop_instance_uid, {"Wombat^Agatha": "edema"})
    _until_corrected(world, "accepted")
    world.until(lambda: "report_correction" in world.network.calls)
    world.until(lambda: "accepted" in [job["note"] for job in overview.jobs(service.site)])
    states = {job["state"] for job in overview.jobs(service.site)}
    assert "resolved" in states
    world.stop()
    told = [path.read_bytes() for path in (world.folder / "data").glob("jobs.db*")]
    assert len(told) >= 1
    assert not any(b"Wombat" in text for text in (*told, caplog.text.encode()))


def test_a_late_image_makes_a_new_result_only_if_the_choice_changes(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    scout = write_slice(world.folder / "in", study.uid, 7, 0, SeriesDescription="localizer")
    world.send([scout])
    world.until(lambda: "nothing new" in " ".join(j["note"] for j in overview.jobs(service.site)))
    assert world.state(study.uid) == ("delivered", "")
    assert len(service.site.ledger.results()) == 1
    late = write_slice(
        world.folder / "in", study.uid, 2, 12, SeriesDescription="t1_tra +Gd", EchoTime=10,
        RepetitionTime=500,
    )  # fmt: skip
    world.send([late])
    world.until(lambda: len(world.archived) == 2)
    newer, older = service.site.ledger.results(study.uid)
    (named,) = world.seg().PredecessorDocumentsSequence
    named = named.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == older.sop_instance_uid
    assert newer.choice != older.choice


def test_a_study_without_a_sequence_is_held_until_it_comes(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every("T1GD", "T2"))
    world.until_state(study, "held")
    assert "FLAIR is missing" in world.state(study.uid)[1]
    world.until(lambda: [job["state"] for job in _of_studies(service.site)] == ["held"])
    (job,) = _of_studies(service.site)
    assert "FLAIR is missing" in job["note"]
    world.until(lambda: world.network.calls == ["answer"])
    world.send(study.every("FLAIR"))
    world.until_state(study, "delivered")
    ended = {"resolved", "SUCCESS"}
    world.until(lambda: {job["state"] for job in _of_studies(service.site)} == ended)


def test_a_study_without_t2_says_so_and_is_done_again_when_it_comes(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every("FLAIR", "T1GD"))
    world.until_state(study, "delivered")
    (result,) = service.site.ledger.results(study.uid)
    assert world.state(study.uid) == ("delivered", "without T2")
    assert world.seg().SeriesDescription == f"Glioloop {result.result_id[:8]} without T2"
    assert service.site.results.report(result.result_id)["without"] == "without T2"
    (job,) = _of_studies(service.site)
    assert job["note"].endswith(", head base, without T2")
    world.send(study.every("T2"))
    world.until(lambda: len(world.archived) == 2)
    world.until(lambda: world.state(study.uid) == ("delivered", ""))
    assert world.seg().SeriesDescription.startswith("Glioloop ")
    assert "without" not in world.seg().SeriesDescription


def test_a_study_of_excluded_series_alone_leaves_nothing_in_the_archive(world: World) -> None:
    world.start()
    study = write_study(world.folder / "in", SeriesDescription="ep2d_diff_tra")
    world.send(study.every())
    world.until_state(study, "ignored")
    assert world.state(study.uid)[1] == "each of its 3 series is excluded by a rule for series"
    assert world.archived == []


def test_the_sites_rules_for_series_are_used(world: World) -> None:
    rules = world.folder / "rules.yaml"
    rules.write_text("vetoes: [{name: not this scanner, text: [flair]}]\n")
    world.given = {"identification": {"rules_file": str(rules)}}
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "held")
    assert "FLAIR is missing" in world.state(study.uid)[1]


def test_a_rules_file_that_is_none_keeps_the_service_from_starting(world: World) -> None:
    rules = world.folder / "rules.yaml"
    rules.write_text("preferences: [the nicest]\n")
    world.given = {"identification": {"rules_file": str(rules)}}
    with pytest.raises(RefusedError, match="the nicest"):
        world.start()


def test_a_study_with_an_image_that_cannot_be_used_is_held_until_a_person_asks(
    world: World,
) -> None:
    """A slice of the T1gd series that calls itself another patient's."""
    service, study = world.start(), write_study(world.folder / "in")
    files = [path for path in study.every() if path != study.files["T2"][3]]
    image = dcmread(study.files["T2"][3])
    image.PatientID = "somebody else"
    image.save_as(study.files["T2"][3])
    world.send([*files, study.files["T2"][3]])
    world.until_state(study, "held")
    assert "holds images of 2 patients" in world.state(study.uid)[1]
    assert world.archived == []
    overview.request_study(service.site, study.uid)
    world.until(lambda: len(service.site.ledger.results(study.uid)) == 1)
    report = service.site.results.report(service.site.ledger.results(study.uid)[0].result_id)
    assert report["without"] == "without T2"
    assert "12 file(s) of the study cannot be used" in report["warnings"][1]


def test_a_listed_study_is_complete_at_once(world: World) -> None:
    world.given = {"completeness": {"quiet_seconds": 600, "incomplete_after_minutes": 600}}
    world.start()
    study = write_study(world.folder / "in")
    uids = [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in study.every()]
    answer = httpx.post(
        f"http://127.0.0.1:{world.web}/api/v1/studies/{study.uid}/instances", json=uids
    )
    assert answer.status_code == 202
    world.send(study.every())
    world.until_state(study, "delivered")


def test_a_study_out_of_scope_is_ignored_until_a_person_asks(world: World) -> None:
    world.given = {"scope": {"calling_aes": ["NEURO"]}}
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "ignored")
    assert "scope.calling_aes" in world.state(study.uid)[1]
    overview.request_study(service.site, study.uid)
    world.until_state(study, "delivered")
    assert service.site.ledger.results()[0].request == 1


def test_a_failing_inference_is_tried_twice_and_then_waits_for_a_person(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.network.failures = [FailedError("out of memory"), FailedError("out of memory")]
    world.send(study.every())
    world.until_state(study, "failed")
    assert world.state(study.uid)[1] == "out of memory"
    assert len(service.site.ledger.runs()) == 2
    overview.request_study(service.site, study.uid)
    world.until_state(study, "delivered")
    assert len(world.archived) == 1


def test_a_study_whose_job_was_given_up_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that ends the process each time must not leave its study waiting in silence."""
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    monkeypatch.setattr(jobs, "given_up", lambda: [f"infer:{study.uid}:abc", "deliver:r:pacs"])
    service.tick(0.0)
    state, reason = world.state(study.uid)
    assert state == "failed"
    assert "was ended 50 times, together with the service" in reason


def test_a_study_whose_look_fails_is_looked_at_again_for_what_came_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(world.settings)  # not started: only what is asked for here looks
    ledger, looked = service.site.ledger, []
    monkeypatch.setattr(service, "_lead", lambda: True)
    monkeypatch.setattr(jobs, "given_up", list)
    ledger.enter(ARRIVED_MR)

    def look_at(study: StudyRow, _now: float) -> None:
        looked.append(study.last_arrival)
        if len(looked) == 1:
            ledger.enter(replace(ARRIVED_MR, sop_instance_uid="1.1.2", received_at=200.0))
        raise FailedError("it cannot be read")

    monkeypatch.setattr(service._judge, "look_at", look_at)
    service.tick(300.0)
    assert (ledger.study("1").state, ledger.study("1").settled) == ("failed", False)
    service.tick(301.0)
    assert (ledger.study("1").state, ledger.study("1").settled) == ("failed", True)
    service.tick(302.0)
    assert len(looked) == 2
    assert looked[0] < looked[1]
    ledger.close()
    service.site.models.close()


def test_a_node_has_its_name_before_it_touches_the_inbox(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process of its name writes at this moment would be swept away."""
    done, take_name, sweep = [], jobs.take_name, Inbox.sweep

    def named(*given: str) -> object:
        done.append("name")
        return take_name(*given)

    def swept(inbox: Inbox) -> None:
        done.append("sweep")
        sweep(inbox)

    monkeypatch.setattr(jobs, "take_name", named)
    monkeypatch.setattr(Inbox, "sweep", swept)
    world.start()
    assert done[:2] == ["name", "sweep"]


def test_images_that_cannot_be_segmented_are_held_at_once(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.network.failures = [HeldError("series 1.2 has a gap")]
    world.send(study.every())
    world.until_state(study, "held")
    assert world.state(study.uid)[1] == "series 1.2 has a gap"
    assert len(service.site.ledger.runs()) == 1


def test_a_request_always_makes_a_result_of_its_own(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    overview.request_study(service.site, study.uid)
    world.until(lambda: len(world.archived) == 2)
    assert [r.request for r in service.site.ledger.results(study.uid)] == [1, 0]
    with pytest.raises(RefusedError, match="'T3' is no role"):
        overview.request_study(service.site, study.uid, {"T3": "1.2"})


def test_a_person_says_which_series_is_which(world: World) -> None:
    service = world.start()
    study = write_study(world.folder / "in", SeriesDescription="axial", EchoTime=50)
    world.send(study.every())
    world.until_state(study, "held")
    given = {role: f"{study.uid}.{n}" for n, role in enumerate(("FLAIR", "T1GD", "T2"), 1)}
    overview.request_study(service.site, study.uid, given)
    world.until_state(study, "delivered")


def test_our_own_seg_that_comes_back_is_an_echo(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    result = service.site.ledger.results()[0].result_id
    world.send([service.site.results.path(result, "seg.dcm")], called="GLIOLOOP_LEARN")
    _until_corrected(world, "echo")
    assert "learn" not in world.network.calls


def test_a_correction_adapts_the_model_and_the_next_study_uses_it(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    correction = world.correct(study)
    world.send([correction])
    _until_corrected(world, "accepted")
    (row,) = service.site.ledger.corrections()
    assert row.signal == 1
    (patient,) = service.site.models.patients()
    assert row.head == patient.name(1)
    assert patient.versions[0].corrections == (row.sop_instance_uid,)
    again = write_study(world.folder / "in", 2)
    world.send(again.every())
    world.until_state(again, "delivered")
    assert world.network.heads == [None, '{"weight": [[1.0]]}']
    algorithm = world.seg().SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert patient.name(1) in algorithm.AlgorithmVersion


def test_a_study_waits_for_its_patients_adaptation_and_uses_it(world: World) -> None:
    world.network.slow = True
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)])
    world.until(lambda: "learn" in world.network.calls)
    again = write_study(world.folder / "in", 2)
    world.send(again.every())
    waits = "waits for the patient's adaptation"
    world.until(lambda: waits in [job["note"] for job in overview.jobs(service.site)])
    assert world.state(again.uid)[0] == "waiting"
    world.network.learning.set()
    world.until_state(again, "delivered")
    (patient,) = service.site.models.patients()
    assert service.site.ledger.results(again.uid)[0].head == patient.name(1)


def test_a_study_waits_for_an_adaptation_no_longer_than_it_should(world: World) -> None:
    world.network.slow = True
    world.given = {"adaptation": {"wait_minutes": 0.01}}
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)])
    world.until(lambda: "learn" in world.network.calls)
    again = write_study(world.folder / "in", 2)
    world.send(again.every())
    world.until_state(again, "delivered")
    assert service.site.ledger.results(again.uid)[0].head == "base"
    world.network.learning.set()
    _until_corrected(world, "accepted")


def test_the_same_correction_sent_twice_is_learnt_once(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    correction = world.correct(study)
    for _ in range(2):
        world.send([correction])
        _until_corrected(world, "accepted")
    assert world.network.calls.count("learn") == 1
    assert [run.kind for run in service.site.ledger.runs()] == ["infer", "adapt"]


def test_only_the_newest_correction_of_a_result_is_learnt_from(world: World) -> None:
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study, "c1")])
    _until_corrected(world, "accepted")
    newer = world.correct(study, "c2")
    world.send([newer])
    world.until(lambda: len(world.network.lessons) == 2)
    assert [len(lessons) for lessons in world.network.lessons] == [1, 1]
    uid = dcmread(newer, stop_before_pixels=True).SOPInstanceUID
    assert world.service is not None
    row = world.service.site.ledger.correction(uid)
    assert world.network.lessons[1][0]["seg"] == row.path


def test_a_head_that_is_not_better_is_not_used(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.network.fit = {**world.network.fit, "accepted": False, "reason": "stays at base"}
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)])
    _until_corrected(world, "not better")
    assert list(service.site.models.patients()) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"PatientID": "OTHER-1"}, "it is another patient's"),
        ({"StudyInstanceUID": "1.2.3"}, "it lies in study 1.2.3"),
    ],
)
def test_a_correction_that_does_not_fit_is_held(
    world: World, changed: dict[str, str], reason: str
) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study, **changed)], called="GLIOLOOP_LEARN")
    _until_corrected(world, "held")
    (row,) = service.site.ledger.corrections()
    assert reason in row.reason
    assert "learn" not in world.network.calls


@pytest.mark.parametrize("patient_id", ["", "ANON", "000"])
def test_nobody_is_never_learnt_from(world: World, patient_id: str) -> None:
    service = world.start()
    study = write_study(world.folder / "in", PatientID=patient_id)
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)], called="GLIOLOOP_LEARN")
    _until_corrected(world, "held")
    assert "no usable Patient ID" in service.site.ledger.corrections()[0].reason
    assert "learn" not in world.network.calls


def test_another_birth_date_gets_the_base_model_and_teaches_nothing(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)])
    _until_corrected(world, "accepted")
    other = write_study(world.folder / "in", 2, PatientBirthDate="19440101")
    world.send(other.every())
    world.until_state(other, "delivered")
    assert service.site.ledger.results(other.uid)[0].head == "base"
    world.send([world.correct(other, "c2")])
    _until_corrected(world, "held", "accepted")
    assert "birth date" in service.site.ledger.corrections()[1].reason


def test_a_late_image_does_not_answer_over_an_accepted_correction(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)])
    _until_corrected(world, "accepted")
    late = write_slice(world.folder / "in", study.uid, 2, 12, SeriesDescription="t1_tra +Gd")
    world.send([late])
    world.until(lambda: "was accepted" in " ".join(j["note"] for j in overview.jobs(service.site)))
    assert len(service.site.ledger.results()) == 1


def test_a_lost_ledger_is_rebuilt_and_nothing_is_done_twice(world: World) -> None:
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.stop()
    for file in (world.folder / "data").glob("ledger.db*"):
        file.unlink()
    service = world.start()
    world.until(lambda: world.state(study.uid)[0] in ("segmented", "delivered"))
    assert [r.study_uid for r in service.site.ledger.results()] == [study.uid]
    assert world.network.calls.count("segment") == 1
    assert len(world.archived) == 1


def test_lost_databases_are_rebuilt_from_the_files(world: World) -> None:
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.stop()
    for name in ("ledger.db*", "jobs.db*"):
        for file in (world.folder / "data").glob(name):
            file.unlink()
    world.start()
    world.until(lambda: world.state(study.uid)[0] in ("segmented", "delivered"))
    assert world.network.calls.count("segment") == 1
    assert len(set(world.archived)) == 1


def test_an_archive_that_is_down_gets_the_result_when_it_is_back(world: World) -> None:
    service, study = world.start(), write_study(world.folder / "in")
    port = world.pacs.port
    world.pacs.stop(0.1)
    world.send(study.every())
    world.until(lambda: [d.attempts for d in service.site.ledger.deliveries()] > [1])
    (delivery,) = service.site.ledger.deliveries()
    assert delivery.state == "waiting"
    assert f"PACS at 127.0.0.1:{port}" in delivery.reason
    assert world.state(study.uid)[0] == "segmented"
    from listener import scp  # noqa: PLC0415 - the one test that needs it

    config = scp.ScpConfig(host="127.0.0.1", port=port, ae_titles=("PACS",))
    world.pacs = scp.start(config, world.archive, world._stored)
    world.until_state(study, "delivered")
    assert len(world.archived) == 1


def test_what_cannot_be_delivered_for_too_long_is_parked_and_shown(world: World) -> None:
    world.given = {
        "delivery": {
            "first_pause_seconds": 0.1,
            "longest_pause_minutes": 0.002,
            "park_after_hours": 0.0001,
        }
    }
    service, study = world.start(), write_study(world.folder / "in")
    world.pacs.stop(0.1)
    world.send(study.every())
    world.until(lambda: [d.state for d in service.site.ledger.deliveries()] == ["parked"])
    assert overview.status(service.site)["parked"] == 1


def test_ports_are_written_and_the_disk_limit_is_told_to_senders(world: World) -> None:
    world.given = {"listener": {"host": "127.0.0.1", "port": 0, "min_free_gib": 10**6}}
    service, study = world.start(), write_study(world.folder / "in")
    assert (world.folder / "data" / "ports.json").read_text() == (
        f'{{"dicom": {world.dicom}, "web": {world.web}, "dicom_tls": 0}}'
    )
    with pytest.raises(FailedError, match="A700"):
        world.send(study.every("T2"))
    assert service.site.ledger.studies() == []
    assert shutil.disk_usage(Path("/")).free > 0


def test_a_service_that_ends_asks_senders_to_come_again(world: World) -> None:
    """Who is sending when it ends gets some seconds, and 0xA700 for what it could not finish."""
    service, study = world.start(), write_study(world.folder / "in")
    world.send(study.every("FLAIR"))
    service._ending.set()
    with pytest.raises(FailedError, match="A700"):
        world.send(study.every("T2"))
    assert len(service.site.ledger.instances(study.uid)) == 12


def _of_studies(site: Site) -> list[dict[str, Any]]:
    """Jobs `infer`, without the deliveries that they begin."""
    return [job for job in overview.jobs(site) if job["study_uid"]]


def _until_corrected(world: World, *states: str) -> None:
    """Wait until every SEG that arrived is in one of some states, and at least one in the first."""

    def done() -> bool:
        assert world.service is not None
        found = {row.state for row in world.service.site.ledger.corrections()}
        return states[0] in found and found <= set(states)

    world.until(done)
