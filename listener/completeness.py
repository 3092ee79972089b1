"""When a study is complete: a pure function of what has arrived and of the clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

QUIET_S = 20.0
"""A study with everything in it is run when no image has come for this long (s)."""

INCOMPLETE_AFTER_S = 900.0
"""A study that lacks something is given up after this long without an image (s): scanners pause
for minutes between series."""


class State(Enum):
    """What to do with a study."""

    WAIT = auto()
    """More may come."""
    COMPLETE = auto()
    """Everything is here: run it."""
    INCOMPLETE = auto()
    """Something is missing, and nothing has come for so long that it is said."""


@dataclass(frozen=True)
class Decision:
    """What to do with a study, and when to ask again.

    Parameters
    ----------
    state
        What to do now.
    look_again_at
        Epoch seconds at which to ask again if nothing arrives before; None when decided.
    """

    state: State
    look_again_at: float | None = None


def decide(
    last_arrival: float,
    now: float,
    roles_complete: bool,  # noqa: FBT001 - the two answers are the table's own columns
    all_listed_present: bool,  # noqa: FBT001
    quiet_s: float = QUIET_S,
    incomplete_after_s: float = INCOMPLETE_AFTER_S,
) -> Decision:
    """Decide whether a study is complete.

    ==============  ==================  ==========================================
    roles_complete  all_listed_present  decision
    ==============  ==================  ==========================================
    yes             yes                 COMPLETE at once
    yes             no                  COMPLETE after `quiet_s` without an image
    no              either              INCOMPLETE after `incomplete_after_s`
    ==============  ==================  ==========================================

    A sender's list tells what it had when it sent it: an archive that takes the pause between two
    series for the end lists one series only. So a list ends the wait of a study that has all its
    roles, and never that of one that lacks some.

    Parameters
    ----------
    last_arrival
        When the last instance of the study came (epoch s).
    now
        The clock (epoch s). If it was set back behind the last arrival, the wait begins anew.
    roles_complete
        All three roles are found, without gaps.
    all_listed_present
        A sender has listed the instances that it sent, and all of them are here.
    quiet_s, incomplete_after_s
        The two waits (s).
    """
    if roles_complete and all_listed_present:
        return Decision(State.COMPLETE)
    wait = quiet_s if roles_complete else incomplete_after_s
    remaining = wait - max(0.0, now - last_arrival)
    if remaining > 0:
        return Decision(State.WAIT, now + remaining)
    return Decision(State.COMPLETE if roles_complete else State.INCOMPLETE)
