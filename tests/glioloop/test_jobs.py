"""Durable jobs: each effect once, whatever is killed and whenever."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from glioloop import jobs, lanes
from glioloop.board import Board
from study.errors import FailedError, RefusedError

TESTS = Path(__file__).parents[1]

SCRIPT = """
import os, sys, time
from itertools import pairwise
from pathlib import Path
from glioloop import jobs
folder = Path(sys.argv[1])
def log(*words):
    with (folder / "log").open("a") as file:
        file.write(" ".join(map(str, words)) + "\\n"); file.flush(); os.fsync(file.fileno())
def segment(n): time.sleep(0.03); log("segment", n); return f"r{n}"
def send(result):
    if (folder / "down").exists(): raise ConnectionRefusedError("the archive is down")
    log("send", result)
def infer(n): jobs.start("deliver", jobs.step(segment, n), job_id=f"deliver:{n}")
def deliver(result): jobs.insist(send, result, first_s=0.2, longest_s=0.5, for_s=600)
def fit(n, patient): log("begin", patient, n); time.sleep(0.05); log("end", patient, n)
def adapt(n, patient): jobs.step(fit, n, patient)
jobs.register("infer", "infer", infer)
jobs.register("deliver", "deliver", deliver)
jobs.register("adapt", "adapt", adapt)
jobs.run(f"sqlite:///{folder / 'jobs.db'}")
for n in range(int(sys.argv[2])):
    jobs.start("infer", n, job_id=f"infer:{n}")
    jobs.start("adapt", n, f"p{n % 3}", job_id=f"adapt:{n}", serial=f"p{n % 3}")
log("queued")
time.sleep(600)
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A function that registers jobs, starts the engine, and says the database's URL."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"

    def begin(**bodies: Callable[..., None]) -> str:
        for name, body in bodies.items():
            jobs.register(name, name, body)
        jobs.run(url)
        return url

    yield begin
    jobs.stop()


def until(done: Callable[[], object], seconds: float = 60.0) -> None:
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, "it never came to be"
        time.sleep(0.05)


def test_no_job_is_lost_however_often_the_process_is_killed(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(SCRIPT)
    (tmp_path / "down").touch()
    count, rng = 9, random.Random(7)  # noqa: S311
    log = tmp_path / "log"

    def lines() -> list[str]:
        return log.read_text().splitlines() if log.exists() else []

    kills = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "run.py"), str(tmp_path), str(count)],
            env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        )
        try:
            if kills == 3:
                until(lambda: len({line for line in lines() if line.startswith("send")}) == count)
                until(lambda: len({line for line in lines() if line.startswith("end")}) == count)
                break
            before = lines().count("queued")
            until(lambda n=before: lines().count("queued") > n)
            time.sleep(rng.uniform(0.1, 1.5))
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        kills += 1
        if kills == 2:
            (tmp_path / "down").unlink()
    done = Counter(line for line in lines() if line.startswith(("segment", "send")))
    for n in range(count):
        assert done[f"segment {n}"] >= 1
        assert done[f"send r{n}"] >= 1
    # What is killed between an effect and its record is done twice: one of each kind for a kill.
    assert sum(done.values()) <= 2 * count + 2 * kills
    _assert_one_at_a_time(lines())


def _assert_one_at_a_time(lines: list[str]) -> None:
    """Adaptations of one patient never overlap; one that was killed begins anew."""
    for patient in ("p0", "p1", "p2"):
        events = [w for w in (line.split() for line in lines) if len(w) == 3 and w[1] == patient]
        for before, after in pairwise(events):
            if before[0] == "begin":
                assert after[2] == before[2]


def test_one_id_runs_once(engine: Callable[..., str]) -> None:
    done: list[str] = []
    url = engine(infer=lambda study: jobs.step(done.append, study))
    for _ in range(3):
        jobs.start("infer", "1.2", job_id="infer:1.2")
    until(lambda: jobs.ended("infer:1.2"))
    jobs.start("infer", "1.2", job_id="infer:1.2")
    time.sleep(1.0)
    assert done == ["1.2"]
    board = Board(url)
    assert [(job.id, job.kind, job.state) for job in board.listing()] == [
        ("infer:1.2", "infer", "SUCCESS")
    ]
    board.close()


def test_what_is_down_is_tried_again_and_told(engine: Callable[..., str]) -> None:
    answers: list[Exception | None] = [OSError("refused"), OSError("refused"), None]
    told: list[str] = []

    def send(result: str) -> str:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return f"{result} is there"

    def deliver(result: str) -> None:
        told.append(jobs.insist(send, result, first_s=0.05, longest_s=0.1, for_s=60))

    url = engine(deliver=deliver)
    jobs.start("deliver", "r", job_id="deliver:r")
    until(lambda: told)
    assert told == ["r is there"]
    board = Board(url)
    job, steps = board.show("deliver:r")
    board.close()
    assert job.note == "again in 0.1 s: refused"
    assert steps.count("send") == 3


def test_what_stays_down_is_given_up_after_its_time(engine: Callable[..., str]) -> None:
    def send(_result: str) -> None:
        raise OSError("refused")

    url = engine(deliver=lambda r: jobs.insist(send, r, first_s=0.05, longest_s=0.05, for_s=0.2))
    jobs.start("deliver", "r", job_id="deliver:r")
    until(lambda: jobs.ended("deliver:r"))
    board = Board(url)
    (job,) = board.listing()
    board.close()
    assert job.state == "ERROR"
    assert "given up after" in job.error
    assert "refused" in job.error


def test_a_foreseen_failure_is_recorded_as_it_was_said(engine: Callable[..., str]) -> None:
    caught: list[str] = []

    def step() -> None:
        raise FailedError("the device is gone")

    def infer() -> None:
        try:
            jobs.step(step)
        except jobs.STEP_FAILURES as error:
            caught.append(str(error))

    engine(infer=infer)
    jobs.start("infer", job_id="infer:1")
    until(lambda: caught)
    assert caught == ["the device is gone"]


def test_an_unforeseen_failure_is_recorded_without_its_message(
    engine: Callable[..., str], tmp_path: Path
) -> None:
    def quote_a_header() -> None:
        raise ValueError("Doe^John is no valid PN")

    url = engine(infer=lambda: jobs.step(quote_a_header))
    jobs.start("infer", job_id="infer:1")
    until(lambda: jobs.ended("infer:1"))
    board = Board(url)
    (job,) = board.listing()
    board.close()
    assert "quote_a_header failed: ValueError at" in job.error
    for file in tmp_path.iterdir():
        assert b"Doe^John" not in file.read_bytes()


def test_a_job_that_failed_runs_again_when_a_person_asks(engine: Callable[..., str]) -> None:
    broken = [True]

    def step() -> str:
        if broken:
            raise FailedError("broken")
        return "fine"

    url = engine(adapt=lambda: jobs.note(jobs.step(step)))
    jobs.start("adapt", job_id="adapt:1", serial="p")
    until(lambda: jobs.ended("adapt:1"))
    broken.clear()
    board = Board(url)
    board.retry("adapt:1")
    until(lambda: board.show("adapt:1")[0].state == "SUCCESS")
    assert board.show("adapt:1")[0].note == "fine"
    board.close()


def test_the_board_cancels_and_refuses_what_makes_no_sense(engine: Callable[..., str]) -> None:
    gate: list[bool] = []
    after: list[bool] = []

    def wait() -> None:
        until(lambda: gate)

    def infer() -> None:
        jobs.step(wait)
        jobs.step(after.append, True)

    url = engine(infer=infer)
    jobs.start("infer", job_id="infer:1")
    board = Board(url)
    until(lambda: board.listing()[0].state == "PENDING")
    with pytest.raises(RefusedError, match="has not ended: it is PENDING"):
        board.retry("infer:1")
    with pytest.raises(RefusedError, match="there is no job infer:2"):
        board.cancel("infer:2")
    board.cancel("infer:1")
    gate.append(True)
    until(lambda: board.listing()[0].state == "CANCELLED")
    time.sleep(0.5)
    board.close()
    assert after == []


def test_a_person_queues_a_job_from_outside(engine: Callable[..., str]) -> None:
    done: list[tuple[str, int]] = []
    url = engine(infer=lambda study, number: done.append((study, number)))
    board = Board(url)
    board.start("infer", "1.2", 3, job_id="infer:1.2:3")
    until(lambda: done)
    board.close()
    assert done == [("1.2", 3)]


def test_the_database_is_durable_and_holds_json(engine: Callable[..., str], tmp_path: Path) -> None:
    engine(infer=lambda _study: None)
    jobs.start("infer", "1.2", job_id="infer:1.2")
    until(lambda: jobs.ended("infer:1.2"))
    with sqlite3.connect(tmp_path / "jobs.db") as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)
        (kinds,) = zip(*database.execute("select serialization from workflow_status"), strict=True)
        versions = database.execute("select application_version from workflow_status").fetchall()
    assert set(kinds) == {"portable_json"}
    assert versions == [(lanes.PROTOCOL,)]


def test_a_second_process_of_one_name_waits(engine: Callable[..., str], tmp_path: Path) -> None:
    engine(infer=lambda _study: None)
    script = (
        "import sys; from glioloop import jobs; print('waits', flush=True);"
        "jobs.run(sys.argv[1]); print('runs', flush=True)"
    )
    second = subprocess.Popen(
        [sys.executable, "-c", script, f"sqlite:///{tmp_path / 'jobs.db'}"],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert second.stdout is not None
    assert second.stdout.readline() == "waits\n"
    time.sleep(3)
    running = second.poll() is None
    second.kill()
    rest, _ = second.communicate()
    assert running
    assert "runs" not in rest


def test_jobs_in_another_kind_of_database_are_refused() -> None:
    with pytest.raises(RefusedError, match="jobs_url begins with sqlite:/// or postgresql://"):
        jobs.run("mysql://db/jobs")


def test_a_board_without_jobs_says_so(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="was the service started"):
        Board(f"sqlite:///{tmp_path / 'jobs.db'}")


def test_a_job_that_took_too_many_processes_down_is_said_until_it_is_dismissed(
    engine: Callable[..., str],
) -> None:
    url = engine(infer=lambda _study: None)
    jobs.start("infer", "1.2.3", job_id="infer:1.2.3:abc")
    until(lambda: jobs.ended("infer:1.2.3:abc"))
    assert jobs.given_up() == []
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        database.execute("update workflow_status set status = ?", (jobs.GIVEN_UP,))
    assert jobs.given_up() == ["infer:1.2.3:abc"]
    assert jobs.given_up() == ["infer:1.2.3:abc"]
    jobs.dismiss(["infer:1.2.3:abc"])
    assert jobs.given_up() == []


def test_a_step_that_meets_an_outage_is_repeated_until_it_is_over(
    engine: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "OUTAGE_FIRST_S", 0.1)
    called: list[int] = []

    def write(study: int) -> str:
        called.append(study)
        if len(called) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return "written"

    done: list[str] = []
    url = engine(infer=lambda study: done.append(jobs.step(write, study)))
    jobs.start("infer", 1, job_id="infer:1")
    until(lambda: jobs.ended("infer:1"))
    assert (called, done) == ([1, 1, 1], ["written"])
    with closing(Board(url)) as board:
        job, _ = board.show("infer:1")
    assert job.state == "SUCCESS"
    assert job.note.startswith("again in 0.2 s: write failed: OSError at ")


def test_an_outage_that_lasts_is_a_failure_at_last(
    engine: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "OUTAGE_FIRST_S", 0.1)
    monkeypatch.setattr(jobs, "OUTAGE_FOR_S", 0.25)
    called: list[int] = []

    def write(study: int) -> None:
        called.append(study)
        raise OSError(errno.ENOSPC, "No space left on device")

    def infer(study: int) -> None:
        with pytest.raises(FailedError, match=r"given up after .* hours: write failed: OSError"):
            jobs.step(write, study)

    url = engine(infer=infer)
    jobs.start("infer", 1, job_id="infer:1")
    until(lambda: jobs.ended("infer:1"))
    assert len(called) == 3  # at once, after 0.1 s and after 0.3 s
    with closing(Board(url)) as board:
        assert board.show("infer:1")[0].state == "SUCCESS"


def test_a_destination_that_is_down_holds_up_no_other(engine: Callable[..., str]) -> None:
    most = lanes.LANES["deliver"]["partition_worker_concurrency"]
    ending, came = threading.Event(), threading.Event()

    def deliver(where: str) -> None:
        came.set() if where == "up" else ending.wait(60)

    engine(deliver=deliver)
    for n in range(most + 1):
        jobs.start("deliver", "down", job_id=f"deliver:{n}:down", serial="down")
    jobs.start("deliver", "up", job_id="deliver:0:up", serial="up")
    assert came.wait(30)
    ending.set()
    until(lambda: all(jobs.ended(f"deliver:{n}:down") for n in range(most + 1)))


def test_all_jobs_about_a_study_or_a_result_are_removed(engine: Callable[..., str]) -> None:
    url = engine(infer=lambda _: None, deliver=lambda _: None)
    ids = ["infer:1.2:abc", "answer:1.2:abc", "deliver:r1:pacs", "commit:r1:pacs"]
    for job_id in (*ids, "infer:1.20:abc", "deliver:r12:pacs"):
        kind = job_id.partition(":")[0].replace("answer", "deliver").replace("commit", "deliver")
        jobs.start(kind, "x", job_id=job_id)
        until(lambda job_id=job_id: jobs.ended(job_id))
    with closing(Board(url)) as board:
        assert board.end(["1.2", "r1"]) == 4
        assert {job.id for job in board.listing()} == {"infer:1.20:abc", "deliver:r12:pacs"}
