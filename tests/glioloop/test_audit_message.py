"""Audit messages as PS3.15 A.5 has them."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree.ElementTree import fromstring

import pytest
from audit_schema import details, faults, parsed

from glioloop.audit_message import (
    Event,
    IdType,
    Message,
    Object,
    Outcome,
    Participant,
    RoleId,
    Type,
    encoded,
)

AT = datetime(2026, 1, 31, 23, 59, 58, 123000, UTC)


def message(**changes: object) -> Message:
    """A transfer of one image."""
    values = {
        "event": Event.TRANSFERRED,
        "action": "C",
        "participants": (
            Participant("SCANNER", RoleId.SOURCE, requestor=True, address="10.1.2.3"),
            Participant("GLIOLOOP", RoleId.DESTINATION, alternative="process 7"),
        ),
        "objects": (
            Object(
                IdType.STUDY,
                "1.2.3",
                2,
                3,
                "study",
                {"result": "abc"},
                uids={"1.2.840.10008.5.1.4.1.1.4": ("1.2.3.4",)},
            ),
        ),
    }
    return Message(**{**values, **changes})  # type: ignore[arg-type]


def test_a_message_is_one_line_as_the_schema_has_it() -> None:
    assert encoded(message(), "glioloop-local", "St. Elsewhere", AT).decode() == (
        "<AuditMessage>"
        '<EventIdentification EventActionCode="C" EventDateTime="2026-01-31T23:59:58.123+00:00"'
        ' EventOutcomeIndicator="0">'
        '<EventID csd-code="110104" codeSystemName="DCM"'
        ' originalText="DICOM Instances Transferred" />'
        "</EventIdentification>"
        '<ActiveParticipant UserID="SCANNER" UserIsRequestor="true"'
        ' NetworkAccessPointID="10.1.2.3" NetworkAccessPointTypeCode="2">'
        '<RoleIDCode csd-code="110153" codeSystemName="DCM" originalText="Source Role ID" />'
        "</ActiveParticipant>"
        '<ActiveParticipant UserID="GLIOLOOP" UserIsRequestor="false"'
        ' AlternativeUserID="process 7">'
        '<RoleIDCode csd-code="110152" codeSystemName="DCM" originalText="Destination Role ID" />'
        "</ActiveParticipant>"
        '<AuditSourceIdentification AuditSourceID="glioloop-local"'
        ' AuditEnterpriseSiteID="St. Elsewhere"><AuditSourceTypeCode csd-code="4" />'
        "</AuditSourceIdentification>"
        '<ParticipantObjectIdentification ParticipantObjectID="1.2.3"'
        ' ParticipantObjectTypeCode="2" ParticipantObjectTypeCodeRole="3">'
        '<ParticipantObjectIDTypeCode csd-code="110180" codeSystemName="DCM"'
        ' originalText="Study Instance UID" />'
        "<ParticipantObjectName>study</ParticipantObjectName>"
        '<ParticipantObjectDetail type="result" value="YWJj" />'
        '<ParticipantObjectDescription><SOPClass UID="1.2.840.10008.5.1.4.1.1.4"'
        ' NumberOfInstances="1"><Instance UID="1.2.3.4" /></SOPClass>'
        "</ParticipantObjectDescription>"
        "</ParticipantObjectIdentification>"
        "</AuditMessage>"
    )


def test_types_and_reasons_stand_where_the_schema_wants_them() -> None:
    found = parsed(
        encoded(
            message(types=(Type.CORRECTION,), outcome=Outcome.MINOR_FAILURE, why="no UID"), "us"
        )
    )

    assert [child.tag for child in found[0]] == [
        "EventID",
        "EventTypeCode",
        "EventOutcomeDescription",
    ]
    assert found[0].attrib["EventOutcomeIndicator"] == "4"
    assert details(found) == {"result": "abc"}


@pytest.mark.parametrize(
    "text", ["<b>&\"'", "two\nlines", "a\x00b\x1b[31m", "\ud800", "]]>", "\u2028"]
)
def test_no_text_breaks_out_of_its_place(text: str) -> None:
    line = encoded(message(participants=(Participant(text),), why=f"because {text}"), text)

    assert b"\n" not in line
    assert b"<b>" not in line
    assert len(parsed(line)) == 4


def test_the_schema_finds_what_is_wrong() -> None:
    whole = encoded(message(), "us").decode()
    for right, wrong, fault in (
        ('EventOutcomeIndicator="0"', 'EventOutcomeIndicator="1"', "EventOutcomeIndicator is '1'"),
        (' UserID="SCANNER"', "", "ActiveParticipant/@UserID is missing"),
        ("<ParticipantObjectName>study</ParticipantObjectName>", "", "0 ParticipantObjectName"),
        ('value="YWJj"', 'value="a b"', "@value is 'a b'"),
        ("<AuditMessage>", "<AuditMessage><Other />", "Other is unknown"),
    ):
        assert right in whole
        found = list(faults(fromstring(whole.replace(right, wrong))))  # noqa: S314
        assert any(fault in one for one in found), found
