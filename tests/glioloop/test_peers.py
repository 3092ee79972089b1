"""Nodes that share the jobs of a real PostgreSQL: killed, cut off, and the database crashed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import postgres
import psycopg
import pytest
from dicom_network import wait_until

from glioloop import inspection, peers, settings
from glioloop.leader import Leader
from study.errors import FailedError, RefusedError

TESTS = Path(__file__).parents[1]

SCRIPT = """
import os, sys, time
from pathlib import Path
from glioloop import jobs, peers
peers.GRACE_S, peers.EVERY_S, peers.AWAY_PAUSE_S = 2.0, 0.5, 0.2
folder, url, node, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
def log(*words):
    with (folder / "log").open("a") as file:
        file.write(" ".join(map(str, words)) + "\\n"); file.flush(); os.fsync(file.fileno())
def prepare(n): log("prepare", n, node); return n
def compute(n):
    log("compute", n, node)
    while (folder / "slow").exists(): time.sleep(0.05)
    jobs.insist_mine()
    log("store", n, node)
def infer(n):
    jobs.step(prepare, n); jobs.step(compute, n); jobs.start("deliver", n, job_id=f"deliver:{n}")
def send(n):
    time.sleep(0.02); jobs.insist_mine(); log("send", n, node)
def deliver(n): jobs.insist(send, n, first_s=0.2, longest_s=0.5, for_s=600)
jobs.register("infer", "infer", infer)
jobs.register("deliver", "deliver", deliver)
jobs.run(url, node)
for n in range(count): jobs.start("infer", n, job_id=f"infer:{n}")
log("runs", node)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(free_port: Callable[[], int]) -> Iterator[postgres.Server]:
    with postgres.cluster(free_port()) as found:
        yield found


@dataclass
class Nodes:
    """Processes on one database, and what they did."""

    folder: Path
    url: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, count: int = 0, prefix: tuple[str, ...] = ()) -> None:
        script = str(self.folder / "run.py")
        command = [*prefix, sys.executable, script, str(self.folder), self.url]
        with (self.folder / f"{name}.said").open("ab") as said:
            self.processes[name] = subprocess.Popen(
                [*command, name, str(count)],
                env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
                stderr=said,
            )

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()

    def done(self, *words: str) -> list[str]:
        """Lines of the log that begin so."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split()[: len(words)] == list(words)]

    def until(self, count: int, *words: str, seconds: float = 90.0) -> None:
        give_up = time.monotonic() + seconds
        while len(self.done(*words)) < count:
            said = [path.read_text()[-2000:] for path in self.folder.glob("*.said")]
            assert time.monotonic() < give_up, f"no {count} x {words}: {self.done()} {said}"
            time.sleep(0.05)


@pytest.fixture
def nodes(server: postgres.Server, tmp_path: Path) -> Iterator[Nodes]:
    """Nodes on a database of their own."""
    name = f"jobs_{time.time_ns()}"
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute(f"create database {name}")  # type: ignore[call-overload]
    (tmp_path / "run.py").write_text(SCRIPT)
    made = Nodes(tmp_path, server.url.replace("/postgres", f"/{name}"))
    with ExitStack() as at_the_end:
        at_the_end.callback(lambda: [made.end(name) for name in list(made.processes)])
        yield made


@contextmanager
def two_hosts(*names: str) -> Iterator[list[tuple[str, ...]]]:
    """Two network namespaces with a cable between them; what runs a program in each."""
    run = partial(subprocess.run, check=True)
    with ExitStack() as at_the_end:
        prefixes = []
        for name in names:
            run(["ip", "netns", "add", name])
            at_the_end.callback(run, ["ip", "netns", "del", name])
            prefixes.append(("ip", "netns", "exec", name))
        run(["ip", "link", "add", "cable", "netns", names[0], "type", "veth",
             "peer", "name", "cable", "netns", names[1]])  # fmt: skip
        for number, prefix in enumerate(prefixes, 1):
            run([*prefix, "ip", "addr", "add", f"10.213.7.{number}/24", "dev", "cable"])
            run([*prefix, "ip", "link", "set", "lo", "up"])
            run([*prefix, "ip", "link", "set", "cable", "up"])
        yield prefixes


@pytest.mark.slow
def test_a_host_whose_cable_is_pulled_is_replaced_and_does_nothing_twice_when_it_is_back(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """Needs root: it makes two hosts of this machine, with a network of their own."""
    (tmp_path / "run.py").write_text(SCRIPT)
    names = [f"glioloop-{os.getpid()}-{which}" for which in ("near", "far")]
    with (
        two_hosts(*names) as (near, far),
        postgres.cluster(free_port(), "10.213.7.1", near) as database,
        ExitStack() as at_the_end,
    ):
        nodes = Nodes(tmp_path, database.url)
        at_the_end.callback(lambda: [nodes.end(name) for name in list(nodes.processes)])
        (tmp_path / "slow").touch()
        nodes.start("far", 1, far)
        nodes.until(1, "compute", "0", "far")
        nodes.start("near", 0, near)
        nodes.until(1, "runs", "near")
        subprocess.run([*near, "ip", "link", "set", "cable", "down"], check=True)
        (tmp_path / "slow").unlink()  # the far host ends its computation, and cannot ask
        nodes.until(1, "send", "0", "near")
        subprocess.run([*near, "ip", "link", "set", "cable", "up"], check=True)
        nodes.start("later", 3, near)
        nodes.until(3, "send")
        time.sleep(10)
        assert nodes.processes["far"].poll() is None
        assert counted(nodes, "store") == counted(nodes, "send") == {0: 1, 1: 1, 2: 1}
        assert nodes.done("compute", "0") == ["compute 0 far", "compute 0 near"]
        assert nodes.done("store", "0") == ["store 0 near"]


def counted(nodes: Nodes, what: str) -> dict[int, int]:
    """How often something was done to each number."""
    return Counter(int(line.split()[1]) for line in nodes.done(what))


def test_the_jobs_of_a_killed_node_run_elsewhere_without_anybody_acting(nodes: Nodes) -> None:
    (nodes.folder / "slow").touch()
    nodes.start("a", 2)
    nodes.until(1, "compute", "0", "a")
    nodes.start("b")
    nodes.until(1, "compute", "1", "b")
    nodes.end("a")
    (nodes.folder / "slow").unlink()
    nodes.until(2, "send")
    assert counted(nodes, "prepare") == {0: 1, 1: 1}
    assert nodes.done("compute", "0") == ["compute 0 a", "compute 0 b"]
    assert nodes.done("store", "0") == ["store 0 b"]
    assert counted(nodes, "store") == counted(nodes, "send") == {0: 1, 1: 1}


def test_a_node_that_comes_back_too_late_stores_and_delivers_nothing(nodes: Nodes) -> None:
    (nodes.folder / "slow").touch()
    nodes.start("a", 1)
    nodes.until(1, "compute", "0", "a")
    # What a network that is cut looks like from the database: its sessions are gone, it is not.
    nodes.processes["a"].send_signal(signal.SIGSTOP)
    with psycopg.connect(nodes.url, autocommit=True) as session:
        session.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    nodes.start("b")
    nodes.until(1, "compute", "0", "b")
    (nodes.folder / "slow").unlink()
    nodes.until(1, "send", "0", "b")
    nodes.processes["a"].send_signal(signal.SIGCONT)
    # It lives, and takes part again: the next job may be anybody's.
    nodes.start("c", 2)
    nodes.until(2, "send")
    time.sleep(3)
    assert counted(nodes, "store") == counted(nodes, "send") == {0: 1, 1: 1}
    assert nodes.done("store", "0") == ["store 0 b"]


def test_a_database_that_crashes_in_the_middle_of_work_loses_and_repeats_nothing(
    nodes: Nodes, server: postgres.Server
) -> None:
    (nodes.folder / "slow").touch()
    nodes.start("a", 6)
    nodes.start("b")
    nodes.until(2, "compute")
    server.crash()
    (nodes.folder / "slow").unlink()
    time.sleep(3)
    server.start()
    nodes.until(6, "send")
    time.sleep(2)
    assert counted(nodes, "send") == dict.fromkeys(range(6), 1)
    assert counted(nodes, "store") == dict.fromkeys(range(6), 1)


def test_a_second_node_of_one_name_waits_for_the_first(nodes: Nodes) -> None:
    nodes.start("a", 1)
    nodes.until(1, "send")
    first = nodes.processes["first"] = nodes.processes.pop("a")
    nodes.start("a", 2)
    give_up = time.monotonic() + 60
    while b"this one waits to take its place" not in (nodes.folder / "a.said").read_bytes():
        assert time.monotonic() < give_up
        time.sleep(0.1)
    assert len(nodes.done("runs", "a")) == 1
    assert first.poll() is None
    nodes.end("first")
    nodes.until(2, "send")
    assert len(nodes.done("runs", "a")) == 2


def test_one_of_several_leads_and_another_one_when_it_is_gone(nodes: Nodes) -> None:
    one, other = Leader(nodes.url), Leader(nodes.url)
    assert [one.leads(), other.leads(), one.leads()] == [True, False, True]
    with psycopg.connect(nodes.url, autocommit=True) as session:
        session.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
            " and database = (select oid from pg_database where datname = current_database())"
        )
    assert wait_until(other.leads)  # once the database has ended the session that held the lock
    assert not one.leads()
    other.close()
    assert one.leads()
    one.close()


def test_nobody_leads_while_the_database_is_away(free_port: Callable[[], int]) -> None:
    assert not Leader(f"postgresql://glioloop@127.0.0.1:{free_port()}/jobs").leads()
    assert Leader("sqlite:///jobs.db").leads()


def test_a_database_that_is_down_is_said_without_its_password(
    free_port: Callable[[], int],
) -> None:
    with pytest.raises(FailedError, match="look whether it runs, and at jobs_url") as failed:
        peers.Node(f"postgresql://glioloop:hidden@127.0.0.1:{free_port()}/jobs", "a")
    assert "hidden" not in str(failed.value)
    with pytest.raises(RefusedError, match="jobs_url begins with sqlite:/// or postgresql://"):
        peers.connect("mysql://somewhere/jobs")


def database_finding(url: str) -> tuple[bool, str]:
    found = inspection.inspect(settings.load(data=Path("/nowhere"), jobs_url=url))
    return next((one.fine, one.detail) for one in found if one.what == "database")


def test_the_check_looks_at_the_shared_database_and_its_clock(
    server: postgres.Server, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "_weights", lambda *_: "")
    monkeypatch.setattr(inspection, "_processor", lambda *_: "")
    monkeypatch.setattr(inspection, "_disk", lambda *_: "")
    fine, detail = database_finding(server.url)
    assert fine
    assert "answers; the clocks are 0." in detail
    fine, detail = database_finding(f"postgresql://glioloop@127.0.0.1:{free_port()}/jobs")
    assert not fine
    assert "cannot be reached" in detail
    monkeypatch.setattr(peers.time, "time", lambda: datetime.now(UTC).timestamp() + 60)
    fine, detail = database_finding(server.url)
    assert not fine
    assert "clock is +60." in detail
