"""How long a study has been quiet, whatever is done to the clock."""

from __future__ import annotations

from glioloop.ledger_schema import StudyRow, StudyState
from glioloop.quiet import Quiet


class Clock:
    """A clock that nobody sets."""

    def __init__(self) -> None:
        self.at = 50.0

    def __call__(self) -> float:
        return self.at


def study(last_arrival: float) -> StudyRow:
    return StudyRow(study_uid="1.2", state=StudyState.RECEIVING, last_arrival=last_arrival)


def test_a_study_of_before_the_start_has_been_quiet_since_its_last_image() -> None:
    quiet = Quiet(Clock())
    assert quiet.clock(study(1000.0), 1030.0) == 1030.0


def test_it_goes_on_by_the_clock_that_nobody_sets() -> None:
    clock = Clock()
    quiet = Quiet(clock)
    assert quiet.clock(study(1000.0), 1001.0) == 1001.0
    clock.at += 4.0
    for jumped in (1005.0, 1005.0 - 86400, 1005.0 + 86400):
        assert quiet.clock(study(1000.0), jumped) == 1005.0


def test_a_new_image_begins_it_anew_also_under_a_clock_that_was_set() -> None:
    clock = Clock()
    quiet = Quiet(clock)
    quiet.clock(study(1000.0), 1000.0)
    clock.at += 2.0
    # The image came at 1001; then the clock was set forward by a day.
    assert quiet.clock(study(1001.0), 1002.0 + 86400) == 1003.0
    clock.at += 1.0
    # An image came under a clock that was set back: its arrival is entered as a little later.
    assert quiet.clock(study(1001.00001), 1003.0 - 86400) == 1001.00001


def test_a_study_that_was_judged_is_forgotten() -> None:
    clock = Clock()
    quiet = Quiet(clock)
    quiet.clock(study(1000.0), 1000.0)
    clock.at += 100.0
    quiet.forget("1.2")
    assert quiet.clock(study(1000.0), 1007.0) == 1007.0
