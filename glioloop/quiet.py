"""How long a study has been quiet, by a clock that does not jump."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from glioloop.ledger_schema import StudyRow


@dataclass(frozen=True)
class _Seen:
    """When this process first saw a study's last arrival, and how long it was quiet by then (s)."""

    last_arrival: float
    at: float
    quiet_s: float


class Quiet:
    """What the tickers saw of the studies under way.

    The system's clock may be set while images come: forward, and a study would be answered as
    incomplete between two series; back, and it would wait for hours. So only what went by before
    this process saw an arrival is read from it.

    Parameters
    ----------
    monotonic
        A clock that nobody sets (s).
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}

    def clock(self, study: StudyRow, now: float) -> float:
        """The time of `glioloop.judging`: that of the last arrival, and the quiet since then.

        Parameters
        ----------
        study
            As the ledger has it.
        now
            The system's clock (epoch s).
        """
        at, seen = self._monotonic(), self._seen.get(study.study_uid)
        if seen is None or seen.last_arrival != study.last_arrival:
            quiet_s = max(0.0, now - study.last_arrival)
            if seen is not None:  # it came since the study was first seen
                quiet_s = min(quiet_s, at - seen.at)
            seen = _Seen(study.last_arrival, at, quiet_s)
            self._seen[study.study_uid] = seen
        return study.last_arrival + seen.quiet_s + at - seen.at

    def forget(self, study_uid: str) -> None:
        """A study is judged."""
        self._seen.pop(study_uid, None)
