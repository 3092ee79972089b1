"""What the listener tells whoever keeps the audit trail."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from listener.connection import Caller
from listener.inbox import Received

MOST_STUDIES = 50
"""Studies of one association that are counted together; those of more are told in between."""


class Kind(StrEnum):
    """What happened."""

    ADMITTED = "admitted"
    REJECTED = "rejected"
    REFUSED = "refused"
    RECEIVED = "received"


@dataclass(frozen=True)
class Happening:
    """Something about an association.

    Parameters
    ----------
    who
        The other side; of one that was turned away before it said its name, only the address.
    why
        Of a rejection or refusal.
    sop_instance_uid
        Of a refused instance; empty when it had none.
    study_uid, instances, example
        Of what was received: number of instances for each SOP Class UID, and one of the files.
    """

    kind: Kind
    who: Caller
    why: str = ""
    sop_instance_uid: str = ""
    study_uid: str = ""
    instances: Mapping[str, int] = field(default_factory=dict)
    example: Path | None = None


OnHappening = Callable[[Happening], None]
"""It is called from several threads, and must not raise."""


def unheard(_happening: Happening) -> None:
    """Tell nobody."""


class Transfers:
    """What each association brought, told study by study when it ends.

    Parameters
    ----------
    tell
        Whom.
    """

    def __init__(self, tell: OnHappening) -> None:
        self.tell = tell
        self._lock = threading.Lock()
        self._brought: dict[str, dict[str, tuple[Counter[str], Path | None]]] = {}

    def add(self, who: Caller, entry: Received) -> None:
        """Take note of an instance that was accepted."""
        with self._lock:
            studies = self._brought.setdefault(who.number, {})
            counts, example = studies.get(entry.study_uid, (Counter(), None))
            counts[entry.sop_class_uid] += 1
            studies[entry.study_uid] = (counts, entry.path or example)
            many = len(studies) > MOST_STUDIES
        if many:
            self.end(who)

    def end(self, who: Caller) -> None:
        """Tell what an association brought; nothing the second time."""
        with self._lock:
            studies = self._brought.pop(who.number, {})
        for study_uid, (counts, example) in studies.items():
            self.tell(
                Happening(
                    Kind.RECEIVED,
                    who,
                    study_uid=study_uid,
                    instances=dict(counts),
                    example=example,
                )
            )
