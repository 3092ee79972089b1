"""A day of studies and corrections, while the service is killed; and what is counted at its end."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from small_dicom import MR, SEGMENTATION
from small_world import Study, write_study

from faults.life import Life
from glioloop.ledger_schema import CorrectionState
from glioloop.models import ModelStore
from glioloop.private_orthanc import Orthanc
from listener.inbox import Inbox

AT_ONCE = 6
"""Studies under way before the scanner sends another."""
PATIENCE_S = 300.0


@dataclass
class Sent:
    """What somebody sends, and which of it was answered with 0x0000."""

    files: Sequence[Path]
    taken: set[Path] = field(default_factory=set)
    repeats: int = 0

    @property
    def whole(self) -> bool:
        """Whether all of it was taken."""
        return len(self.taken) == len(self.files)

    def send(self, port: int, calling: str) -> None:
        """One association: what was answered with 0x0000 is never sent again."""
        ae = AE(ae_title=calling)
        ae.connection_timeout, ae.acse_timeout, ae.dimse_timeout = 2, 5, 10
        for sop_class in (MR, SEGMENTATION):
            ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", port, ae_title="GLIOLOOP")
        if not association.is_established:
            return
        self.repeats += 1
        for path in self.files:
            if path in self.taken:
                continue
            try:
                answer = association.send_c_store(path)
            except (RuntimeError, OSError):
                break
            if answer.get("Status") != 0x0000:
                break
            self.taken.add(path)
        if association.is_established:
            association.release()

    def insist(self, life: Life, calling: str, ended: Callable[[], bool]) -> None:
        """Send until all of it is taken."""
        while not self.whole and not ended():
            self.send(life.port, calling)
            if not self.whole:
                time.sleep(0.1)


@dataclass(frozen=True)
class Count:
    """What is left at the end of a day."""

    accepted: int
    results: int
    lost: int
    """Studies without a result, and instances that were taken and are nowhere."""
    duplicates: int
    corrections: int
    learnt: int
    twice: int
    """Versions of models beyond one for each correction."""
    waiting: int
    """Studies and corrections that wait for a person, though nothing is wrong with them."""
    altered: int
    """Results that differ between archive and service."""


@dataclass
class Day:
    """A scanner, a reader, an archive, and a service that is killed."""

    folder: Path
    life: Life
    orthanc: Orthanc
    studies: list[tuple[Study, Sent]] = field(default_factory=list)
    corrections: dict[str, Sent] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    """No further study is sent."""
    broken: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    """Studies that are known to have a result in the archive."""

    def __post_init__(self) -> None:
        self._threads = [
            threading.Thread(target=self._watched, args=(work,), daemon=True)
            for work in (self._scan, self._read)
        ]

    def begin(self) -> None:
        """The scanner begins to send, and the reader to correct."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until all is sent, and every study and correction came to its end."""
        self.over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        give_up = time.monotonic() + PATIENCE_S
        while not self._settled() and time.monotonic() < give_up:
            time.sleep(0.2)
        self.broken.set()
        gc.collect()  # pynetdicom leaves the sockets of refused connections to it
        assert not self.failures, self.failures

    def results(self) -> int:
        """Studies with a result in the archive."""
        for study, _ in list(self.studies):
            if study.uid not in self.answered and self.segs(study.uid):
                self.answered.add(study.uid)
        return len(self.answered)

    def segs(self, study_uid: str) -> list[str]:
        """Orthanc's ids of the SEGs of a study that came from the service."""
        return self.orthanc.find(study_uid, "SEG")

    def count(self) -> Count:
        """What there is at the end."""
        taken = [study for study, sent in self.studies if sent.whole]
        found = {study.uid: self.segs(study.uid) for study in taken}
        inbox = Inbox(self.life.data / "inbox", min_free_bytes=0)
        kept = Counter(received.sop_instance_uid for received in inbox.scan())
        every = [path for _, sent in self.studies for path in sent.taken]
        every += [path for sent in self.corrections.values() for path in sent.taken]
        nowhere = [path for path in every if kept[_uid(path)] != 1]
        with closing(self.life.ledger()) as ledger:
            rows = ledger.corrections()
            states = [row.state for row in ledger.studies()]
        with closing(ModelStore(self.life.data / "models")) as models:
            versions = sum(len(patient.versions) for patient in models.patients())
        learnt = sum(row.state == CorrectionState.ACCEPTED for row in rows)
        return Count(
            accepted=len(taken),
            results=sum(map(bool, found.values())),
            lost=sum(not segs for segs in found.values()) + len(nowhere),
            duplicates=sum(max(0, len(segs) - 1) for segs in found.values()),
            corrections=sum(sent.whole for sent in self.corrections.values()),
            learnt=learnt,
            twice=max(0, versions - learnt),
            waiting=sum(state != "delivered" for state in states) + len(rows) - learnt,
            altered=sum(self._differs(segs[0]) for segs in found.values() if segs),
        )

    def _watched(self, work: Callable[[], None]) -> None:
        """A thread's failure is the test's."""
        try:
            work()
        except BaseException as error:
            self.failures.append(error)
            raise

    def _scan(self) -> None:
        """The scanner: two studies of each patient, one after the other."""
        number = 0
        while not self.over.is_set():
            if number - self.results() >= AT_ONCE:
                time.sleep(0.1)
                continue
            number += 1
            patient = f"ZQ-{number // 2}"
            study = write_study(self.folder / "in" / str(number), number, PatientID=patient)
            sent = Sent(study.every())
            self.studies.append((study, sent))
            sent.insist(self.life, "SCANNER", self.broken.is_set)

    def _read(self) -> None:
        """The reader: corrects the result of every second study."""
        while True:
            last = self.over.is_set()
            for study, sent in list(self.studies[::2]):
                if study.uid in self.corrections:
                    continue
                segs = self.segs(study.uid) if sent.whole else []
                if not segs:
                    last = False
                    continue
                path = self.folder / "in" / f"{study.uid}-corrected.dcm"
                _correct(self.orthanc.file(segs[0]), study.uid, path)
                self.corrections[study.uid] = Sent([path])
                self.corrections[study.uid].insist(self.life, "VIEWER", self.broken.is_set)
            if last or self.broken.is_set():
                return
            time.sleep(0.1)

    def _settled(self) -> bool:
        """Whether nothing is under way any more."""
        if self.results() < len(self.studies):
            return False
        with closing(self.life.ledger()) as ledger:
            under_way = (CorrectionState.RECEIVED, CorrectionState.LEARNING)
            done = all(study.state == "delivered" for study in ledger.studies())
            came = len(ledger.corrections()) == len(self.corrections)
            return done and came and not ledger.corrections(*under_way)

    def _differs(self, instance: str) -> bool:
        """Whether a result in the archive is another than the one that the service keeps."""
        there = dcmread(DicomBytesIO(self.orthanc.file(instance)))
        with closing(self.life.ledger()) as ledger:
            (row,) = (r for r in ledger.results() if r.sop_instance_uid == there.SOPInstanceUID)
        here = dcmread(self.life.data / "results" / row.result_id / "seg.dcm")
        return bool(here != there)


def _uid(path: Path) -> str:
    """SOP Instance UID of a file."""
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def _correct(ours: bytes, study_uid: str, path: Path) -> None:
    """Write what a viewer saves: our SEG with other voxels, which names what it replaces."""
    seg = dcmread(DicomBytesIO(ours))
    named, series, predecessor = Dataset(), Dataset(), Dataset()
    named.ReferencedSOPClassUID, named.ReferencedSOPInstanceUID = SEGMENTATION, seg.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = seg.SeriesInstanceUID, [named]
    predecessor.StudyInstanceUID, predecessor.ReferencedSeriesSequence = study_uid, [series]
    seg.PredecessorDocumentsSequence = [predecessor]
    seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = f"{study_uid}.77.1"
    seg.SeriesInstanceUID = f"{study_uid}.77"
    pixels = bytearray(seg.PixelData)
    pixels[len(pixels) // 2] ^= 0x18
    seg.PixelData = bytes(pixels)
    seg.save_as(path, enforce_file_format=True)
