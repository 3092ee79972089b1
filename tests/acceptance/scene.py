"""The PACS and the service of a test, and what a test asks them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glioloop.ledger_schema import RunRow, StudyState
from glioloop.private_orthanc import Orthanc, free_port
from glioloop.private_service import Service

PATIENCE_S = 400.0


def wait_for(what: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
    """Whether something becomes true in time."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if what():
            return True
        time.sleep(0.2)
    return what()


@dataclass
class Scene:
    """Both servers."""

    orthanc: Orthanc
    service: Service

    def segs(self, study_uid: str) -> list[str]:
        """Orthanc's ids of the SEGs of a study."""
        return self.orthanc.find(study_uid, "SEG")

    def state(self, study_uid: str) -> str:
        """State of a study in the ledger; empty before its first image."""
        found = self.service.study(study_uid)
        return found.state if found else ""

    def waits_until(self, study_uid: str, state: StudyState) -> bool:
        """Whether a study reaches a state in time."""
        return wait_for(lambda: self.state(study_uid) == state)

    def runs(self, study_uid: str) -> list[RunRow]:
        """Inferences of a study that ever began."""
        ledger = self.service.ledger()
        try:
            return [run for run in ledger.runs() if run.study_uid == study_uid]
        finally:
            ledger.close()

    def said(self) -> str:
        """The service's log."""
        return self.service.log.read_text()


@contextmanager
def open_scene(
    folder: Path, models: Path, command: Sequence[str] = (), **settings: object
) -> Iterator[Scene]:
    """A PACS and a service with small networks, both running."""
    few = {"model_folder": str(models), "mode": "fast"}
    service = Service(folder / "service", free_port(), {"inference": few, **settings})
    if command:
        service.command = command
    orthanc = Orthanc(
        folder / "orthanc",
        service.port,
        service.web_port,
        stable_age_s=1,
        dicom_port=service.pacs_port,
    )
    try:
        orthanc.start()
        service.start()
        yield Scene(orthanc, service)
    finally:
        service.stop()
        orthanc.stop()
