"""Whether an association, and an instance that it brings, is let in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from listener import statuses
from listener.access import Access, Right
from listener.connection import Caller
from listener.limits import Limits, Meter, StudyCounter
from listener.presentation import SEG_SOP_CLASSES
from listener.tls import names_of

if TYPE_CHECKING:
    from pynetdicom.association import Association

Rejection = tuple[int, int, int]
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

CALLING_AE_NOT_RECOGNISED: Rejection = (0x01, 0x01, 0x03)
CALLED_AE_NOT_RECOGNISED: Rejection = (0x01, 0x01, 0x07)
TEMPORARY_CONGESTION: Rejection = (0x02, 0x03, 0x01)
LOCAL_LIMIT_EXCEEDED: Rejection = (0x02, 0x03, 0x02)

TOLD_PER_MINUTE = 120
"""Refusals of one address that are logged and audited; a flood of them must not fill the disk."""


class Doorkeeper:
    """Judges by what the settings say and by what came before.

    Parameters
    ----------
    ae_titles
        What peers may call us.
    peers
        What each calling AE title may do; None: everyone may do everything.
    limits
        Of how much, and how often.
    """

    def __init__(
        self, ae_titles: tuple[str, ...], peers: Mapping[str, Access] | None, limits: Limits
    ) -> None:
        self._ae_titles = ae_titles
        self._peers = peers
        self._limits = limits
        self._requests = Meter(limits.associations_per_minute)
        self._instances = Meter(limits.instances_per_minute)
        self._told = Meter(TOLD_PER_MINUTE)
        self._studies = StudyCounter(limits.instances_per_study)

    def judge(self, who: Caller, association: Association) -> tuple[Rejection, str] | None:
        """Why an association is rejected, and in which words; None: it is let in."""
        if not self._requests.allows(who.address):
            most = self._limits.associations_per_minute
            return TEMPORARY_CONGESTION, f"more than {most} requests in a minute"
        if who.called not in self._ae_titles:
            return CALLED_AE_NOT_RECOGNISED, f"nobody here is called {who.called!r}"
        access = self._access(who.calling)
        if access is None or not access.covers(who.address):
            return CALLING_AE_NOT_RECOGNISED, "this AE title at this address is not a peer"
        wrapper = association.dul.socket
        if not access.trusts(names_of(wrapper.socket if wrapper else None)):
            return CALLING_AE_NOT_RECOGNISED, "its certificate is not one of this AE title"
        return self._crowded(who.address, association)

    def _crowded(self, address: str, association: Association) -> tuple[Rejection, str] | None:
        """Why there is no room for one more; connections that say nothing keep no peer out."""
        limits = self._limits
        said = [one for one in association.ae.active_associations if one.requestor.primitive]
        if len(said) > limits.associations:
            return LOCAL_LIMIT_EXCEEDED, f"{limits.associations} associations are open already"
        if _open_from(address, said) > limits.associations_per_address:
            most = limits.associations_per_address
            return LOCAL_LIMIT_EXCEEDED, f"{most} associations of this address are open already"
        return None

    def is_told(self, address: str) -> bool:
        """Whether a refusal of this address is still to be logged; not in a flood of them."""
        return self._told.allows(address)

    def may_send(self, who: Caller, sop_class: str) -> tuple[int, str] | None:
        """Status, and why, of an instance that a peer may not send; None: it may.

        A SEG is a correction; everything else counts among the images.
        """
        needed = Right.CORRECTIONS if sop_class in SEG_SOP_CLASSES else Right.IMAGES
        access = self._access(who.calling)
        if access is None or needed not in access.may:
            return statuses.NOT_AUTHORISED, f"this AE title may not send {needed}"
        if not self._instances.allows(f"{who.calling} {who.address}"):
            most = self._limits.instances_per_minute
            return statuses.OUT_OF_RESOURCES, f"more than {most} instances in a minute"
        return None

    def may_grow(self, study_uid: str) -> tuple[int, str] | None:
        """Status, and why, of an instance of a study that has too many; None: it has not."""
        if self._studies.has_room(study_uid):
            return None
        most = self._limits.instances_per_study
        return statuses.TOO_MANY, f"more than {most} instances of this study came"

    def grew(self, study_uid: str) -> None:
        """A study has one instance more."""
        self._studies.add(study_uid)

    def may_ask(self, calling: str) -> bool:
        """Whether a peer may ask for storage commitment: who may send something."""
        access = self._access(calling)
        return access is not None and bool(access.may)

    def _access(self, calling: str) -> Access | None:
        """What a calling AE title may do."""
        return Access() if self._peers is None else self._peers.get(calling)


def _open_from(address: str, said: Iterable[Association]) -> int:
    """How many associations are from an address."""
    opened = [one.requestor.address_info for one in said]
    return sum(where is not None and where.address == address for where in opened)
