"""The day that ``glioloop demo`` plays: with a real Orthanc, and the real service beside it.

Study 1 arrives in the PACS, the PACS forwards it, the SEG comes back; the radiologist corrects it;
the patient's model adapts; study 2 arrives, and is segmented with the adapted model.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from converter.volume import to_volume
from dicomseg.facts import read_facts
from dicomseg.read import CorrectedSeg, read_seg
from glioloop import demo_overlay
from glioloop.demo_correction import correct, write_correction
from glioloop.demo_report import Lesson, Outcome, Stages, Tell
from glioloop.demo_studies import Masks, Study, read_truth
from glioloop.ledger_schema import CorrectionRow, CorrectionState, StudyState
from glioloop.private_orthanc import SCANNER_AET, VIEWER_AET, Orthanc, storescu
from glioloop.private_service import Service
from study.agreement import dice
from study.errors import FailedError, RefusedError
from study.tissue import TUMOUR_TISSUES
from study.volume import Volume

POLL_S = 0.3
PATIENCE_S = 3600.0
"""Longest wait for one answer."""
OWN_AET = "GLIOLOOP"


@dataclass(frozen=True, eq=False)
class Answer:
    """A SEG that came back, on the series that it was made on."""

    encoded: bytes
    seg: CorrectedSeg
    image: Volume


@dataclass
class Demo:
    """One run of the demo: the two servers, and what is shown of them."""

    orthanc: Orthanc
    service: Service
    stages: Stages
    out: Path
    outcomes: list[Outcome] = field(default_factory=list)

    def send(self, number: int, study: Study) -> None:
        """A scanner sends a study to the PACS."""
        with self.stages.stage(f"study {number}: {len(study.files)} images to the PACS"):
            store(self.orthanc, study.files, SCANNER_AET)

    def receive(self, number: int, study: Study) -> Answer:
        """Wait until the SEG lies in the PACS."""
        with self.stages.stage(f"study {number}: segmented, and the SEG is in the PACS") as tell:
            encoded = self._wait_for_seg(study.study_uid, tell)
        series_uid = read_facts(encoded).referenced_series[0]
        image = to_volume(study.series(series_uid))
        return Answer(encoded, read_seg(encoded, image.geometry), image)

    def conclude(self, number: int, study: Study, answer: Answer, known: Masks) -> None:
        """Measure and draw."""
        voxel = answer.image.geometry.voxel_volume_ml
        ours = answer.seg.masks
        none = np.zeros(answer.image.geometry.shape, bool)
        picture = self.out / f"study-{number}.png"
        head = algorithm_version(answer.encoded)
        demo_overlay.draw(picture, answer.image, ours, known, f"study {number}, {head}")
        self.outcomes.append(
            Outcome(
                number=number,
                study_uid=study.study_uid,
                head=head,
                volumes_ml={t: float(ours.get(t, none).sum()) * voxel for t in TUMOUR_TISSUES},
                dice={t: dice(ours.get(t, none), mask) for t, mask in known.items()},
                picture=picture,
            )
        )

    def teach(self, study: Study, answer: Answer, truth: Masks) -> Lesson:
        """The radiologist's viewer stores a corrected SEG; wait for what is learnt from it."""
        grid = answer.image.geometry
        series = study.series(answer.seg.facts.referenced_series[0])
        labels = correct(answer.seg, truth)
        encoded = write_correction(labels, grid, series, answer.seg.facts)
        uid = str(pydicom.dcmread(BytesIO(encoded), stop_before_pixels=True).SOPInstanceUID)
        path = self.out / "correction.dcm"
        path.write_bytes(encoded)
        with self.stages.stage("the radiologist's correction to the PACS"):
            store(self.orthanc, [path], VIEWER_AET)
        with self.stages.stage("the patient's model adapts"):
            return self._wait_for_lesson(uid)

    def _wait_for_seg(self, study_uid: str, tell: Tell) -> bytes:
        """Our SEG of a study, as the PACS has it."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            for instance in self.orthanc.find(study_uid, "SEG"):
                if self.orthanc.sender(instance) == OWN_AET:
                    return self.orthanc.file(instance)
            known = self.service.study(study_uid)
            if known is not None and known.state in (StudyState.HELD, StudyState.FAILED):
                raise RefusedError(f"the study is {known.state}: {known.reason}")
            if known is not None and known.state == StudyState.IGNORED:
                raise RefusedError(f"the study is not in scope: {known.reason}")
            if known is not None and known.state == StudyState.SEGMENTING:
                tell(known.progress)
            self._check_alive()
            time.sleep(POLL_S)
        raise FailedError(f"no SEG came within {PATIENCE_S:.0f} s; see {self.service.log}")

    def _wait_for_lesson(self, sop_instance_uid: str) -> Lesson:
        """What became of a correction."""
        ledger = self.service.ledger()
        give_up = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < give_up:
                for row in ledger.corrections():
                    arrived = row.sop_instance_uid == sop_instance_uid
                    if arrived and row.state not in (
                        CorrectionState.RECEIVED,
                        CorrectionState.LEARNING,
                    ):
                        return _lesson(row)
                self._check_alive()
                time.sleep(POLL_S)
        finally:
            ledger.close()
        raise FailedError(f"nothing was learnt within {PATIENCE_S:.0f} s; see {self.service.log}")

    def _check_alive(self) -> None:
        """Nothing will come from a service that has ended."""
        if not self.service.runs():
            raise FailedError(f"the service has ended; see {self.service.log}")


def play(demo: Demo, studies: list[Study], truth: Path | None) -> Lesson | None:
    """The whole day.

    Parameters
    ----------
    demo
        The running servers.
    studies
        By date.
    truth
        A correction of the first study that was given; without one, what is known of a phantom.

    Returns
    -------
    Lesson or None
        What was learnt; None when there was no correction.
    """
    lesson = None
    for number, study in enumerate(studies, start=1):
        demo.send(number, study)
        answer = demo.receive(number, study)
        grid = answer.image.geometry
        known = study.outlined(grid)
        correction = study.outlined(grid) if study.truth is not None else {}
        if number == 1 and truth is not None:
            correction = known = read_truth(truth, study, grid)
        demo.conclude(number, study, answer, known)
        if number == 1 and correction:
            lesson = demo.teach(study, answer, correction)
    return lesson


def store(orthanc: Orthanc, files: Iterable[Path], calling_aet: str) -> None:
    """Send files to the PACS, or say why it did not take them."""
    said = storescu(orthanc, files, calling_aet)
    if said.returncode:
        raise FailedError(f"Orthanc did not take what {calling_aet} sent: {said.stderr.strip()}")


def algorithm_version(encoded: bytes) -> str:
    """Which model and head a SEG says that it was made with."""
    dataset = pydicom.dcmread(BytesIO(encoded), stop_before_pixels=True)
    algorithm = dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    return str(algorithm.AlgorithmVersion)


def _lesson(row: CorrectionRow) -> Lesson:
    """What the ledger says of a correction."""
    fit: Any = row.report.get("fit", {})
    scores = (dict(fit.get(name, {})) for name in ("dice_base", "dice_fitted"))
    return Lesson(row.state, row.reason, *scores)
