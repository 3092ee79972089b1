"""A real Orthanc of one's own, on free ports: the PACS of the demo and of the acceptance tests.

It runs the configuration and the plugin of `orthanc/`, with another folder, other ports and
shorter times. Its web interface answers this machine alone. Its DICOM port cannot be bound to
loopback, so it refuses every calling AE title and every host that it does not know.
"""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from study.errors import FailedError, RefusedError

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[1] / "orthanc"
"""Folder of the configuration and the plugin."""

PROGRAM_FOLDERS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
"""Where DCMTK and Orthanc are looked for; pynetdicom has a program storescu, too."""

PACS_AET, SCANNER_AET, VIEWER_AET = "ORTHANC", "SCANNER", "VIEWER"
START_S, STOP_S = 60.0, 20.0


def program(name: str) -> str:
    """Path of a program of Debian's packages.

    Raises
    ------
    RefusedError
        If it is not there; the message says what to install.
    """
    found = shutil.which(name, path=PROGRAM_FOLDERS)
    if found is None:
        raise RefusedError(
            f"the program {name} is missing; on Debian: "
            "apt-get install orthanc orthanc-dicomweb orthanc-python dcmtk dicom3tools"
        )
    return found


def without_nagle(*command: str) -> list[str]:
    """A command line under which DCMTK does not wait some 40 ms for each message."""
    return ["/usr/bin/env", "TCP_NODELAY=1", *command]


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Orthanc:
    """An Orthanc in a folder. It runs between `start` and `stop` (or ``with``), also repeatedly."""

    folder: Path
    glioloop_port: int
    """DICOM port of the service that it forwards to."""
    web_port: int | None = None
    """Web port of that service; None: it is not told what was sent."""
    stable_age_s: int = 2
    ohif: Path | None = None
    """Folder of a prepared OHIF, which it then serves at ``/ohif/``."""
    http_port: int = field(default_factory=free_port)
    dicom_port: int = field(default_factory=free_port)
    user: str = "demo"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address of the web interface."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self) -> Path:
        """File that Orthanc writes its log to."""
        return self.folder / "orthanc.log"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        FailedError
            If it ends, or does not answer within a minute.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.touch(mode=0o600)  # it holds the password
        configuration.write_text(json.dumps(self._configuration(), indent=2))
        self.process = subprocess.Popen(
            without_nagle(program("Orthanc"), f"--logfile={self.log}", str(configuration)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        give_up = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise FailedError(f"Orthanc did not start; its log is {self.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it; it may be started again."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def get(self, path: str) -> Any:
        """JSON answer of the REST interface."""
        return self._request("GET", path).json()

    def file(self, instance: str) -> bytes:
        """Part-10 file of an instance, named by Orthanc's id."""
        return self._request("GET", f"/instances/{instance}/file").content

    def post(self, path: str, body: Any) -> Any:
        """JSON answer to a JSON body."""
        return self._request("POST", path, json=body).json()

    def find(self, study_uid: str, modality: str) -> list[str]:
        """Orthanc's ids of a study's instances of one (0008,0060) *Modality*, as they came."""
        query = {"StudyInstanceUID": study_uid, "Modality": modality}
        series = self.post("/tools/find", {"Level": "Series", "Query": query, "Expand": True})
        instances = [instance for one in series for instance in one["Instances"]]
        return sorted(instances, key=self._received)

    def sender(self, instance: str) -> str:
        """Calling AE title that an instance came from; empty when it came by HTTP."""
        return self._request("GET", f"/instances/{instance}/metadata/RemoteAET").text

    def _received(self, instance: str) -> str:
        """When an instance came."""
        return self._request("GET", f"/instances/{instance}/metadata/ReceptionDate").text

    def _request(self, method: str, path: str, **body: Any) -> httpx.Response:
        """One request; any refusal is an error."""
        answer = httpx.request(
            method, self.url + path, auth=(self.user, self.password), timeout=30, **body
        )
        return answer.raise_for_status()

    def _answers(self) -> bool:
        """Whether the web interface answers yet."""
        try:
            self.get("/system")
        except httpx.TransportError:
            return False
        return True

    def _configuration(self) -> dict[str, Any]:
        """The shipped configuration, with what is different for a private one."""
        configuration: dict[str, Any] = json.loads((SHIPPED / "orthanc.json").read_text())
        database = str(self.folder / "db")
        modalities = configuration["DicomModalities"]
        for name in ("glioloop", "glioloop_learn"):
            modalities[name]["Port"] = self.glioloop_port
        for name, aet in (("scanner", SCANNER_AET), ("viewer", VIEWER_AET)):
            modalities[name] = {
                "AET": aet,
                "Host": "127.0.0.1",
                "Port": 104,
                "AllowStore": True,
                "AllowEcho": True,
            }
        configuration |= {
            "StorageDirectory": database,
            "IndexDirectory": database,
            "PythonScript": str(SHIPPED / "plugin.py"),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "RegisteredUsers": {self.user: self.password},
            "StableAge": self.stable_age_s,
        }
        configuration["DicomWeb"]["Host"] = f"127.0.0.1:{self.http_port}"
        service = f"http://127.0.0.1:{self.web_port}" if self.web_port else ""
        configuration["Glioloop"]["ServiceUrl"] = service
        configuration["Glioloop"]["OhifFolder"] = str(self.ohif or "")
        return configuration


def storescu(
    orthanc: Orthanc, files: Iterable[Path], calling_aet: str = SCANNER_AET
) -> subprocess.CompletedProcess[str]:
    """Send files to Orthanc with DCMTK's storescu, as a scanner or a viewer would."""
    return storescu_to(orthanc.dicom_port, PACS_AET, files, calling_aet)


def storescu_to(
    port: int, called_aet: str, files: Iterable[Path], calling_aet: str
) -> subprocess.CompletedProcess[str]:
    """Send files to a DICOM port of this machine; what storescu said is in the answer."""
    names: Sequence[str] = [str(path) for path in files]
    # Of all storage classes storescu proposes those that fit into an association; SEG is not among
    # them. With --required it proposes those that the files are of.
    command = [program("storescu"), "--required", "-aet", calling_aet, "-aec", called_aet]
    return subprocess.run(
        without_nagle(*command, "127.0.0.1", str(port), *names),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
