"""A spawned child: its answer, each way it can end, and that it never outlives the service."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glioloop import inference
from glioloop.inference import ChildDiedError, StoppedError
from study.errors import FailedError, HeldError, RefusedError

TESTS = Path(__file__).parents[1]


def run(task: str, limit_s: float = 60.0, **arguments: object) -> dict[str, object]:
    return inference.run(task, arguments, limit_s, module="child_tasks")


def test_the_answer_comes_from_another_polite_process() -> None:
    told: list[float] = []
    found = inference.run("answer", {"a": 1}, 60.0, told.append, module="child_tasks")
    assert found["a"] == 1
    assert found["pid"] != os.getpid()
    assert found["nice"] == min(os.nice(0) + inference.NICE, 19)
    assert told == [0.25, 1.0]


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [
        ("hold", HeldError, "FLAIR is ambiguous"),
        ("refuse", RefusedError, "no brain was found"),
        ("fail", FailedError, "the device is gone"),
        (
            "die",
            ChildDiedError,
            "die was killed by SIGKILL: most often the machine ran out of memory",
        ),
        ("stop", StoppedError, "stop was told to end"),
        ("leave", ChildDiedError, "leave ended with exit code 7 and no answer"),
    ],
)
def test_each_end_has_its_error(task: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        run(task)
    assert caught.type is kind


def test_a_child_does_not_go_on_where_nobody_is_told_of_its_progress(tmp_path: Path) -> None:
    def full(_part: float) -> None:
        raise FailedError("the ledger is full")

    with pytest.raises(FailedError, match="the ledger is full"):
        inference.run("hang", {"pid_file": str(tmp_path / "pid")}, 60.0, full, "child_tasks")
    assert not _alive(int((tmp_path / "pid").read_text()))


def test_an_unforeseen_error_says_where_and_quotes_nothing() -> None:
    with pytest.raises(FailedError, match=r"ValueError at .*child_tasks\.py:\d+") as caught:
        run("surprise")
    assert "Doe" not in str(caught.value)


def test_a_child_that_hangs_is_ended_by_the_wall_clock(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(FailedError, match=r"hang was ended after 0\.1 minutes"):
        run("hang", limit_s=6.0, pid_file=str(tmp_path / "pid"))
    assert time.monotonic() - began < 30
    assert not _alive(int((tmp_path / "pid").read_text()))


def test_a_child_ends_with_its_killed_parent(tmp_path: Path) -> None:
    script = (
        "from glioloop import inference\n"
        "if __name__ == '__main__':\n"
        f"    inference.run('hang', {{'pid_file': {str(tmp_path / 'pid')!r}}}, 600.0,"
        " module='child_tasks')\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
    )
    _until((tmp_path / "pid").exists)
    parent.kill()
    parent.wait()
    child = int((tmp_path / "pid").read_text())
    _until(lambda: not _alive(child))


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _until(done: object, seconds: float = 60.0) -> None:
    """Wait until something is so."""
    assert callable(done)
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, "it never came to be"
        time.sleep(0.1)
