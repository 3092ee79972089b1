"""Studies taken from an archive by DICOMweb, where nobody sends them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from glioloop import dicomweb
from glioloop.ledger_schema import ResultRow
from glioloop.settings_dicomweb import DicomwebArchive
from glioloop.site import Site
from listener import dicomweb_fetch
from listener.dicomweb_fetch import Listed, UnansweredError
from listener.header import DamagedError
from listener.inbox import Inbox, Received
from listener.scu import DeliveryError

logger = logging.getLogger(__name__)

IMAGES, OUTLINES = "MR", "SEG"
"""(0008,0060) *Modality* of what is fetched."""


class Fetcher:
    """Looks at one archive again and again. What it has to fetch it tells from the ledger.

    Parameters
    ----------
    archive
        Which.
    site
        Where.
    inbox
        Where files are kept.
    received
        Told of each file that is on the disk, as the listener tells it.
    may
        Whether to go on: asked before each object.
    """

    def __init__(
        self,
        archive: DicomwebArchive,
        site: Site,
        inbox: Inbox,
        received: Callable[[Received], None],
        may: Callable[[], bool],
    ) -> None:
        self._site, self._archive = site, archive
        self._inbox, self._received, self._may = inbox, received, may
        self._next = 0.0
        self._counts: dict[str, int] = {}
        """Instances of each study when all of it had been fetched."""
        self._refused: set[str] = set()
        """SOP Instance UIDs of what cannot be kept; each is logged once."""
        self._withheld: set[str] = set()
        """SOP Instance UIDs of what was not given, and may be later."""
        self._down = ""

    def look(self, now: float) -> None:
        """Fetch what is new, if it is time for that; ``now`` is in seconds since 1970."""
        if now < self._next or not self._may():
            return
        self._next = now + self._archive.every_seconds
        try:
            self._look(now)
        except DeliveryError as error:
            if str(error) != self._down:  # once, and not every minute
                logger.error("studies cannot be fetched: %s", error)  # noqa: TRY400
            self._down = str(error)
        else:
            self._down = ""

    def _look(self, now: float) -> None:
        """One look at the archive's latest studies."""
        server = dicomweb.server(self._archive)
        first = datetime.fromtimestamp(now).astimezone() - timedelta(days=self._archive.days - 1)
        query = {"ModalitiesInStudy": IMAGES, "StudyDate": f"{first:%Y%m%d}-"}
        for study_uid, count in dicomweb_fetch.studies(server, query).items():
            if count and self._counts.get(study_uid) == count:
                continue
            wanted = self._missing(
                dicomweb_fetch.instances(server, study_uid, (IMAGES, OUTLINES)), study_uid
            )
            largest = self._site.settings.listener.limits.object_mib << 20
            whole = True
            for one, content in dicomweb_fetch.fetch(server, wanted, largest):
                if isinstance(content, UnansweredError):
                    whole = False  # it is asked for again at the next look
                    self._say_once(one, content)
                else:
                    self._keep(one, content)
                if not self._may():
                    return
            if whole:
                self._counts[study_uid] = count

    def _missing(self, listed: list[Listed], study_uid: str) -> list[Listed]:
        """What of a study never came, and is not ours."""
        ledger = self._site.ledger
        made: list[ResultRow] = ledger.results(study_uid)
        known = ledger.arrived(study_uid) | {row.sop_instance_uid for row in made} | self._refused
        return [one for one in listed if one.sop_instance_uid not in known]

    def _say_once(self, one: Listed, error: UnansweredError) -> None:
        """Log that an object was not given, and not at every look."""
        if one.sop_instance_uid not in self._withheld:
            self._withheld.add(one.sop_instance_uid)
            logger.warning("instance %s is not fetched: %s", one.sop_instance_uid, error)

    def _keep(self, one: Listed, content: bytes | DamagedError) -> None:
        """Write one object into the inbox; one that cannot be kept is left, and said."""
        called = self._site.settings.listener.ae_title
        try:
            if isinstance(content, DamagedError):
                raise content
            self._received(
                dicomweb_fetch.keep(content, one, self._inbox, self._archive.calling_ae, called)
            )
        except DamagedError as error:
            self._refused.add(one.sop_instance_uid)
            logger.warning("instance %s is not fetched: %s", one.sop_instance_uid, error)
