"""Which step a process died in, and what is done about it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from small_dicom import ARRIVED_MR

from glioloop import overview, settings, watch
from glioloop.site import open_site
from glioloop.watch import Watch
from study.errors import FailedError, OutageError

TESTS = Path(__file__).parents[1]

DYING = """
import os, sys, threading, time
from pathlib import Path
from glioloop.watch import Watch
watch, keys, both = Watch(Path(sys.argv[1])), sys.argv[2:], threading.Barrier(len(sys.argv) - 2)
def step():
    both.wait(10)
    time.sleep(0.2)
    os._exit(9)
for key in keys:
    threading.Thread(target=watch.run, args=(key, step)).start()
"""


def die_in(folder: Path, *keys: str) -> None:
    """A process that dies while some steps run in it."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(folder), *keys],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        check=False,
        timeout=60,
    )
    assert done.returncode == 9
    Watch(folder)


def left_by(folder: Path, *keys: str) -> None:
    """What a process leaves that dies while some steps run in it."""
    for key in keys:
        (folder / f"{watch._hashed(key)}{watch.RUNNING}").write_text(key)
    Watch(folder)


def nothing() -> str:
    return "done"


def test_a_step_that_ends_its_process_alone_is_parked_with_its_reason(tmp_path: Path) -> None:
    die_in(tmp_path, "infer:1 segment")
    for _ in range(watch.MOST - 1):
        left_by(tmp_path, "infer:1 segment")
    with pytest.raises(FailedError, match=r"ended the whole process 5 times.*jobs retry"):
        Watch(tmp_path).run("infer:1 segment", nothing)
    assert Watch(tmp_path).run("infer:1 fail", nothing) == "done"
    assert Watch(tmp_path).run("infer:2 segment", nothing) == "done"


def test_once_less_is_not_enough_and_a_good_end_clears_it(tmp_path: Path) -> None:
    for _ in range(watch.MOST - 1):
        left_by(tmp_path, "infer:1 segment")
    assert Watch(tmp_path).run("infer:1 segment", nothing) == "done"
    assert list(tmp_path.iterdir()) == []


def test_who_only_ran_beside_it_is_not_parked(tmp_path: Path) -> None:
    die_in(tmp_path, "infer:1 segment", "adapt:2 learn")
    for _ in range(20):
        left_by(tmp_path, "infer:1 segment", "adapt:2 learn")
    assert Watch(tmp_path).run("adapt:2 learn", nothing) == "done"


def test_suspects_run_alone(tmp_path: Path) -> None:
    for _ in range(watch.TOGETHER):
        left_by(tmp_path, "infer:1 segment", "adapt:2 learn")
    mine, inside, ending = Watch(tmp_path), threading.Event(), threading.Event()
    order: list[str] = []

    def slow() -> None:
        inside.set()
        assert ending.wait(20)
        order.append("slow")

    def quick() -> None:
        order.append("quick")

    first = threading.Thread(target=mine.run, args=("infer:1 segment", slow))
    first.start()
    assert inside.wait(20)
    second = threading.Thread(target=mine.run, args=("deliver:3 send", quick))
    second.start()
    second.join(0.3)
    assert order == []
    ending.set()
    first.join(20)
    second.join(20)
    assert order == ["slow", "quick"]


def test_a_stop_as_it_should_be_makes_nobody_a_suspect(tmp_path: Path) -> None:
    mine, inside, ending = Watch(tmp_path), threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        assert ending.wait(20)

    running = threading.Thread(target=mine.run, args=("infer:1 segment", slow))
    running.start()
    assert inside.wait(20)
    assert len(list(tmp_path.iterdir())) == 1
    mine.close()
    assert list(tmp_path.iterdir()) == []
    ending.set()
    running.join(20)


def test_a_person_who_retries_a_job_pardons_its_steps(tmp_path: Path) -> None:
    folder = tmp_path / "running" / "local"
    folder.mkdir(parents=True)
    for _ in range(watch.MOST):
        left_by(folder, "deliver:1:pacs attempt")
        left_by(folder, "deliver:1:pacs2 attempt")
    watch.pardon(tmp_path, "deliver:1:pacs")
    assert Watch(folder).run("deliver:1:pacs attempt", nothing) == "done"
    with pytest.raises(FailedError):
        Watch(folder).run("deliver:1:pacs2 attempt", nothing)


@pytest.mark.parametrize("error", [FailedError("no"), OutageError("not now")])
def test_a_step_that_fails_ended_no_process(tmp_path: Path, error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        Watch(tmp_path).run("infer:1 segment", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_no_step_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Watch(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert mine.run("infer:1 segment", nothing) == "done"


def test_a_watch_without_a_folder_only_guards() -> None:
    def surprise() -> None:
        raise ValueError("Doe^John")

    with pytest.raises(FailedError, match="surprise failed: ValueError"):
        Watch(None).run("any", surprise)


@pytest.mark.parametrize("look", ["look 1.2.3", "take 1.2.3"])
def test_a_person_pardons_what_is_no_job_by_its_uid(tmp_path: Path, look: str) -> None:
    folder = tmp_path / "running" / "local"
    folder.mkdir(parents=True)
    for _ in range(watch.MOST):
        left_by(folder, look)
    for other in ("1.2", "1.2.3.4", "look", "take"):
        watch.pardon(tmp_path, other)
    with pytest.raises(FailedError):
        Watch(folder).run(look, nothing)
    watch.pardon(tmp_path, "1.2.3")
    assert Watch(folder).run(look, nothing) == "done"


def test_a_folder_that_is_away_when_a_step_ends_loses_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Watch(tmp_path)

    def away(*_: object, **_named: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "unlink", away)
    assert mine.run("infer:1 segment", nothing) == "done"


def test_a_person_who_asks_for_a_study_pardons_the_looks_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`glioloop jobs retry` of a study, and the button of the web page."""
    site = open_site(settings.load(data=tmp_path / "data"))
    site.ledger.enter(ARRIVED_MR)
    monkeypatch.setattr(overview, "Board", lambda _database: MagicMock())
    folder = tmp_path / "data" / "running" / "local"
    folder.mkdir(parents=True)
    for _ in range(watch.MOST):
        left_by(folder, "look 1")
        left_by(folder, "look 1.2")
    assert overview.request_study(site, "1") == "infer:1:1:request"
    assert Watch(folder).run("look 1", nothing) == "done"
    with pytest.raises(FailedError):
        Watch(folder).run("look 1.2", nothing)
    site.ledger.close()
    site.models.close()
