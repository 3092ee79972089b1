"""Other ends of an association: a plain sender, and DCMTK's programs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, _config
from pynetdicom.presentation import build_context
from small_dicom import MR

# A damaged file is sent as it is only when pynetdicom does not decode it first.
_config.STORE_SEND_CHUNKED_DATASET = True


def send(
    port: int,
    files: Sequence[Path],
    calling: str = "SCANNER",
    called: str = "GLIOLOOP",
    syntax: str = ExplicitVRLittleEndian,
    sop_class: str = MR,
) -> list[int | None]:
    """Send files byte for byte; the status of each, None where there was no answer."""
    ae = AE(ae_title=calling)
    ae.requested_contexts = [build_context(sop_class, syntax)]
    association = ae.associate("127.0.0.1", port, ae_title=called)
    assert association.is_established
    answers = [association.send_c_store(path) for path in files]
    association.release()
    return [answer.get("Status") for answer in answers]


def dcmtk_program(name: str) -> str:
    """Where DCMTK's program lies; pynetdicom brings programs of the same names into a venv."""
    found = shutil.which(name, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if found is None:
        pytest.skip(f"needs DCMTK's {name}: apt-get install dcmtk")
    return found


def dcmtk(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a DCMTK program, without Nagle's algorithm."""
    return subprocess.run(
        [dcmtk_program(program), *map(str, arguments)],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def storescp(folder: Path, port: int, *options: str) -> Iterator[None]:
    """DCMTK's storescp as a destination that writes what it gets, bit by bit, into a folder."""
    process = subprocess.Popen(
        [dcmtk_program("storescp"), "--output-directory", str(folder), *options, str(port)],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_for_port(port: int, seconds: float = 10) -> None:
    """Return when somebody listens on a port of the loopback."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on {port}")


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something becomes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(0.02)
    return is_so()
