"""The spool keeps what it was given, through resends, conflicts and crashes."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from small_dicom import PATIENT_ID, PATIENT_NAME, encode, make_instance

from listener.header import read_header
from listener.inbox import Inbox, Received, SpoolFullError
from listener.part10 import Arrival
from study.errors import FailedError

FOLDER = hashlib.sha256(b"1.2.3.4").hexdigest()[:32]
FILE = hashlib.sha256(b"1.2.3.4.1.1").hexdigest()[:32]


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox", min_free_bytes=0)


def keep(
    inbox: Inbox,
    instance: Dataset,
    at_s: float = 1_700_000_000.25,
    called: str = "GLIOLOOP",
    syntax: str = ExplicitVRLittleEndian,
) -> Received:
    data_set = encode(instance, syntax)
    arrival = Arrival(syntax, "SCANNER", called, round(at_s * 1000) * 1_000_000)
    return inbox.store(data_set, read_header(data_set, syntax), arrival)


def files(inbox: Inbox) -> list[str]:
    return sorted(path.relative_to(inbox.root).as_posix() for path in inbox.root.rglob("*.*"))


def test_an_instance_is_kept_as_a_file_that_says_how_it_came(inbox: Inbox) -> None:
    entry = keep(inbox, make_instance())

    assert entry.path == inbox.root / FOLDER / f"{FILE}.dcm"
    assert (entry.calling_ae, entry.called_ae) == ("SCANNER", "GLIOLOOP")
    assert entry.received_at == pytest.approx(1_700_000_000.25, abs=1e-6)
    assert not entry.conflict
    assert not entry.repeated
    raw = entry.path.read_bytes()
    assert raw[:132] == bytes(128) + b"DICM"
    assert raw.endswith(encode(make_instance()))
    meta = dcmread(entry.path).file_meta
    assert meta.SendingApplicationEntityTitle == "SCANNER"
    assert meta.ReceivingApplicationEntityTitle == "GLIOLOOP"
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4.1.1"


def test_an_identical_resend_changes_nothing(inbox: Inbox) -> None:
    first = keep(inbox, make_instance())
    assert first.path
    before = (files(inbox), first.path.stat().st_ino, first.path.stat().st_mtime_ns)

    again = keep(inbox, make_instance(), at_s=1_800_000_000.0, called="GLIOLOOP_LEARN")

    assert (files(inbox), first.path.stat().st_ino, first.path.stat().st_mtime_ns) == before
    assert again.path == first.path
    assert again.repeated
    assert not again.conflict
    assert again.called_ae == "GLIOLOOP_LEARN"


def test_other_bytes_under_the_same_uid_are_kept_beside(inbox: Inbox) -> None:
    first = keep(inbox, make_instance())
    other = make_instance()
    other.PixelData = b"\x09\x00" * 8

    second = keep(inbox, other, at_s=1_700_000_001.0)
    third = keep(inbox, other, at_s=1_700_000_002.0)

    assert second.conflict
    assert not second.repeated
    assert second.path != first.path
    assert third.conflict
    assert third.repeated
    assert third.path == second.path
    assert len(files(inbox)) == 2
    assert dcmread(first.path).PixelData == b"\x01\x00" * 8  # type: ignore[arg-type]
    assert dcmread(second.path).PixelData == b"\x09\x00" * 8  # type: ignore[arg-type]
    assert first.pixel_sha256 != second.pixel_sha256


def test_a_variant_that_was_only_relabelled_has_the_same_pixels(inbox: Inbox) -> None:
    first = keep(inbox, make_instance())
    relabelled = make_instance()
    relabelled.SeriesDescription = "routed"

    second = keep(inbox, relabelled, syntax=ImplicitVRLittleEndian)

    assert second.conflict
    assert second.sha256 != first.sha256
    assert second.pixel_sha256 == first.pixel_sha256


def test_a_study_lists_its_instances_in_the_order_of_arrival(inbox: Inbox) -> None:
    late = keep(inbox, make_instance(1), at_s=1_700_000_009.5)
    early = keep(inbox, make_instance(2), at_s=1_700_000_001.5)
    keep(inbox, make_instance(1, study="1.2.3.5"))

    assert inbox.study("1.2.3.4") == [early, late]
    assert inbox.study("1.2.99") == []


def test_all_that_is_known_is_rebuilt_from_the_files_alone(inbox: Inbox) -> None:
    other = make_instance(1)
    other.PixelData = bytes(16)
    kept = {
        keep(inbox, make_instance(1)),
        keep(inbox, other, at_s=1_700_000_003.0, called="GLIOLOOP_LEARN"),
        keep(inbox, make_instance(2), syntax=ImplicitVRLittleEndian),
        keep(inbox, make_instance(1, study="1.2.3.5")),
    }

    assert set(Inbox(inbox.root).scan()) == kept
    assert len(kept) == 4


def test_a_file_that_cannot_be_read_is_left_out_of_a_scan_and_named(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    broken = keep(inbox, make_instance(1))
    whole = keep(inbox, make_instance(2))
    assert broken.path
    broken.path.write_bytes(broken.path.read_bytes()[:-1])

    with caplog.at_level(logging.ERROR):
        found = list(inbox.scan())

    assert found == [whole]
    assert broken.path.name in caplog.text
    with pytest.raises(FailedError, match="in the spool cannot be read"):
        inbox.study("1.2.3.4")


def test_what_a_crash_left_is_ignored_and_swept_away(inbox: Inbox) -> None:
    kept = keep(inbox, make_instance())
    (inbox.root / FOLDER / f"{FILE}.k2j4.local.part").write_bytes(b"half")
    shutil.copytree(inbox.root / FOLDER, inbox.root / "0123.removed17")

    again = Inbox(inbox.root)
    assert list(again.study("1.2.3.4")) == [kept]
    assert again.sweep() == 3
    assert files(again) == [f"{FOLDER}/{FILE}.dcm"]
    assert again.sweep() == 0


def test_what_a_crash_left_whole_gets_its_name(inbox: Inbox) -> None:
    kept = keep(inbox, make_instance())
    # The power failed after 0x0000, and with it went the link that was not yet on the disk.
    part = f"{FILE}.{kept.sha256[:32]}.k2j4.local.part"
    kept.path.rename(inbox.root / FOLDER / part)
    cut = inbox.root / FOLDER / f"{FILE}.{'0' * 32}.k2j5.local.part"
    cut.write_bytes((inbox.root / FOLDER / part).read_bytes()[:-1])

    again = Inbox(inbox.root)
    assert list(again.scan()) == []
    assert again.sweep() == 1
    assert list(again.scan()) == [kept]
    assert files(again) == [f"{FOLDER}/{FILE}.dcm"]


def test_what_another_listener_writes_is_left_alone_until_it_must_be_gone(inbox: Inbox) -> None:
    keep(inbox, make_instance())
    theirs = inbox.root / FOLDER / f"{FILE}.{'0' * 32}.k2j4.other.part"
    theirs.write_bytes(b"half")

    assert Inbox(inbox.root, writer="this").sweep() == 0
    assert theirs.exists()
    os.utime(theirs, (0, 0))
    assert Inbox(inbox.root, writer="this").sweep() == 1
    assert not theirs.exists()


def test_what_is_known_is_not_read_again(inbox: Inbox) -> None:
    first, second = keep(inbox, make_instance(1)), keep(inbox, make_instance(2))
    assert list(inbox.scan({str(first.path)})) == [second]


def test_half_removed_studies_are_not_scanned(inbox: Inbox) -> None:
    keep(inbox, make_instance())
    (inbox.root / FOLDER).rename(inbox.root / f"{FOLDER}.removed17")

    assert list(inbox.scan()) == []


def test_a_removed_study_is_gone_and_others_stay(inbox: Inbox) -> None:
    keep(inbox, make_instance(1))
    other = keep(inbox, make_instance(1, study="1.2.3.5"))

    inbox.remove_study("1.2.3.4")
    inbox.remove_study("1.2.3.4")

    assert list(inbox.scan()) == [other]
    assert len(list(inbox.root.iterdir())) == 1


def test_nothing_is_accepted_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, min_free_bytes=1 << 60)

    with pytest.raises(SpoolFullError, match=r"MiB are free on the spool's disk, and \d+"):
        keep(inbox, make_instance())

    assert files(inbox) == []


def test_nothing_is_left_of_a_write_that_failed(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("listener.part10.os.fsync", fail)
    (inbox.root / FOLDER).mkdir()

    with pytest.raises(OSError, match="No space left"):
        keep(inbox, make_instance())
    assert files(inbox) == []


def test_the_same_instance_over_many_associations_is_one_file(inbox: Inbox) -> None:
    entries: list[Received] = []
    gate = threading.Barrier(8)

    def bring(number: int) -> None:
        gate.wait()
        instance = make_instance()
        instance.PixelData = bytes([number % 2]) * 16
        entries.append(keep(inbox, instance))

    threads = [threading.Thread(target=bring, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(files(inbox)) == 2
    assert sorted(entry.repeated for entry in entries) == [False] * 2 + [True] * 6
    assert len({entry.path for entry in entries if not entry.conflict}) == 1


def test_no_name_in_the_spool_tells_who_the_patient_is(inbox: Inbox) -> None:
    keep(inbox, make_instance())

    for path in inbox.root.rglob("*"):
        assert PATIENT_ID not in str(path)
        assert PATIENT_NAME not in str(path)
        assert "1.2.3.4" not in str(path)


def test_a_uid_with_leading_zeros_is_kept_as_it_is(inbox: Inbox) -> None:
    instance = make_instance(1, study="1.2.33")
    data_set = encode(instance).replace(b"1.2.33", b"1.2.03")
    header = read_header(data_set, ExplicitVRLittleEndian)

    entry = inbox.store(data_set, header, Arrival.now(ExplicitVRLittleEndian, "A", "B"))

    assert entry.study_uid == "1.2.03"
    assert list(inbox.scan()) == [entry]
