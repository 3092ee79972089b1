"""Audit messages in XML, as the schema of PS3.15 A.5.1 has them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, IntEnum
from xml.etree.ElementTree import Element, SubElement, tostring

PRIVATE = "99GLIOLOOP"
"""Our own codes; those of the Standard leave out what a learning model does."""


class Outcome(IntEnum):
    """How it ended."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8


@dataclass(frozen=True)
class Code:
    """A coded value."""

    code: str
    system: str
    meaning: str


class Event(Code, Enum):
    """What happened: CID 400 *Audit Event ID*, and our own."""

    APPLICATION = ("110100", "DCM", "Application Activity")
    ACCESSED = ("110103", "DCM", "DICOM Instances Accessed")
    TRANSFERRED = ("110104", "DCM", "DICOM Instances Transferred")
    DELETED = ("110105", "DCM", "DICOM Study Deleted")
    EXPORT = ("110106", "DCM", "Export")
    ALERT = ("110113", "DCM", "Security Alert")
    USER = ("110114", "DCM", "User Authentication")
    MODEL = ("model", PRIVATE, "Patient's Model Changed")


class Type(Code, Enum):
    """What kind of it: CID 401 *Audit Event Type Code*, and our own."""

    START = ("110120", "DCM", "Application Start")
    STOP = ("110121", "DCM", "Application Stop")
    LOGIN = ("110122", "DCM", "Login")
    LOGOUT = ("110123", "DCM", "Logout")
    NODE = ("110126", "DCM", "Node Authentication")
    RESULT = ("result", PRIVATE, "Segmented")
    CORRECTION = ("correction", PRIVATE, "Correction")
    DECISION = ("decision", PRIVATE, "Decision of a Person")
    ADAPTED = ("adapted", PRIVATE, "Fitted to Corrections")


class RoleId(Code, Enum):
    """What a participant did: CID 402 *Audit Active Participant Role ID Code*."""

    APPLICATION = ("110150", "DCM", "Application")
    DESTINATION = ("110152", "DCM", "Destination Role ID")
    SOURCE = ("110153", "DCM", "Source Role ID")
    MEDIA = ("110154", "DCM", "Destination Media")


class IdType(Code, Enum):
    """What an object's ID is."""

    PATIENT = ("2", "RFC-3881", "Patient Number")
    URI = ("12", "RFC-3881", "URI")
    STUDY = ("110180", "DCM", "Study Instance UID")
    NODE = ("110182", "DCM", "Node ID")
    MODEL = ("head", PRIVATE, "Head of a Model")


@dataclass(frozen=True)
class Participant:
    """Who took part.

    Parameters
    ----------
    user
        AE title, account or name of a token.
    alternative
        Another name of theirs, such as a process number.
    requestor
        Whether they began it.
    address
        IP address; empty where unknown.
    """

    user: str
    role: RoleId | None = None
    requestor: bool = False
    address: str = ""
    alternative: str = ""


@dataclass(frozen=True)
class Object:
    """What it was about.

    Parameters
    ----------
    kind, role
        *ParticipantObjectTypeCode* and *ParticipantObjectTypeCodeRole*.
    name
        Never that of a person.
    details
        Further facts.
    instances
        Number of instances for each SOP Class UID.
    uids
        SOP Instance UIDs for each SOP Class UID.
    """

    id_type: IdType
    identity: str
    kind: int
    role: int
    name: str
    details: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)
    uids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """One audit message.

    Parameters
    ----------
    action
        C, R, U, D or E: create, read, update, delete, execute.
    why
        Of a failure.
    """

    event: Event
    action: str
    participants: tuple[Participant, ...]
    objects: tuple[Object, ...] = ()
    types: tuple[Type, ...] = ()
    outcome: Outcome = Outcome.SUCCESS
    why: str = ""


def encoded(message: Message, source: str, site: str = "", at: datetime | None = None) -> bytes:
    """A message as one line of XML.

    Parameters
    ----------
    message
        What happened.
    source, site
        Who reports it, and of which enterprise site.
    at
        When; None: now.
    """
    when = (at or datetime.now(UTC)).isoformat(timespec="milliseconds")
    root = Element("AuditMessage")
    event = SubElement(
        root,
        "EventIdentification",
        EventActionCode=message.action,
        EventDateTime=when,
        EventOutcomeIndicator=str(int(message.outcome)),
    )
    _code(event, "EventID", message.event)
    for kind in message.types:
        _code(event, "EventTypeCode", kind)
    if message.why:
        SubElement(event, "EventOutcomeDescription").text = _plain(message.why)
    for participant in message.participants:
        _participant(root, participant)
    named = {"AuditSourceID": _plain(source) or "unknown"}
    if site:
        named["AuditEnterpriseSiteID"] = _plain(site)
    by = SubElement(root, "AuditSourceIdentification", named)
    SubElement(by, "AuditSourceTypeCode", {"csd-code": "4"})  # application server
    for about in message.objects:
        _object(root, about)
    line: bytes = tostring(root, encoding="utf-8")
    return line


def _participant(root: Element, participant: Participant) -> None:
    """One *ActiveParticipant*."""
    given = {
        "UserID": _plain(participant.user) or "unknown",
        "UserIsRequestor": str(participant.requestor).lower(),
    }
    if participant.alternative:
        given["AlternativeUserID"] = _plain(participant.alternative)
    if participant.address:
        given["NetworkAccessPointID"] = _plain(participant.address)
        given["NetworkAccessPointTypeCode"] = "2"
    at = SubElement(root, "ActiveParticipant", given)
    if participant.role is not None:
        _code(at, "RoleIDCode", participant.role)


def _object(root: Element, about: Object) -> None:
    """One *ParticipantObjectIdentification*."""
    at = SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_plain(about.identity) or "unknown",
        ParticipantObjectTypeCode=str(about.kind),
        ParticipantObjectTypeCodeRole=str(about.role),
    )
    _code(at, "ParticipantObjectIDTypeCode", about.id_type)
    SubElement(at, "ParticipantObjectName").text = _plain(about.name)
    for name, value in about.details.items():
        text = base64.b64encode(value.encode()).decode()
        SubElement(at, "ParticipantObjectDetail", type=_plain(name), value=text)
    if about.instances or about.uids:
        described = SubElement(at, "ParticipantObjectDescription")
        for sop_class in dict.fromkeys((*about.instances, *about.uids)):
            uids = about.uids.get(sop_class, ())
            number = about.instances.get(sop_class, len(uids))
            shown = SubElement(
                described, "SOPClass", UID=_plain(sop_class), NumberOfInstances=str(number)
            )
            for uid in uids:
                SubElement(shown, "Instance", UID=_plain(uid))


def _code(parent: Element, name: str, code: Code) -> None:
    """A coded value."""
    SubElement(
        parent,
        name,
        {"csd-code": code.code, "codeSystemName": code.system, "originalText": code.meaning},
    )


def _plain(text: str) -> str:
    """Text of one line without what XML 1.0 forbids; a tag in it is escaped when it is written."""
    kept = "".join(c if c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF else " " for c in text)
    return " ".join(kept.split())
