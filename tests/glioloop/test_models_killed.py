"""A store whose process is killed at any statement holds a version wholly or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from glioloop.model_merging import Person, merge, split
from glioloop.models import BASE, ModelStore
from study.patient import PatientKey

PETER, PAULA = PatientKey("ab" * 32), PatientKey("cd" * 32)
ONE, OTHER = Person(PETER, PETER), Person(PAULA, PAULA)


def given(store: ModelStore, seg: str) -> int:
    made = store.accept(
        PETER,
        parent=BASE,
        backbone="B1",
        head={"weight": [[float(len(seg))] * 4000]},
        corrections=(seg,),
        metrics={},
        software="0.1.0",
    )
    return made.number


CHANGES: dict[str, Callable[[ModelStore], object]] = {
    "accept": lambda store: given(store, "1.22"),
    "rollback": lambda store: store.rollback(PETER, "B1"),
    "forget": lambda store: store.forget(PETER),
    "merge": lambda store: merge(store, ONE, OTHER, "anna"),
    "split": lambda store: split(store, ONE, OTHER, {"1.1"}, "anna"),
}


def seen(folder: Path) -> tuple[object, ...]:
    """All that anybody can see of both patients."""
    store = ModelStore(folder)
    patients = (store.patient(PETER), store.patient(PAULA))
    used = (store.used(PETER, "B1"), store.used(PAULA, "B1"))
    store.close()
    return (
        [(len(p.versions), dict(p.current), [v.corrections for v in p.versions]) for p in patients],
        [u and (u.owner, u.version.head) for u in used],
        [row.action for row in store.audit()],
    )


def begin(folder: Path, change: str) -> None:
    """What is there before."""
    store = ModelStore(folder)
    given(store, "1.1")
    if change == "split":
        merge(store, ONE, OTHER, "anna")
    store.close()


def _change_until(folder: str, change: str, moment: int) -> None:
    """Make the change, and be killed at the n-th statement or commit of it."""
    store = ModelStore(Path(folder))
    left = [moment]

    def count(*_args: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store.database.engine, "after_cursor_execute", count)
    event.listen(store.database.engine, "commit", count)
    CHANGES[change](store)
    os._exit(0)


QUICK = ("accept", "split")
MARKED = [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CHANGES]


@pytest.mark.parametrize("change", MARKED)
def test_killed_at_any_moment_it_is_as_before_or_as_after(tmp_path: Path, change: str) -> None:
    context = multiprocessing.get_context("fork")
    begin(tmp_path / "whole", change)
    before = seen(tmp_path / "whole")
    store = ModelStore(tmp_path / "whole")
    CHANGES[change](store)
    store.close()
    after = seen(tmp_path / "whole")
    assert after != before
    kills = 0
    for moment in range(1, 60):
        folder = tmp_path / str(moment)
        begin(folder, change)
        child = context.Process(target=_change_until, args=(str(folder), change, moment))
        child.start()
        child.join()
        if child.exitcode == 0:
            assert seen(folder) == after
            break
        assert child.exitcode == -signal.SIGKILL
        kills += 1
        assert seen(folder) in (before, after)
        # Whoever comes next can go on: nothing is left locked.
        given(ModelStore(folder), "1.333")
    assert kills >= 5
