"""What identifies a person stays in the images: a token in each attribute is found nowhere else."""

from __future__ import annotations

import logging

import httpx
import pytest
from audit_schema import kind, parsed
from small_world import World, write_study

from glioloop import overview

TOKENS = {
    "PatientName": "Tokenpn^Quagga",
    "PatientID": "TOKENID-7",
    "OtherPatientIDs": "TOKENOTHER",
    "PatientAddress": "TOKENADDRESS",
    "PatientTelephoneNumbers": "TOKENPHONE",
    "PatientComments": "TOKENCOMMENT",
    "InstitutionName": "TOKENINSTITUTION",
    "ReferringPhysicianName": "Tokenreferring^A",
    "PerformingPhysicianName": "Tokenperforming^B",
    "OperatorsName": "Tokenoperator^C",
    "StudyID": "TOKENSTUDYID",
    "DeviceSerialNumber": "TOKENSERIAL",
}


def test_they_are_in_no_log_name_table_page_or_audit(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for logger in ("glioloop", "listener"):
        caplog.set_level(logging.DEBUG, logger)
    service, study = world.start(), write_study(world.folder / "in", **TOKENS)
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study, creator="Tokencreator^D")], called="GLIOLOOP_LEARN")
    world.until(lambda: [c.state for c in service.site.ledger.corrections()] == ["accepted"])
    with httpx.Client(base_url=f"http://127.0.0.1:{world.web}", timeout=60) as client:
        shown = [client.get(f"/api/v1/{name}").content for name in ("status", *overview.TABLES)]
        shown.append(client.get("/").content)
    audit = [line for path in service.site.audit.files() for line in path.read_bytes().splitlines()]
    world.stop()

    data = world.folder / "data"
    told = [caplog.text.encode(), *shown, *(str(p).encode() for p in data.rglob("*"))]
    told += [p.read_bytes() for p in data.rglob("*") if p.is_file() and p.suffix != ".dcm"]
    assert any(b"delivered" in text for text in shown)
    for token in [*TOKENS.values(), "Tokencreator^D"]:
        for word in token.split("^"):
            if len(word) > 1:
                assert not any(word.encode() in text for text in told), word

    said = [kind(parsed(line)) for line in audit]
    for happened in (
        ("Application Activity", "Application Start", "0"),
        ("Security Alert", "Node Authentication", "0"),
        ("DICOM Instances Transferred", "", "0"),
        ("DICOM Instances Accessed", "Segmented", "0"),
        ("DICOM Instances Accessed", "Correction", "0"),
        ("Patient's Model Changed", "Fitted to Corrections", "0"),
    ):
        assert happened in said
