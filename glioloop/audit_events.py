"""What the service does and what persons do, as audit messages.

Patients appear as their keys alone, and so no message holds a name, an ID or a date of birth.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from glioloop.audit_message import (
    Event,
    IdType,
    Message,
    Object,
    Outcome,
    Participant,
    RoleId,
    Type,
)
from glioloop.audit_trail import actor
from glioloop.ledger_schema import CorrectionRow, DeliveryState, ResultRow
from glioloop.settings_network import Destination
from glioloop.site import Site
from listener.happenings import Happening, Kind
from listener.presentation import SEG_SOP_CLASSES

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
PERSON, SYSTEM = 1, 2
PATIENT, REPORT, SECURITY_RESOURCE, PROCESSING_ELEMENT = 1, 3, 13, 26


def application(site: Site, *, starts: bool) -> None:
    """The service starts or stops (A.5.3.1)."""
    kind = Type.START if starts else Type.STOP
    site.audit.note(Message(Event.APPLICATION, "E", (_us(site, RoleId.APPLICATION),), (), (kind,)))


def happening(site: Site, what: Happening) -> None:
    """Something about an association (A.5.3.7, A.5.3.11)."""
    caller = Participant(
        what.who.calling or what.who.address,
        RoleId.SOURCE,
        requestor=True,
        address=what.who.address,
        alternative=f"association {what.who.number}" if what.who.number else "",
    )
    taking_part = (caller, _us(site, RoleId.DESTINATION))
    if what.kind is Kind.RECEIVED:
        patient = _patient_of(site, what.example, what.who.calling)
        about = (_study(what.study_uid, instances=what.instances), _patient(patient))
        kinds = {Type.CORRECTION} if SEG_SOP_CLASSES & set(what.instances) else set()
        message = Message(Event.TRANSFERRED, "C", taking_part, about, tuple(kinds))
    elif what.kind is Kind.REFUSED:
        details = {"SOPInstanceUID": what.sop_instance_uid} if what.sop_instance_uid else {}
        about = (_study("", details), _patient(None))
        message = Message(
            Event.TRANSFERRED, "C", taking_part, about, (), Outcome.MINOR_FAILURE, what.why
        )
    else:
        refused = what.kind is Kind.REJECTED
        outcome = Outcome.MINOR_FAILURE if refused else Outcome.SUCCESS
        node = Object(
            IdType.NODE, what.who.address, SYSTEM, SECURITY_RESOURCE, what.who.calling or "unnamed"
        )
        message = Message(Event.ALERT, "E", taking_part, (node,), (Type.NODE,), outcome, what.why)
    site.audit.note(message)


def result(site: Site, made: ResultRow) -> None:
    """A study was segmented: which model did it, for whom (A.5.3.6)."""
    about = (
        _study(made.study_uid, {"result": made.result_id}, {SEG: (made.sop_instance_uid,)}),
        _patient(made.patient_key),
        _model(made.head, {"model": made.model, "backbone": made.backbone}),
    )
    site.audit.note(Message(Event.ACCESSED, "C", _acting(site), about, (Type.RESULT,)))


def delivery(
    site: Site, name: str, study_uid: str, result_id: str, state: DeliveryState, why: str
) -> None:
    """Objects were taken by an archive, or refused, or nothing more is tried (A.5.3.7)."""
    taking_part = (
        _us(site, RoleId.SOURCE, requestor=True),
        Participant(name, RoleId.DESTINATION, alternative=_place_of(site, name)),
    )
    fine = state is DeliveryState.DELIVERED
    known = [r for r in site.ledger.results(study_uid) if r.result_id == result_id]
    about = (
        _study(study_uid, {"result": result_id, "state": state.value}),
        _patient(known[0].patient_key if known else None),
    )
    outcome = Outcome.SUCCESS if fine else Outcome.SERIOUS_FAILURE
    reason = "" if fine else why
    site.audit.note(Message(Event.TRANSFERRED, "R", taking_part, about, (), outcome, reason))


def correction(site: Site, row: CorrectionRow) -> None:
    """What became of a SEG that arrived, and who decided so (A.5.3.6)."""
    by = Participant(row.calling_ae, RoleId.SOURCE, requestor=not actor()[0])
    details = {
        "state": str(row.state),
        "result": row.result_id or "none",
        "signal": str(row.signal or "none"),
    }
    about = (
        _study(row.study_uid, details, {SEG: (row.sop_instance_uid,)}),
        _patient(row.patient_key),
        *([_model(row.head, {})] if row.head else []),
    )
    kinds = (Type.CORRECTION, Type.DECISION) if actor()[0] else (Type.CORRECTION,)
    site.audit.note(Message(Event.ACCESSED, "U", (by, *_acting(site)), about, kinds))


def model(
    site: Site,
    action: str,
    key: str,
    head: str,
    details: Mapping[str, str],
    corrections: Iterable[str] = (),
) -> None:
    """A patient's or a group's model changed; ``action`` says how."""
    said = {**details, "action": action, **dict(_numbered(corrections))}
    kinds = (Type.DECISION,) if actor()[0] else (Type.ADAPTED,)
    code = "D" if action == "forget" else "U"
    about = (_model(head, said), _patient(key))
    site.audit.note(Message(Event.MODEL, code, _acting(site), about, kinds))


def export(site: Site, key: str, head: str, corrections: int) -> None:
    """A head left the house (A.5.3.5)."""
    media = Participant("file", RoleId.MEDIA)
    about = (_model(head, {"corrections": str(corrections)}), _patient(key))
    site.audit.note(Message(Event.EXPORT, "R", (*_acting(site), media), about))


def login(site: Site, user: str, address: str, why: str = "") -> None:
    """Somebody showed a token to the web page, a right one unless ``why`` says (A.5.3.12)."""
    outcome = Outcome.MINOR_FAILURE if why else Outcome.SUCCESS
    who = Participant(user or "unknown", requestor=True, address=address)
    taking_part = (who, _us(site, RoleId.APPLICATION))
    site.audit.note(Message(Event.USER, "E", taking_part, (), (Type.LOGIN,), outcome, why))


def _us(site: Site, role: RoleId, *, requestor: bool = False) -> Participant:
    """The service itself."""
    title = site.settings.listener.ae_title
    return Participant(title, role, requestor, alternative=f"process {os.getpid()}")


def _acting(site: Site) -> tuple[Participant, ...]:
    """The service, and the person on whose behalf it acts."""
    user, address = actor()
    us = _us(site, RoleId.APPLICATION, requestor=not user)
    return (Participant(user, requestor=True, address=address), us) if user else (us,)


def _place_of(site: Site, name: str) -> str:
    """AE title or address of a destination; empty when it is no longer in the settings."""
    for at in site.settings.addressees:
        if at.name == name:
            return f"AETITLES={at.ae_title}" if isinstance(at, Destination) else at.url
    return ""


def _study(
    uid: str,
    details: Mapping[str, str] | None = None,
    uids: Mapping[str, tuple[str, ...]] | None = None,
    instances: Mapping[str, int] | None = None,
) -> Object:
    """A study."""
    return Object(
        IdType.STUDY, uid, SYSTEM, REPORT, "study", details or {}, instances or {}, uids or {}
    )


def _patient(key: str | None) -> Object:
    """A patient: the key, or that there is none."""
    return Object(IdType.PATIENT, key or "none", PERSON, PATIENT, "withheld")


def _model(head: str, details: Mapping[str, str]) -> Object:
    """A head."""
    return Object(IdType.MODEL, head, SYSTEM, PROCESSING_ELEMENT, "head", details)


def _numbered(uids: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Corrections, each a detail of its own."""
    return ((f"correction {number}", uid) for number, uid in enumerate(uids, 1))


def _patient_of(site: Site, path: Path | None, calling_ae: str) -> str | None:
    """Key of the patient of a received file; None where it has none, or is no longer there."""
    if path is None:
        return None
    try:
        header: Dataset = pydicom.dcmread(
            path, stop_before_pixels=True, specific_tags=["PatientID", "IssuerOfPatientID"]
        )
        return site.patient(header, calling_ae)
    except (OSError, InvalidDicomError, ValueError, LookupError, TypeError, AttributeError):
        return None
