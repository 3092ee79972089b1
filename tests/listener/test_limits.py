"""How often is too often."""

from __future__ import annotations

from listener import limits
from listener.limits import Meter, StudyCounter


class Clock:
    """Seconds, as a test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_meter_fills_up_again() -> None:
    clock = Clock()
    meter = Meter(60, clock)

    assert [meter.allows("A") for _ in range(61)] == [True] * 60 + [False]
    clock.now = 2.0
    assert [meter.allows("A") for _ in range(3)] == [True, True, False]


def test_one_peer_does_not_count_against_another() -> None:
    meter = Meter(1, Clock())

    assert [meter.allows("A"), meter.allows("B"), meter.allows("A")] == [True, True, False]


def test_a_meter_does_not_remember_everybody(monkeypatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEYS", 3)
    clock = Clock()
    meter = Meter(1, clock)
    for peer in "ABC":
        meter.allows(peer)
    clock.now = 61.0
    meter.allows("D")

    assert set(meter._left) == {"D"}


def test_studies_are_counted_and_the_oldest_forgotten(monkeypatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEYS", 2)
    counter = StudyCounter(2)

    counter.add("1.2")
    assert counter.has_room("1.2")
    counter.add("1.2")
    assert not counter.has_room("1.2")
    counter.add("1.3")
    counter.add("1.4")
    assert set(counter._seen) == {"1.3", "1.4"}
