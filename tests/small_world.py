"""A service with real listener, ledger, jobs and archive; only the network is a stand-in."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from converter.confined import Limits
from converter.parts import headers_of, read_part
from converter.volume import to_volume
from dicomseg.encode import encode_seg
from dicomseg.identity import Predecessor, ResultIdentity
from dicomseg.write import write_seg
from glioloop import (
    durable,
    failures,
    inference,
    judging,
    label_file,
    results,
    seg_tasks,
    settings,
    tasks,
)
from glioloop.kept import Kept
from glioloop.service import Service
from listener import scp, scu
from listener.inbox import Inbox
from study.tissue import TUMOUR_TISSUES, Tissue

REAL_RUN = inference.run
CHILDREN = (inference.TASKS, inference.NETWORK_TASKS)
"""What the stand-in answers; all other tasks open SEGs."""
MR = "1.2.840.10008.5.1.4.1.1.4"
NAME, PATIENT_ID, BIRTH_DATE = "Quokka^Zebulon", "ZQ-74123", "19330217"
"""Found nowhere but in the images themselves."""
SLICES, ROWS = 12, 16

SEQUENCES: Mapping[str, Mapping[str, Any]] = {
    "FLAIR": {"SeriesDescription": "t2_flair_tra", "EchoTime": 90, "RepetitionTime": 9000},
    "T1GD": {"SeriesDescription": "t1_tra +Gd", "EchoTime": 10, "RepetitionTime": 500},
    "T2": {"SeriesDescription": "t2_tse_tra", "EchoTime": 100, "RepetitionTime": 4000},
}


@dataclass(frozen=True)
class Study:
    """Files of a study of three sequences, twelve slices each."""

    uid: str
    files: Mapping[str, list[Path]]

    def every(self, *roles: str) -> list[Path]:
        """Files of some sequences, of all without any."""
        return [path for role in roles or self.files for path in self.files[role]]


def write_study(folder: Path, number: int = 1, **attributes: Any) -> Study:
    """Write a study; its UIDs follow from its number."""
    uid = f"1.2.826.0.1.3680043.10.777.{number}"
    files: dict[str, list[Path]] = {}
    for series, (role, header) in enumerate(SEQUENCES.items(), 1):
        files[role] = [
            write_slice(folder, uid, series, k, **{**header, **attributes}) for k in range(SLICES)
        ]
    return Study(uid, files)


def said(item: Dataset) -> str:
    """All text and numbers of a content tree."""
    own = [str(item.get("TextValue", ""))]
    own += [str(value.NumericValue) for value in item.get("MeasuredValueSequence", [])]
    own += [said(child) for child in item.get("ContentSequence", [])]
    return " ".join(filter(None, own))


def write_slice(folder: Path, study_uid: str, series: int, k: int, **attributes: Any) -> Path:
    """Write one image."""
    image = Dataset()
    image.SOPClassUID = MR
    image.SOPInstanceUID = f"{study_uid}.{series}.{k + 1}"
    image.SeriesInstanceUID = f"{study_uid}.{series}"
    image.StudyInstanceUID = study_uid
    image.FrameOfReferenceUID = f"{study_uid}.9"
    image.Modality, image.StudyDate, image.StudyTime = "MR", "20260101", "120000"
    image.PatientName, image.PatientID = NAME, PATIENT_ID
    image.PatientBirthDate, image.PatientSex = BIRTH_DATE, "O"
    image.StudyID, image.AccessionNumber, image.ReferringPhysicianName = "", "", ""
    image.Manufacturer = "Nobody"
    image.SeriesNumber, image.InstanceNumber = series, k + 1
    image.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    image.BodyPartExamined = "BRAIN"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 0
    image.Rows = image.Columns = ROWS
    image.PixelSpacing, image.SliceThickness = [10.0, 10.0], 10.0
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [-80, -80, 10.0 * k]
    image.PixelData = np.full((ROWS, ROWS), 100 + series, "<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = MR
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study_uid.rpartition('.')[2]}-{series}-{k + 1:02}.dcm"
    image.save_as(path, enforce_file_format=True)
    return path


@dataclass
class StandIn:
    """Takes the place of the child process: a box of tumour, and any fit one wants."""

    fit: dict[str, Any] = field(
        default_factory=lambda: {
            "accepted": True,
            "reason": "accepted: better on slices not learnt from",
            "head": {"weight": [[1.0]]},
            "metrics": {"dice_base": {"enhancing": 0.4}, "dice_fitted": {"enhancing": 0.7}},
        }
    )
    failures: list[Exception] = field(default_factory=list)
    learning: threading.Event = field(default_factory=threading.Event)
    """What a slow fit waits for."""
    slow: bool = False
    confined: bool = False
    """Whether SEGs that come are opened in a child, as they are in truth; it takes seconds."""
    complete: bool = False
    """Whether results have their report and pictures."""
    calls: list[str] = field(default_factory=list)
    heads: list[str | None] = field(default_factory=list)
    lessons: list[list[dict[str, Any]]] = field(default_factory=list)

    def run(
        self,
        task: str,
        arguments: Mapping[str, Any],
        limit_s: float,
        progress: Callable[[float], None] | None = None,
        module: str = inference.TASKS,
        limits: Limits | None = None,
    ) -> dict[str, Any]:
        """As `glioloop.inference.run`."""
        if module not in CHILDREN and self.confined:
            return REAL_RUN(task, arguments, limit_s, progress, module, limits)
        return self._stand_in(task, arguments, module)

    def _stand_in(self, task: str, arguments: Mapping[str, Any], module: str) -> dict[str, Any]:
        """What a child would answer."""
        if module not in CHILDREN:
            answer = failures.guarded(getattr(seg_tasks, task), arguments, lambda _part: None)
            return dict(json.loads(json.dumps(answer)))
        self.calls.append(task)
        if self.failures:
            raise self.failures.pop(0)
        if not self.complete and task == "encode":
            return self._encode_seg_alone(arguments)
        if not self.complete and task == "report_correction":
            return {"volumes_ml": {}}
        if task in ("encode", "answer", "report_correction", "seg_of_mask"):
            return dict(getattr(tasks, task)(arguments, lambda _part: None))
        if task == "learn":
            self.lessons.append(arguments["lessons"])
            if self.slow:
                assert self.learning.wait(60)
            return self.fit
        self.heads.append(arguments["head"])
        return self._segment(arguments)

    def _encode_seg_alone(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Write the SEG; reports and pictures take seconds, and few tests look at them."""
        sources = headers_of(read_part(arguments["series"]["T1GD"]))
        folder = Path(arguments["folder"])
        labels = label_file.labels_from_file(folder / results.LABELS)
        identity = results.identity_of(arguments["identity"])
        durable.once(folder / results.SEG, lambda: encode_seg(labels, sources, identity))
        return {"problems": []}

    def _segment(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Write what the real task writes."""
        folder = Path(arguments["folder"])
        volume = to_volume(read_part(arguments["series"]["T1GD"]))
        labels = np.zeros(volume.geometry.shape, np.uint8)
        labels[3:9, 4:10, 5:11] = Tissue.EDEMA
        labels[5:8, 6:9, 6:9] = Tissue.ENHANCING
        kept = Kept(
            np.zeros((3, *volume.geometry.shape), np.float16),
            np.ones(volume.geometry.shape, bool),
            volume.geometry,
            volume.geometry,
        )
        facts = {"volumes_ml": {}, "seconds": {}, "alignment": {}}
        durable.write(folder / results.KEPT, kept.to_bytes())
        made = label_file.labels_to_bytes(volume.with_array(labels))
        durable.write(folder / results.LABELS, made)
        durable.write(folder / results.FACTS, json.dumps(facts).encode())
        return facts


@dataclass
class World:
    """An archive, a service, and somebody who sends."""

    folder: Path
    network: StandIn
    given: dict[str, Any] = field(default_factory=dict)
    service: Service | None = None
    dicom: int = 0
    web: int = 0

    def __post_init__(self) -> None:
        self.archive = Inbox(self.folder / "archive", min_free_bytes=0)
        self.archived: list[str] = []
        """SOP Instance UIDs of the SEGs that came."""
        self.others: list[tuple[str, str]] = []
        """SOP Class UID and SOP Instance UID of all else."""
        config = scp.ScpConfig(host="127.0.0.1", port=0, ae_titles=("PACS",))
        self.pacs = scp.start(config, self.archive, self._stored)

    def _stored(self, received: Any) -> None:
        """Remember what the archive got."""
        if received.modality == "SEG":
            self.archived.append(received.sop_instance_uid)
        else:
            self.others.append((received.sop_class_uid, received.sop_instance_uid))

    @property
    def settings(self) -> settings.Settings:
        """Of the service: quick, on free ports."""
        pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": self.pacs.port}
        usual = {
            "data": self.folder / "data",
            "listener": {"host": "127.0.0.1", "port": 0, "min_free_gib": 0},
            "web": {"port": 0},
            "completeness": {"quiet_seconds": 0.3, "incomplete_after_minutes": 0.05},
            "delivery": {"first_pause_seconds": 0.1, "longest_pause_minutes": 0.01},
            "destinations": [pacs],
        }
        return settings.load(**{**usual, **self.given})

    def start(self) -> Service:
        """Start the service."""
        self.service = Service(self.settings)
        ports = self.service.start()
        self.dicom, self.web = ports.dicom, ports.web
        return self.service

    def stored(self, result_id: str, name: str) -> Dataset:
        """An object of a result as it is kept."""
        assert self.service is not None
        return dcmread(self.service.site.results.path(result_id, name))

    def stop(self) -> None:
        """End the service."""
        if self.service is not None:
            self.service.stop()
            self.service = None

    def send(self, files: list[Path], called: str = "GLIOLOOP", calling: str = "SCANNER") -> None:
        """Send to the service."""
        scu.store(scu.Peer(called, "127.0.0.1", self.dicom, calling), files)

    def state(self, study_uid: str) -> tuple[str, str]:
        """State and reason of a study."""
        assert self.service is not None
        found = self.service.site.ledger.study(study_uid)
        return found.state, found.reason

    def until(self, done: Callable[[], object], seconds: float = 90.0) -> None:
        """Wait until something is so."""
        give_up = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < give_up, "it never came to be"
            time.sleep(0.1)

    def until_state(self, study: Study, state: str) -> None:
        """Wait until a study is in a state."""
        self.until(lambda: self.state(study.uid)[0] == state)

    def seg(self, number: int = -1) -> Dataset:
        """One of the SEGs in the archive, the last if not said otherwise."""
        uid = self.archived[number]
        (found,) = {r.path for r in self.archive.scan() if r.sop_instance_uid == uid}
        assert found is not None
        return dcmread(found)

    def correct(
        self,
        study: Study,
        name: str = "c1",
        creator: str = "",
        tissues: Sequence[int] = TUMOUR_TISSUES,
        **changed: Any,
    ) -> Path:
        """Write a corrected SEG of the study's latest result: its enhancing part is moved.

        Of some tissues alone, where it is one layer of several.
        """
        assert self.service is not None
        result = self.service.site.ledger.results(study.uid)[0]
        labels = label_file.labels_from_file(
            self.service.site.results.path(result.result_id, results.LABELS)
        )
        array = labels.array.copy()
        array[array == Tissue.ENHANCING] = Tissue.EDEMA
        array[4:8, 5:9, 6:9] = Tissue.ENHANCING
        array[~np.isin(array, tissues)] = Tissue.BACKGROUND
        identity = ResultIdentity(
            "c0ffee00" + name.encode().hex(),
            "a viewer",
            "1",
            datetime(2026, 1, 2, tzinfo=UTC),
            kind="correction",
            algorithm_type="MANUAL",
            creator=creator,
            predecessor=Predecessor(
                study.uid, result.series_uid, result.sop_instance_uid, results.SEG_SOP_CLASS
            ),
        )
        chosen = self.service.site.results.report(result.result_id)["instances"]
        files = judging.files_of(self.service.site, study.uid, chosen)["T1GD"]
        sources = headers_of(read_part(files))
        for source in sources:
            for keyword, value in changed.items():
                setattr(source, keyword, value)
        path = self.folder / f"{name}.dcm"
        held = [tissue for tissue in TUMOUR_TISSUES if tissue in tissues]
        path.write_bytes(write_seg(labels.with_array(array), sources, identity, held))
        return path
