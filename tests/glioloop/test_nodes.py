"""Two listeners and two workers as processes on one PostgreSQL: killed, and counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import postgres
import pytest
import yaml
from dicom_network import send, wait_for_port
from small_world import write_study

from glioloop.ledger import Ledger
from glioloop.ledger_schema import StudyState
from listener import scp
from listener.inbox import Inbox

SCRIPT = Path(__file__).parents[1] / "node_process.py"


@dataclass
class Site:
    """A database, a data folder, an archive that counts, and nodes."""

    folder: Path
    url: str
    pacs: int
    archived: list[str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, command: str, node: str, lanes: str, port: int = 0, web: int = 0) -> None:
        archive = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": self.pacs}
        settings = {
            "data": str(self.folder / "data"),
            "jobs_url": self.url,
            "listener": {"host": "127.0.0.1", "port": port, "min_free_gib": 0},
            "web": {"port": web},
            "completeness": {"quiet_seconds": 2, "incomplete_after_minutes": 2},
            "delivery": {"first_pause_seconds": 0.2, "longest_pause_minutes": 0.01},
            "destinations": [archive],
        }
        path = self.folder / f"{node}.yaml"
        path.write_text(yaml.safe_dump(settings))
        with (self.folder / f"{node}.log").open("ab") as log:
            self.processes[node] = subprocess.Popen(
                [sys.executable, str(SCRIPT), command, "--config", str(path), "--node", node,
                 "--lanes", lanes],
                env={k: v for k, v in os.environ.items() if not k.startswith("GLIOLOOP_")},
                stdout=log,
                stderr=log,
            )  # fmt: skip

    def kill(self, node: str) -> None:
        process = self.processes.pop(node)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def said(self, node: str, words: str) -> bool:
        return words in (self.folder / f"{node}.log").read_text()

    def until(self, done: Callable[[], object], seconds: float = 300.0) -> None:
        give_up = time.monotonic() + seconds
        while not done():
            said = [log.read_text()[-1500:] for log in self.folder.glob("*.log")]
            assert time.monotonic() < give_up, said
            time.sleep(0.1)


@pytest.fixture
def site(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Site]:
    archived: list[str] = []

    def stored(received: object) -> None:
        if received.modality == "SEG":  # type: ignore[attr-defined]
            archived.append(received.sop_instance_uid)  # type: ignore[attr-defined]

    with ExitStack() as at_the_end:
        database = at_the_end.enter_context(postgres.cluster(free_port()))
        config = scp.ScpConfig(host="127.0.0.1", port=0, ae_titles=("PACS",))
        pacs = scp.start(config, Inbox(tmp_path / "archive", min_free_bytes=0), stored)
        at_the_end.callback(pacs.stop)
        made = Site(tmp_path, database.url, pacs.port, archived)
        at_the_end.callback(lambda: [made.kill(node) for node in list(made.processes)])
        yield made


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_listeners_and_workers_are_killed_and_each_study_has_one_result(
    site: Site, free_port: Callable[[], int], tmp_path: Path
) -> None:
    ports = free_port(), free_port()
    for number, port in enumerate(ports, 1):
        site.start("serve", f"listener-{number}", "none", port, free_port())
        site.start("work", f"worker-{number}", "infer,adapt,deliver")
    for port in ports:
        wait_for_port(port, 240)
    studies = [write_study(tmp_path / "images", number) for number in range(1, 6)]
    for study in studies[:3]:
        # The series of one study come to both listeners, in turn.
        for turn, role in enumerate(study.files):
            answers = send(ports[turn % 2], study.every(role))
            assert set(answers) == {0}
    ledger = Ledger(site.url)
    site.until(ledger.runs)
    site.kill("worker-1")  # in the middle of the first
    leading = next(n for n in ("listener-1", "listener-2") if site.said(n, "this service leads"))
    site.kill(leading)
    left = ports[0] if leading == "listener-2" else ports[1]
    for study in studies[3:]:
        assert set(send(left, study.every())) == {0}
    delivered = StudyState.DELIVERED
    site.until(lambda: [s.state for s in ledger.studies()] == [delivered] * 5)
    results = ledger.results()
    runs = Counter(run.result_id for run in ledger.runs())
    ledger.close()
    assert sorted(r.study_uid for r in results) == sorted(s.uid for s in studies)
    assert sorted(site.archived) == sorted(r.sop_instance_uid for r in results)
    # Only what was being computed when its worker was killed was computed once more.
    assert sorted(runs.values())[:-1] == [1] * 4
    assert max(runs.values()) <= 2
