"""How much a peer may send at once, and how often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

MIB = 1 << 20
MOST_KEYS = 10_000
"""Peers that a meter remembers; beyond it forgets those that have not come for a minute."""


@dataclass(frozen=True)
class Limits:
    """Bounds of what all peers together, and each of them, may do.

    Parameters
    ----------
    associations
        Open at a time.
    associations_per_address
        Of them, from one address.
    connections
        Open at a time, before anybody said who calls; beyond them a caller is hung up on.
    associations_per_minute
        Requested from one address.
    instances_per_minute
        From one calling AE title at one address; 0xA700 beyond.
    instances_per_study
        Beyond them a study takes no more.
    object_bytes
        The largest data set; the association that brings a larger one is closed.
    bytes_in_memory
        Of the data sets that all associations are bringing; the association that goes beyond is
        closed, unless its data set is a small one.
    command_bytes
        The largest command set (PS3.7 section 6.3.1); a C-STORE request has some 300.
    """

    associations: int = 50
    associations_per_address: int = 25
    connections: int = 200
    associations_per_minute: int = 6000
    instances_per_minute: int = 120_000
    instances_per_study: int = 20_000
    object_bytes: int = 512 * MIB
    bytes_in_memory: int = 2048 * MIB
    command_bytes: int = 16 * 1024


class Meter:
    """Counts what peers do, and says when one does it too often.

    A bucket for each peer: it holds the events of a minute, and is filled evenly.

    Parameters
    ----------
    per_minute
        What one peer may do in a minute.
    clock
        Seconds; for tests.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, peer: str) -> bool:
        """Take one event of a peer into account; False when it is one too many."""
        now = self._clock()
        with self._lock:
            left, since = self._left.get(peer, (self._most, now))
            left = min(self._most, left + (now - since) * self._most / 60)
            fine = left >= 1
            self._left[peer] = (left - 1 if fine else left, now)
            if len(self._left) > MOST_KEYS:
                self._left = {p: at for p, at in self._left.items() if now - at[1] < 60}
        return fine


class StudyCounter:
    """How many new instances of a study came since the start, for the studies of late.

    Parameters
    ----------
    most
        Instances of one study.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}

    def has_room(self, study_uid: str) -> bool:
        """Whether a study may take one more."""
        with self._lock:
            return self._seen.get(study_uid, 0) < self._most

    def add(self, study_uid: str) -> None:
        """Take a new instance into account; one that is sent again is none."""
        with self._lock:
            self._seen[study_uid] = self._seen.pop(study_uid, 0) + 1
            if len(self._seen) > MOST_KEYS:
                del self._seen[next(iter(self._seen))]
