"""Load: many senders, many studies, large series, and a soak; what is counted goes into a table.

The service is a process of its own, with a stand-in for the network; senders and archive are DCMTK.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from dicom_network import storescp, wait_for_port
from pydicom.filereader import read_file_meta_info
from small_world import write_study

from glioloop.bench_ingest import send, write_images
from glioloop.ledger import Ledger
from glioloop.ledger_schema import StudyState
from glioloop.results import SEG_SOP_CLASS
from glioloop.settings import environment_without_settings
from load.measures import Taken, write_row, write_sizes

pytestmark = [pytest.mark.load, pytest.mark.timeout(7200)]

SCRIPT = Path(__file__).parents[1] / "node_process.py"
SOAK = int(os.environ.get("LOAD_STUDIES", "1000"))
"""Studies of the soak."""
AT_ONCE = 4
"""Senders of the soak."""
SETTLED_S = 5.0
"""After which threads of associations that ended are gone (s)."""
MIB_MORE, THREADS_MORE, HANDLES_MORE = 48, 12, 12
"""How much more a service may have after a load than it had when it was warm: pools of connections
and threads fill once, what leaks grows with each study."""


@dataclass
class Running:
    """A service that runs, and its ledger."""

    process: subprocess.Popen[bytes]
    port: int
    ledger: Ledger
    archive: Path

    def taken(self) -> Taken:
        """What it has, once it has come to rest."""
        time.sleep(SETTLED_S)
        return Taken.of(self.process.pid)

    def until(self, done: Callable[[], object], seconds: float) -> None:
        """Wait."""
        give_up = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None
            assert time.monotonic() < give_up, [(s.state, s.reason) for s in self.ledger.studies()]
            time.sleep(0.2)


@pytest.fixture
def service(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Running]:
    """A service, and an archive that takes what it sends."""
    archive = tmp_path / "archive"
    archive.mkdir()
    pacs, port = free_port(), free_port()
    settings = {
        "data": str(tmp_path / "data"),
        "log_level": "WARNING",
        "listener": {
            "host": "127.0.0.1",
            "port": port,
            "min_free_gib": 0,
            "limits": {
                "associations": 60,
                "associations_per_address": 60,
                "associations_per_minute": 100_000,
                "instances_per_minute": 10_000_000,
            },
        },
        "web": {"port": free_port()},
        "completeness": {"quiet_seconds": 2, "incomplete_after_minutes": 60},
        "destinations": [{"name": "pacs", "ae_title": "P", "host": "127.0.0.1", "port": pacs}],
    }
    config = tmp_path / "glioloop.yaml"
    config.write_text(yaml.safe_dump(settings))
    with ExitStack() as at_the_end:
        at_the_end.enter_context(storescp(archive, pacs, "--fork"))
        log = at_the_end.enter_context((tmp_path / "log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "serve", "--config", str(config)],
            env=environment_without_settings(),
            stdout=log,
            stderr=log,
        )
        at_the_end.callback(process.wait)
        at_the_end.callback(process.send_signal, signal.SIGKILL)
        wait_for_port(port, 300)
        ledger = Ledger(tmp_path / "data" / "ledger.db")
        at_the_end.callback(ledger.close)
        yield Running(process, port, ledger, archive)


def assert_no_growth(before: Taken, after: Taken) -> None:
    assert after.mib <= before.mib + MIB_MORE
    assert after.threads <= before.threads + THREADS_MORE
    assert after.handles <= before.handles + HANDLES_MORE


def lost_of(service: Running, files: Sequence[Path], study_uid: str) -> int:
    """How many images were sent and are not in the ledger, with a file."""
    kept = [row.path for row in service.ledger.instances(study_uid)]
    assert all(Path(str(path)).is_file() for path in kept)
    return len(files) - len(kept)


@pytest.mark.parametrize("associations", [1, 10, 50])
def test_many_associations_at_once_lose_nothing(
    service: Running, tmp_path: Path, associations: int
) -> None:
    warm_up(service, tmp_path / "warm")
    before = service.taken()
    files = write_images(tmp_path / "images", (240, 240, 155))
    began = time.monotonic()
    send(service.port, [files[start::associations] for start in range(associations)])
    seconds = time.monotonic() - began
    after = service.taken()
    lost = lost_of(service, files, "1.2.826.0.1.3680043.10.777.5")
    what = f"one study on {associations} association{'s' if associations > 1 else ''}"
    write_row(what, len(files), lost, seconds, before, after)
    assert lost == 0
    assert_no_growth(before, after)


def test_a_series_of_2000_images_loses_nothing(service: Running, tmp_path: Path) -> None:
    warm_up(service, tmp_path / "warm")
    before = service.taken()
    files = write_images(tmp_path / "images", (240, 240, 667))[:2000]
    began = time.monotonic()
    send(service.port, [files])
    seconds = time.monotonic() - began
    after = service.taken()
    lost = lost_of(service, files, "1.2.826.0.1.3680043.10.777.5")
    write_row("2,000 images on one association", len(files), lost, seconds, before, after)
    assert lost == 0
    assert_no_growth(before, after)


def test_twenty_studies_at_once_have_one_result_each(service: Running, tmp_path: Path) -> None:
    warm_up(service, tmp_path / "warm")
    before = service.taken()
    studies = [write_study(tmp_path / "images", number) for number in range(1, 21)]
    began = time.monotonic()
    send(service.port, [study.every() for study in studies])
    sent = time.monotonic() - began
    service.until(lambda: delivered(service) == 21, 1200)
    after = service.taken()
    lost = sum(lost_of(service, study.every(), study.uid) for study in studies)
    write_row("20 studies at once, small ones", 20 * 36, lost, sent, before, after)
    assert lost == 0
    assert len(service.ledger.results()) == 21
    assert segs(service) == 21
    assert_no_growth(before, after)


def test_a_soak_of_studies_lets_nothing_grow(service: Running, tmp_path: Path) -> None:
    """Each is received, segmented by the stand-in, encoded and delivered."""
    warm_up(service, tmp_path / "warm", 10)
    before = service.taken()
    began = time.monotonic()

    def one(number: int) -> None:
        folder = tmp_path / f"study-{number}"
        send(service.port, [write_study(folder, number).every()])
        shutil.rmtree(folder)

    with ThreadPoolExecutor(AT_ONCE) as senders:
        assert len(list(senders.map(one, range(1, SOAK + 1)))) == SOAK
    service.until(lambda: delivered(service) == SOAK + 10, 5 * SOAK + 60)
    seconds = time.monotonic() - began
    after = service.taken()
    lost = 36 * (SOAK + 10) - sum(
        len(service.ledger.instances(study.study_uid)) for study in service.ledger.studies()
    )
    what = f"soak: {SOAK:,} small studies, until the last is delivered"
    write_row(what, 36 * SOAK, lost, seconds, before, after)
    data = tmp_path / "data"
    studies = SOAK + 10
    write_sizes(
        {
            "ledger, for an image": size_of(data, "ledger.db*") // (36 * studies),
            "jobs, for a study that is segmented and delivered": size_of(data, "jobs.db*")
            // studies,
        }
    )
    assert lost == 0
    assert len(service.ledger.results()) == segs(service) == SOAK + 10
    assert_no_growth(before, after)


def warm_up(service: Running, folder: Path, studies: int = 1) -> None:
    """Let a service load what it loads once."""
    for number in range(studies):
        send(service.port, [write_study(folder, 900_000 + number).every()])
    service.until(lambda: delivered(service) == studies, 300)


def delivered(service: Running) -> int:
    """How many studies have been delivered."""
    states = [study.state for study in service.ledger.studies()]
    return states.count(StudyState.DELIVERED)


def size_of(folder: Path, pattern: str) -> int:
    """Bytes of some files."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


def segs(service: Running) -> int:
    """How many SEGs came to the archive."""
    metas = [read_file_meta_info(path) for path in service.archive.iterdir()]
    return [meta.MediaStorageSOPClassUID for meta in metas].count(SEG_SOP_CLASS)
