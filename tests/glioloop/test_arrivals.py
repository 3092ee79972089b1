"""Many senders' images in one commit: each answered for itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from small_dicom import ARRIVED_MR as MR
from sqlalchemy.exc import DataError

from glioloop.arrivals import Arrivals
from glioloop.database import AwayError
from glioloop.ledger import Ledger
from listener.inbox import Received
from study.errors import FailedError


class Watched(Ledger):
    """A ledger that waits before each commit until it may, and remembers how many came together."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may, self.begun = threading.Event(), threading.Event()
        self.together: list[int] = []

    def enter_all(self, arrivals: Sequence[Received]) -> list[bool]:
        self.begun.set()
        assert self.may.wait(60)
        if len(arrivals) > 1 and any(one.sop_instance_uid == "bad" for one in arrivals):
            raise DataError("insert", {}, ValueError("Doe^John"))
        if any(one.sop_instance_uid in {"bad", "away"} for one in arrivals):
            raise (
                AwayError("gone")
                if arrivals[0].sop_instance_uid == "away"
                else DataError("insert", {}, ValueError("Doe^John"))
            )
        self.together.append(len(arrivals))
        return super().enter_all(arrivals)


def brought(ledger: Watched, *uids: str) -> dict[str, object]:
    """What became of instances of which the first is being committed when the others come."""
    arrivals = Arrivals(ledger)
    with ThreadPoolExecutor(len(uids)) as senders:
        asked = {}
        for number, uid in enumerate(uids):
            one = replace(MR, sop_instance_uid=uid)
            asked[uid] = senders.submit(arrivals.enter, one)
            if number == 0:
                assert ledger.begun.wait(60)
        while len(arrivals._waiting) < len(uids) - 1:
            threading.Event().wait(0.01)
        ledger.may.set()
        return {uid: one.exception(60) or one.result() for uid, one in asked.items()}


def test_what_comes_during_a_commit_goes_into_the_next_one(tmp_path: Path) -> None:
    ledger = Watched(tmp_path / "ledger.db")
    ledger.may.set()
    ledger.enter(replace(MR, sop_instance_uid="1.3"))
    ledger.may.clear()
    ledger.begun.clear()
    ledger.together.clear()
    assert brought(ledger, "1.1", "1.2", "1.3", "1.4") == {
        "1.1": True,
        "1.2": True,
        "1.3": False,
        "1.4": True,
    }
    assert ledger.together == [1, 3]
    assert len(ledger.instances("1")) == 4


def test_one_that_cannot_be_entered_does_not_spoil_the_others(tmp_path: Path) -> None:
    found = brought(Watched(tmp_path / "ledger.db"), "1.1", "1.2", "bad")
    assert found["1.1"] is found["1.2"] is True
    assert isinstance(found["bad"], FailedError)
    assert "instance bad was not entered in the ledger: DataError" in str(found["bad"])
    assert "Doe" not in str(found["bad"])


def test_while_the_ledger_is_away_each_sender_is_told(tmp_path: Path) -> None:
    ledger = Watched(tmp_path / "ledger.db")
    ledger.may.set()
    with pytest.raises(AwayError, match="gone"):
        Arrivals(ledger).enter(replace(MR, sop_instance_uid="away"))


class Breaking(Watched):
    """A ledger whose process has no memory left once several come together."""

    def enter_all(self, arrivals: Sequence[Received]) -> list[bool]:
        if len(arrivals) > 1:
            raise MemoryError
        return super().enter_all(arrivals)


def test_nobody_waits_for_ever_for_a_commit_that_broke(tmp_path: Path) -> None:
    found = brought(Breaking(tmp_path / "ledger.db"), "1.1", "1.2", "1.3")
    assert found["1.1"] is True
    assert {type(found["1.2"]), type(found["1.3"])} == {FailedError, MemoryError}
