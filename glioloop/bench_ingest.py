"""How fast images are received: this service beside DCMTK's storescp and Orthanc, in one run.

The sender is DCMTK's storescu, all ends without Nagle's algorithm. This service and Orthanc see
each image onto the disk before they answer; storescp does not. Each run starts in an empty folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from glioloop.bench import Figures, Measurement, Options
from glioloop.inference import NICE
from glioloop.private_orthanc import free_port, program, without_nagle
from glioloop.private_service import Service
from study.errors import FailedError

SLICES, SERIES = 155, 3
"""Of a study as BraTS has it: 465 images of 240 x 240 voxels."""
MR = "1.2.840.10008.5.1.4.1.1.4"
ROOT = "1.2.826.0.1.3680043.10.777.5"
START_S, SEND_S = 60.0, 600.0
ASSOCIATIONS = (1, 8)

Target = Callable[[Path], AbstractContextManager[int]]


def measurements(options: Options) -> Iterator[Measurement]:
    """A study's images on one association, and on eight that share them."""
    images = SERIES * (options.grid[2] if options.grid else SLICES)
    for count in ASSOCIATIONS:
        many = "s" if count > 1 else ""
        yield Measurement(
            f"ingest_{count}",
            f"Receiving {images} images on {count} association{many}",
            partial(_compare, count, options),
        )
    yield Measurement(
        "ingest_busy",
        "Receiving them on 8 associations while one process computes on each core, niced",
        partial(_while_computing, options),
    )


def _compare(associations: int, options: Options) -> Figures:
    """Images a second of each, the quickest run of several in turn."""
    with tempfile.TemporaryDirectory(prefix="glioloop-bench-") as folder:
        files = _shared(write_images(Path(folder) / "images", options.grid), associations)
        best = dict.fromkeys(TARGETS, 0.0)
        for _ in range(options.repeats):
            for name, target in TARGETS.items():
                best[name] = max(best[name], _rate(target, files, Path(folder) / name))
    return {
        **{f"{name}_per_s": round(rate, 1) for name, rate in best.items()},
        "ours_to_orthanc": round(best["ours"] / best["orthanc"], 3),
        "ours_to_storescp": round(best["ours"] / best["storescp"], 3),
    }


def _while_computing(options: Options) -> Figures:
    """Images a second of ours, idle and while others compute as an inference does."""
    with tempfile.TemporaryDirectory(prefix="glioloop-bench-") as folder:
        files = _shared(write_images(Path(folder) / "images", options.grid), ASSOCIATIONS[-1])
        idle = busy = 0.0
        for _ in range(options.repeats):
            idle = max(idle, _rate(ours, files, Path(folder) / "ours"))
            with _computing():
                busy = max(busy, _rate(ours, files, Path(folder) / "ours"))
    return {
        "idle_per_s": round(idle, 1),
        "busy_per_s": round(busy, 1),
        "busy_to_idle": round(busy / idle, 3),
    }


def write_images(folder: Path, grid: tuple[int, int, int] | None = None) -> list[Path]:
    """Files of a study of three series.

    Parameters
    ----------
    folder
        Where; made when missing.
    grid
        Columns, rows and slices of each series.
    """
    columns, rows, slices = grid or (240, 240, SLICES)
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 1000, (rows, columns), np.uint16)
    return [
        _write_image(folder, noise + k, series, k)
        for series in range(1, SERIES + 1)
        for k in range(1, slices + 1)
    ]


def _write_image(folder: Path, pixels: NDArray[np.uint16], series: int, k: int) -> Path:
    """One image, with as many elements as a scanner's has."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = MR, f"{ROOT}.{series}.{k}"
    image.StudyDate, image.StudyTime, image.Modality = "20260101", "120000", "MR"
    image.SeriesDescription, image.PatientName, image.PatientID = f"series {series}", "A^B", "BENCH"
    for number in range(60):
        image.add_new((0x0019, 0x1000 + number), "LO", f"value {number}")
    image.StudyInstanceUID, image.SeriesInstanceUID = ROOT, f"{ROOT}.{series}"
    image.SeriesNumber, image.InstanceNumber = series, k
    image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, k], [1, 0, 0, 0, 1, 0]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.PixelSpacing = [1, 1]
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = pixels.astype("<u2").tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{series}-{k:04}.dcm"
    image.save_as(path, enforce_file_format=True)
    return path


def _shared(files: Sequence[Path], associations: int) -> list[Sequence[Path]]:
    """What each association sends."""
    return [files[start::associations] for start in range(associations)]


def _rate(target: Target, files: Sequence[Sequence[Path]], folder: Path) -> float:
    """Images a second that one of them takes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with target(folder) as port:
        began = time.perf_counter()
        send(port, files)
        took = time.perf_counter() - began
    return sum(map(len, files)) / took


def send(port: int, files: Sequence[Sequence[Path]]) -> None:
    """Send files on as many associations at once as there are lists of them.

    Raises
    ------
    FailedError
        If one of them was not taken.
    """
    command = [program("storescu"), "-aet", "BENCH", "-aec", "GLIOLOOP", "--required"]
    senders = [
        subprocess.Popen(
            without_nagle(*command, "127.0.0.1", str(port), *map(str, some)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for some in files
    ]
    for sender in senders:
        _, said = sender.communicate(timeout=SEND_S)
        if sender.returncode:
            raise FailedError(f"storescu ended with {sender.returncode}: {said.decode()[-500:]}")


@contextmanager
def ours(folder: Path) -> Iterator[int]:
    """Port of a service that receives, and does no jobs."""
    settings = {"listener": {"peers": None, "min_free_gib": 0}}
    with Service(folder, free_port(), settings, arguments=("--lanes", "none")) as service:
        yield service.port


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """Port of DCMTK's storescp, a process for each association."""
    port = free_port()
    command = [program("storescp"), "--fork", "-od", str(folder), str(port)]
    with _running(without_nagle(*command), port):
        yield port


@contextmanager
def orthanc(folder: Path) -> Iterator[int]:
    """Port of an Orthanc as Debian has it, without plugins; it sees each file onto the disk."""
    port = free_port()
    configuration = folder / "orthanc.json"
    database = str(folder / "db")
    wanted = {
        "StorageDirectory": database,
        "IndexDirectory": database,
        "SyncStorageArea": True,
        "HttpServerEnabled": False,
        "DicomPort": port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }
    configuration.write_text(json.dumps(wanted))
    with _running(without_nagle(program("Orthanc"), str(configuration)), port):
        yield port


TARGETS: dict[str, Target] = {"storescp": storescp, "orthanc": orthanc, "ours": ours}


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[None]:
    """A program that listens on a port, until the end."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        give_up = time.monotonic() + START_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > give_up:
                raise FailedError(f"{Path(command[2]).name} did not start")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_S)


def _listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _computing() -> Iterator[None]:
    """One process for each core that computes, as polite as an inference (`inference.NICE`)."""
    command = ["nice", "-n", str(NICE), sys.executable, "-c", "while True: sum(range(10**6))"]
    processes = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
