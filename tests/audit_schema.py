"""The schema of audit messages (PS3.15 A.5.1.1, RELAX NG), written out as tables by hand."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, fromstring

CODE = {"csd-code": ".+", "codeSystemName": ".+", "originalText": ".+", "displayName?": ".+"}
TEXT, NOTHING, ROLE_IDS = ".+", "", [("RoleIDCode", "*"), ("MediaIdentifier", "?")]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)"
UID = r"[0-9.]{1,64}"


@dataclass(frozen=True)
class Rule:
    """What an element has.

    Parameters
    ----------
    attributes
        Name to pattern; a name that ends with ``?`` is optional.
    children
        In this order; ``1``, ``?``, ``*`` or ``+`` of each.
    """

    attributes: dict[str, str]
    children: list[tuple[str, str]]
    text: str = NOTHING


RULES = {
    "AuditMessage": Rule(
        {},
        [
            ("EventIdentification", "1"),
            ("ActiveParticipant", "+"),
            ("AuditSourceIdentification", "1"),
            ("ParticipantObjectIdentification", "*"),
        ],
    ),
    "EventIdentification": Rule(
        {
            "EventActionCode?": "[CRUDE]",
            "EventDateTime": TIME,
            "EventOutcomeIndicator": "0|4|8|12",
        },
        [("EventID", "1"), ("EventTypeCode", "*"), ("EventOutcomeDescription", "?")],
    ),
    "EventID": Rule(CODE, []),
    "EventTypeCode": Rule(CODE, []),
    "EventOutcomeDescription": Rule({}, [], TEXT),
    "ActiveParticipant": Rule(
        {
            "UserID": ".+",
            "AlternativeUserID?": ".+",
            "UserName?": ".+",
            "UserIsRequestor": "true|false",
            "NetworkAccessPointID?": ".+",
            "NetworkAccessPointTypeCode?": "[1-5]",
        },
        ROLE_IDS,
    ),
    "RoleIDCode": Rule(CODE, []),
    "AuditSourceIdentification": Rule(
        {"AuditEnterpriseSiteID?": ".+", "AuditSourceID": ".+"}, [("AuditSourceTypeCode", "*")]
    ),
    "AuditSourceTypeCode": Rule({"csd-code": "[1-9]"}, []),
    "ParticipantObjectIdentification": Rule(
        {
            "ParticipantObjectID": ".+",
            "ParticipantObjectTypeCode?": "[1-4]",
            "ParticipantObjectTypeCodeRole?": "[1-9]|1[0-9]|2[0-6]",
            "ParticipantObjectDataLifeCycle?": "[1-9]|1[0-5]",
            "ParticipantObjectSensitivity?": ".+",
        },
        [
            ("ParticipantObjectIDTypeCode", "1"),
            ("ParticipantObjectName", "1"),
            ("ParticipantObjectDetail", "*"),
            ("ParticipantObjectDescription", "*"),
        ],
    ),
    "ParticipantObjectIDTypeCode": Rule(CODE, []),
    "ParticipantObjectName": Rule({}, [], TEXT),
    "ParticipantObjectDetail": Rule({"type": ".+", "value": "[A-Za-z0-9+/=]*"}, []),
    "ParticipantObjectDescription": Rule({}, [("SOPClass", "*")]),
    "SOPClass": Rule({"UID?": UID, "NumberOfInstances": r"\d+"}, [("Instance", "*")]),
    "Instance": Rule({"UID": UID}, []),
}
MOST = {"1": (1, 1), "?": (0, 1), "*": (0, 10**6), "+": (1, 10**6)}


def faults(element: Element) -> Iterator[str]:
    """What the schema does not allow in an element, or below it."""
    rule = RULES.get(element.tag)
    if rule is None:
        yield f"{element.tag} is unknown"
        return
    yield from faults_of_attributes(element, rule)
    yield from faults_of_children(element, rule)
    for child in element:
        yield from faults(child)


def faults_of_attributes(element: Element, rule: Rule) -> Iterator[str]:
    """Attributes, and text, that the schema does not allow."""
    known = {name.rstrip("?"): pattern for name, pattern in rule.attributes.items()}
    for name, value in element.attrib.items():
        if not re.fullmatch(known.get(name, "(?!)"), value):
            yield f"{element.tag}/@{name} is {value!r}"
    for name in rule.attributes:
        if not name.endswith("?") and name not in element.attrib:
            yield f"{element.tag}/@{name} is missing"
    if not re.fullmatch(rule.text, element.text or "", re.DOTALL):
        yield f"{element.tag} holds {element.text!r}"


def faults_of_children(element: Element, rule: Rule) -> Iterator[str]:
    """Children that are missing, too many, or out of order."""
    found = [child.tag for child in element]
    wanted = [name for name, _ in rule.children]
    if [name for name in wanted for _ in range(found.count(name))] != found:
        yield f"{element.tag} holds {found}"
    for name, often in rule.children:
        least, most = MOST[often]
        if not least <= found.count(name) <= most:
            yield f"{element.tag} holds {found.count(name)} {name}"


def parsed(line: bytes) -> Element:
    """A message that the schema allows."""
    message = fromstring(line)  # noqa: S314 - we wrote it
    assert list(faults(message)) == []
    return message


def details(message: Element) -> dict[str, str]:
    """Details of all its objects, in clear."""
    return {
        one.attrib["type"]: base64.b64decode(one.attrib["value"]).decode()
        for one in message.iter("ParticipantObjectDetail")
    }


def kind(message: Element) -> tuple[str, str, str]:
    """Event, first type (or nothing) and outcome of a message, in words."""
    event = message.find("EventIdentification/EventID")
    first = message.find("EventIdentification/EventTypeCode")
    outcome = message.find("EventIdentification")
    assert event is not None
    assert outcome is not None
    said = first.attrib["originalText"] if first is not None else ""
    return event.attrib["originalText"], said, outcome.attrib["EventOutcomeIndicator"]
