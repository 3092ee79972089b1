"""When a study is complete."""

from __future__ import annotations

import pytest

from listener.completeness import Decision, State, decide

WAIT, COMPLETE, INCOMPLETE = State.WAIT, State.COMPLETE, State.INCOMPLETE


@pytest.mark.parametrize(
    ("last_arrival", "now", "roles", "listed", "state", "look_again_at"),
    [
        # All roles: complete when it has been quiet for 20 s.
        (1000.0, 1000.0, True, False, WAIT, 1020.0),
        (1000.0, 1019.9, True, False, WAIT, 1020.0),
        (1000.0, 1020.0, True, False, COMPLETE, None),
        (1000.0, 9999.0, True, False, COMPLETE, None),
        # All roles and everything that the sender listed: complete at once.
        (1000.0, 1000.0, True, True, COMPLETE, None),
        # A role is missing: wait for 15 min, whatever was listed.
        (1000.0, 1020.0, False, False, WAIT, 1900.0),
        (1000.0, 1899.9, False, False, WAIT, 1900.0),
        (1000.0, 1900.0, False, False, INCOMPLETE, None),
        (1000.0, 1000.0, False, True, WAIT, 1900.0),
        (1000.0, 1900.0, False, True, INCOMPLETE, None),
        # The clock was set back by an hour: the wait begins anew instead of lasting an hour.
        (4600.0, 1000.0, True, False, WAIT, 1020.0),
        (4600.0, 1000.0, False, False, WAIT, 1900.0),
    ],
)
def test_a_study_is_complete_when_its_roles_and_the_clock_say_so(
    last_arrival: float,
    now: float,
    roles: bool,
    listed: bool,
    state: State,
    look_again_at: float | None,
) -> None:
    decision = decide(last_arrival, now, roles_complete=roles, all_listed_present=listed)

    assert decision.state is state
    assert decision.look_again_at == pytest.approx(look_again_at)


def test_the_waits_can_be_set() -> None:
    assert decide(0.0, 4.0, True, False, quiet_s=5.0) == Decision(WAIT, 5.0)
    assert decide(0.0, 6.0, False, False, incomplete_after_s=6.0) == Decision(INCOMPLETE)
