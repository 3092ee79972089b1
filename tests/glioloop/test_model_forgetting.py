"""A patient is forgotten: everything of theirs, nothing of anybody else's, and for good."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from pydicom import dcmread
from small_world import MR, PATIENT_ID, Study, World, write_slice, write_study

from glioloop import model_forgetting
from glioloop.board import Board
from glioloop.model_forgetting import Removed, bury, bury_if_forgotten
from glioloop.model_groups import key_of_group
from glioloop.model_merging import merge, person, split
from glioloop.site import Site, open_site
from listener.inbox import Received
from study.errors import RefusedError
from study.patient import PatientKey, patient_key

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def learnt(world: World, number: int, **attributes: str) -> Study:
    """A study of a patient, and its correction that was learnt from."""
    assert world.service is not None
    ledger = world.service.site.ledger
    study = write_study(world.folder / "in", number, **attributes)
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study, f"c{number}", **attributes)])
    world.until(
        lambda: "accepted" in [c.state for c in ledger.corrections() if c.study_uid == study.uid]
    )
    world.until(lambda: {d.state for d in ledger.deliveries()} == {"delivered"})
    return study


def key_of(site: Site, patient_id: str) -> PatientKey:
    found = patient_key(site.secret, "", patient_id)
    assert found is not None
    return found


def files(data: Path) -> dict[str, str]:
    """Digest of every file of inbox and results, by its name."""
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("inbox", "results")
        for path in (data / folder).rglob("*")
        if path.is_file()
    }


def is_of(site: Site, study: Study, name: str) -> bool:
    """Whether a file lies where something of a study lies."""
    rows = [*site.ledger.deliveries(), *site.ledger.results(study.uid)]
    made = {row.result_id for row in rows if row.study_uid == study.uid}
    spooled = {Path(str(row.path)).parent.name for row in site.ledger.instances(study.uid)}
    return name.split("/")[1] in made | spooled


def test_all_of_one_patient_goes_and_nothing_of_another(world: World) -> None:
    service = world.start()
    site, data = service.site, world.settings.data
    other = learnt(world, 1, PatientID="OTHER-7", PatientName="Numbat^Ada")
    mine = learnt(world, 2)
    theirs = {name: digest for name, digest in files(data).items() if is_of(site, other, name)}
    assert len(theirs) > 40
    key, archived = key_of(site, PATIENT_ID), list(world.archived)
    removed = model_forgetting.forget(site, key, "anna")
    # Three series of twelve slices and the SEG; its result, and the report of its correction.
    assert removed.instances == 37
    assert (removed.versions, removed.studies, removed.corrections) == (1, 1, 1)
    assert removed.results >= 1
    left = files(data)
    assert {name: left.pop(name) for name in theirs if name in left} == theirs
    assert [name for name in left if (data / name).stat().st_size > 0] == []
    assert [study.study_uid for study in site.ledger.studies()] == [other.uid]
    assert {result.study_uid for result in site.ledger.results()} == {other.uid}
    assert {row.study_uid for row in site.ledger.corrections()} == {other.uid}
    assert {row.study_uid for row in site.ledger.deliveries()} == {other.uid}
    assert {row.study_uid for row in site.ledger.runs()} == {other.uid}
    assert site.models.patient(key).versions == ()
    assert len(site.models.patient(key_of(site, "OTHER-7")).versions) == 1
    board = Board(site.settings.database)
    ids = " ".join(job.id for job in board.listing())
    board.close()
    assert mine.uid not in ids
    assert other.uid in ids
    # Once more is harmless; the archive keeps what it has, and the audit says what was done.
    assert model_forgetting.forget(site, key, "anna") == Removed(0, 0, 0, 0, 0, 0)
    assert world.archived == archived
    assert [(r.action, r.key) for r in site.models.audit()] == [("forget", key)] * 2
    # Sent again, it is a study like any other, with the base head.
    world.send(mine.every())
    world.until_state(mine, "delivered")
    assert site.ledger.results(mine.uid)[0].head == "base"


def test_a_fit_in_flight_brings_nobody_back(world: World) -> None:
    service = world.start()
    site = service.site
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.network.slow = True
    world.send([world.correct(study)])
    world.until(lambda: "learn" in world.network.calls)
    (result,) = site.ledger.results()
    model_forgetting.forget(site, key_of(site, PATIENT_ID), "anna")
    world.network.learning.set()
    world.until(lambda: not _running(site))
    assert list(site.models.patients()) == []
    assert site.ledger.corrections() == []
    assert site.results.path(result.result_id, ".").read_bytes() == b""


def test_an_inference_in_flight_brings_nobody_back(world: World) -> None:
    service = world.start()
    site = service.site
    study = write_study(world.folder / "in")
    segment, ended = world.network._segment, threading.Event()

    def forgotten_meanwhile(arguments):
        model_forgetting.forget(site, key_of(site, PATIENT_ID), "anna")
        try:
            return segment(arguments)
        finally:
            ended.set()

    world.network._segment = forgotten_meanwhile  # type: ignore[method-assign]
    world.send(study.every())
    assert ended.wait(60)
    world.until(lambda: not _running(site))
    assert site.ledger.results() == []
    assert site.ledger.studies() == []
    assert world.archived == []
    assert not [path for path in (world.settings.data / "results").rglob("*") if path.is_dir()]


def test_of_a_study_of_two_patients_the_others_images_stay(world: World) -> None:
    service = world.start()
    site = service.site
    study = write_study(world.folder / "in")
    mixed = write_study(world.folder / "mixed", PatientID="OTHER-7")
    world.send([*study.every("FLAIR", "T1GD"), *mixed.every("T2")])
    world.until_state(study, "held")
    removed = model_forgetting.forget(site, key_of(site, PATIENT_ID), "anna")
    assert removed.instances == 24
    left = site.ledger.instances(study.uid)
    assert {row.series_uid for row in left} == {f"{study.uid}.3"}
    assert all(Path(str(row.path)).is_file() for row in left)


def test_what_was_drawn_for_a_forgotten_study_is_removed(world: World) -> None:
    site = open_site(world.settings)
    folder = site.results.path("ab" * 16, ".")
    folder.mkdir(parents=True)
    (folder / "picture-01.dcm").write_bytes(b"x")
    with pytest.raises(RefusedError, match=r"no image of study 1\.2\.3 was ever received"):
        bury_if_forgotten(site, "1.2.3", folder)
    assert folder.read_bytes() == b""


def test_a_patient_with_two_ids_is_forgotten_under_both(world: World) -> None:
    site = world.start().site
    study = write_study(world.folder / "in", PatientID="OLD-1")
    world.send(study.every())
    world.until_state(study, "delivered")
    old, new = person(site.secret, "", "OLD-1"), person(site.secret, "", "NEW-1")
    merge(site.models, old, new, "anna")
    assert model_forgetting.forget(site, new.key, "anna").instances == 36
    assert site.ledger.studies() == []
    assert site.models.keys_of(new.key) == (new.key,)


def enter(site: Site, path: Path, modality: str = "MR") -> Path:
    """Enter a file as if it had been received; its path."""
    image, content = dcmread(path, stop_before_pixels=True), path.read_bytes()
    site.ledger.enter(
        Received(
            sop_class_uid=MR,
            sop_instance_uid=image.SOPInstanceUID,
            series_uid=image.SeriesInstanceUID,
            study_uid=image.StudyInstanceUID,
            modality=modality,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            calling_ae="VIEWER",
            called_ae="GLIOLOOP",
            received_at=1.0,
            path=path,
            sha256=hashlib.sha256(content).hexdigest(),
        )
    )
    return path


@pytest.fixture
def quiet(world: World) -> Site:
    """A site where nothing runs."""
    return open_site(world.settings)


def key_at(site: Site, issuer: str) -> PatientKey:
    found = patient_key(site.secret, issuer, PATIENT_ID)
    assert found is not None
    return found


def test_a_seg_whose_viewer_dropped_the_issuer_goes_with_the_images(
    quiet: Site, tmp_path: Path
) -> None:
    uid, key = "1.2.826.0.1.3680043.10.777.1", key_at(quiet, "H")
    images = [
        enter(quiet, write_slice(tmp_path / "in", uid, 1, k, IssuerOfPatientID="H"))
        for k in range(3)
    ]
    quiet.ledger.set_study(uid, patient_key=key)
    seg = enter(quiet, write_slice(tmp_path / "segs", uid, 8, 0), "SEG")
    other = enter(quiet, write_slice(tmp_path / "segs", uid, 9, 0, PatientID="OTHER-7"), "SEG")
    removed = model_forgetting.forget(quiet, key, "anna")
    assert removed.instances == 4
    assert not any(path.exists() for path in (*images, seg))
    assert other.is_file()
    assert [row.path for row in quiet.ledger.instances(uid)] == [str(other)]


def test_what_a_crash_left_no_file_of_is_forgotten_the_next_time(
    quiet: Site, tmp_path: Path
) -> None:
    uid, key = "1.2.826.0.1.3680043.10.777.1", key_at(quiet, "H")
    for k in range(3):
        enter(quiet, write_slice(tmp_path / "in", uid, 1, k, IssuerOfPatientID="H")).unlink()
    quiet.ledger.set_study(uid, patient_key=key)
    other = enter(quiet, write_slice(tmp_path / "segs", uid, 9, 0, PatientID="OTHER-7"), "SEG")
    model_forgetting.forget(quiet, key, "anna")
    assert [row.path for row in quiet.ledger.instances(uid)] == [str(other)]


def test_where_images_of_somebody_else_are_the_id_alone_does_not_do(
    quiet: Site, tmp_path: Path
) -> None:
    uid, key = "1.2.826.0.1.3680043.10.777.1", key_at(quiet, "H")
    mine = enter(quiet, write_slice(tmp_path / "in", uid, 1, 0, IssuerOfPatientID="H"))
    other = enter(quiet, write_slice(tmp_path / "in", uid, 1, 1, IssuerOfPatientID="ELSEWHERE"))
    quiet.ledger.set_study(uid, patient_key=key)
    unknown = enter(quiet, write_slice(tmp_path / "segs", uid, 8, 0), "SEG")
    taken = enter(quiet, write_slice(tmp_path / "segs", uid, 9, 0), "SEG")
    quiet.ledger.set_correction(f"{uid}.9.1", patient_key=key, state="accepted")
    assert model_forgetting.forget(quiet, key, "anna").instances == 2
    assert [path.exists() for path in (mine, taken, other, unknown)] == [False, False, True, True]
    assert [row.sop_instance_uid for row in quiet.ledger.corrections()] == [f"{uid}.8.1"]


@pytest.mark.parametrize("vr", [b"FD", b"ZZ"])
def test_a_patient_id_of_another_kind_keeps_nobody_from_being_forgotten(
    quiet: Site, tmp_path: Path, vr: bytes
) -> None:
    uid, key = "1.2.826.0.1.3680043.10.777.1", key_at(quiet, "")
    enter(quiet, write_slice(tmp_path / "in", uid, 1, 0))
    quiet.ledger.set_study(uid, patient_key=key)
    paths = [
        write_slice(tmp_path / "segs", study, 8, 0, PatientID="ABCDEFGHIJ")
        for study in (uid, "1.7")
    ]
    for path in paths:
        content = path.read_bytes()
        assert content.count(b"LO\x0a\x00ABCDEFGHIJ") == 1
        path.write_bytes(content.replace(b"LO\x0a\x00ABCDEFGHIJ", vr + b"\x0a\x00ABCDEFGHIJ"))
        enter(quiet, path, "SEG")
    # Among the patient's images it is theirs, elsewhere nobody's.
    assert model_forgetting.forget(quiet, key, "anna").instances == 2
    assert [path.exists() for path in paths] == [False, True]


def test_an_answer_that_cannot_be_read_keeps_nobody_from_being_forgotten(
    quiet: Site, tmp_path: Path
) -> None:
    for result_id, vr in (("ab" * 16, b"UI"), ("cd" * 16, b"FD")):
        content = write_slice(tmp_path / "in", "1.7", 8, 0).read_bytes()
        study_uid = b"\x20\x00\x0d\x00"
        assert content.count(study_uid + b"UI") == 1
        path = quiet.results.path(result_id, "picture-01.dcm")
        path.parent.mkdir(parents=True)
        path.write_bytes(content.replace(study_uid + b"UI", study_uid + vr))
    assert model_forgetting._answers(quiet, {"1.7"}) == {"ab" * 16}


def test_heads_that_a_merge_copied_and_a_groups_are_forgotten_too(
    quiet: Site, tmp_path: Path
) -> None:
    models = quiet.models
    old, new = person(quiet.secret, "", PATIENT_ID), person(quiet.secret, "", "NEW-1")
    path = write_slice(tmp_path / "in", "1.7", 8, 0)
    enter(quiet, path, "SEG")
    quiet.ledger.set_correction("1.7.8.1", patient_key=old.key, state="accepted")
    for key, group in ((old.key, ""), (key_of_group("site"), "site")):
        models.accept(
            key, parent=0, backbone="B1", head={}, corrections=("1.7.8.1",), metrics={},
            software="0.1.0", group=group,
        )  # fmt: skip
    merge(models, old, new, "anna")
    split(models, old, new, {"1.7.8.1"}, "anna")
    assert len(models.patient(new.key).versions) == 1
    assert model_forgetting.forget(quiet, old.key, "anna").versions == 3
    assert list(models.patients()) == []
    assert models.used(new.key, "B1", ["site"]) is None


def test_models_of_an_earlier_glioloop_are_forgotten_too(quiet: Site) -> None:
    key, data = key_at(quiet, ""), quiet.settings.data
    folder = data / "models" / key[:2]
    folder.mkdir()
    for name in (f"{key}.json", f"{key}.json.entered"):
        (folder / name).write_text("{}")
    model_forgetting.forget(quiet, key, "anna")
    assert not folder.exists()


def test_where_a_result_was_nothing_can_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "ab"
    folder.mkdir(parents=True)
    (folder / "kept.npz").write_bytes(b"x")
    bury(folder)
    bury(folder)
    assert folder.read_bytes() == b""
    assert list(folder.parent.iterdir()) == [folder]
    with pytest.raises(FileExistsError):
        folder.mkdir(parents=True, exist_ok=True)


def _running(site: Site) -> bool:
    board = Board(site.settings.database)
    try:
        return any(job.state in ("ENQUEUED", "PENDING") for job in board.listing())
    finally:
        board.close()
