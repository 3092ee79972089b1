"""Corrections that a person takes back: nothing that they taught stays in use."""

from __future__ import annotations

import pytest
from pydicom import dcmread
from small_world import World, write_study

from glioloop import decisions
from glioloop.ledger_schema import CorrectionState
from study.errors import RefusedError


def learnt(world: World, number: int = 1, name: str = "c1") -> str:
    """A study, its correction that was learnt from; the correction's UID."""
    assert world.service is not None
    study = write_study(world.folder / "in", number)
    world.send(study.every())
    world.until_state(study, "delivered")
    known = {row.sop_instance_uid for row in world.service.site.ledger.corrections()}
    world.send([world.correct(study, name)])
    world.until(lambda: new(world, known) is not None)
    uid = new(world, known)
    assert uid is not None
    world.until(lambda: state(world, uid) == "accepted")
    return uid


def new(world: World, known: set[str]) -> str | None:
    assert world.service is not None
    found = {row.sop_instance_uid for row in world.service.site.ledger.corrections()} - known
    return next(iter(found), None)


def state(world: World, uid: str) -> str:
    assert world.service is not None
    return world.service.site.ledger.correction(uid).state


def test_without_its_only_correction_a_patient_has_the_base_head_again(world: World) -> None:
    service = world.start()
    uid = learnt(world)
    said = decisions.withdraw(service.site, uid)
    assert said == "the patient's next study is segmented with head base"
    row = service.site.ledger.correction(uid)
    assert (row.state, row.reason, row.head) == ("withdrawn", "withdrawn by a person", None)
    again = write_study(world.folder / "in", 2)
    world.send(again.every())
    world.until_state(again, "delivered")
    assert service.site.ledger.results(again.uid)[0].head == "base"
    # The version is kept: it says what was in use when.
    (patient,) = service.site.models.patients()
    assert [version.number for version in patient.versions] == [1]


def test_the_other_corrections_are_learnt_from_again(world: World) -> None:
    service = world.start()
    first = learnt(world, 1, "c1")
    second = learnt(world, 2, "c2")
    (patient,) = service.site.models.patients()
    assert [v.corrections for v in patient.versions] == [(first,), tuple(sorted((first, second)))]
    said = decisions.withdraw(service.site, first)
    assert said.startswith("the patient's next study is segmented with head base; adapt:")
    world.until(lambda: state(world, second) == "accepted")
    (patient,) = service.site.models.patients()
    used = patient.in_use(service.site.manifest()["backbone_sha256"])
    assert used is not None
    assert (used.number, used.corrections) == (3, (second,))


def test_the_newest_version_without_it_is_used_at_once(world: World) -> None:
    service = world.start()
    first = learnt(world, 1, "c1")
    second = learnt(world, 2, "c2")
    world.network.slow = True
    said = decisions.withdraw(service.site, second)
    (patient,) = service.site.models.patients()
    assert said.startswith(f"the patient's next study is segmented with head {patient.name(1)}; ")
    used = patient.in_use(service.site.manifest()["backbone_sha256"])
    assert used is not None
    assert used.corrections == (first,)
    world.network.learning.set()
    world.until(lambda: state(world, first) == "accepted")


def test_a_correction_that_is_withdrawn_while_it_is_learnt_teaches_nothing(world: World) -> None:
    world.network.slow = True
    service = world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)])
    world.until(lambda: "learn" in world.network.calls)
    (row,) = service.site.ledger.corrections()
    assert decisions.withdraw(service.site, row.sop_instance_uid) == "no model had learnt from it"
    world.network.learning.set()
    world.until(lambda: not service.site.ledger.corrections(CorrectionState.LEARNING))
    world.until(lambda: world.network.calls.count("learn") == 1)
    assert state(world, row.sop_instance_uid) == "withdrawn"
    assert list(service.site.models.patients()) == []


def test_what_teaches_nothing_cannot_be_withdrawn(world: World) -> None:
    service = world.start()
    uid = learnt(world)
    decisions.withdraw(service.site, uid)
    # A crash may have come between: once more is allowed, and changes nothing.
    assert decisions.withdraw(service.site, uid) == "no model had learnt from it"
    service.site.ledger.set_correction(uid, state="held")
    with pytest.raises(RefusedError, match="teaches nothing: it is held"):
        decisions.withdraw(service.site, uid)
    with pytest.raises(RefusedError, match=r"no SEG 1\.2\.3 was ever received"):
        decisions.withdraw(service.site, "1.2.3")


def test_a_withdrawn_correction_can_be_accepted_after_all(world: World) -> None:
    service = world.start()
    uid = learnt(world)
    decisions.withdraw(service.site, uid)
    decisions.accept(service.site, uid, {})
    world.until(lambda: state(world, uid) == "accepted")
    (patient,) = service.site.models.patients()
    assert patient.in_use(service.site.manifest()["backbone_sha256"]) is not None


def test_what_is_withdrawn_while_another_is_learnt_is_left_out_of_it(world: World) -> None:
    service = world.start()
    wrong = learnt(world, 1, "c1")
    study = write_study(world.folder / "in", 2)
    world.send(study.every())
    world.until_state(study, "delivered")
    world.network.slow = True
    world.send([world.correct(study, "c2")])
    world.until(lambda: len(world.network.lessons) == 2)
    assert len(world.network.lessons[1]) == 2
    decisions.withdraw(service.site, wrong)
    world.network.learning.set()
    right = new(world, {wrong})
    assert right is not None
    world.until(lambda: state(world, right) == "accepted")
    (patient,) = service.site.models.patients()
    used = patient.in_use(service.site.manifest()["backbone_sha256"])
    assert used is not None
    assert used.corrections == (right,)
    assert state(world, wrong) == "withdrawn"


def test_a_withdrawn_seg_that_an_archive_sends_back_stays_withdrawn(world: World) -> None:
    service = world.start()
    uid = learnt(world)
    decisions.withdraw(service.site, uid)
    path = world.folder / "c1.dcm"
    seg = dcmread(path)
    seg.InstitutionName = "an archive that re-labels"
    seg.save_as(path)
    world.send([path])
    world.until(lambda: len(service.site.ledger.instances(seg.StudyInstanceUID)) == 38)
    assert state(world, uid) == "withdrawn"
    assert world.network.calls.count("learn") == 1


def test_another_meaning_of_its_segments_is_another_sample(world: World) -> None:
    service = world.start()
    uid = learnt(world)
    decisions.withdraw(service.site, uid)
    decisions.accept(service.site, uid, {"Edema": "edema"})
    world.until(lambda: state(world, uid) == "accepted")
    first, second = (lessons[0]["sample"] for lessons in world.network.lessons)
    assert first != second


def test_a_seg_that_cannot_be_judged_is_held_and_keeps_nobody_waiting(world: World) -> None:
    service = world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    seg = world.correct(study)
    result = service.site.ledger.results(study.uid)[0].result_id
    service.site.results.path(result, "labels.npz").unlink()
    world.send([seg])
    world.until(lambda: bool(service.site.ledger.corrections(CorrectionState.HELD)))
    (row,) = service.site.ledger.corrections()
    assert "it could not be judged" in row.reason
    other = write_study(world.folder / "in", 2)
    world.send(other.every())
    world.until_state(other, "delivered")
