"""Whose an object is: the issuer of its Patient ID, and what an object's own ID must agree with."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from glioloop import settings
from glioloop.model_merging import merge, person
from glioloop.site import Site, open_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.delenv("GLIOLOOP_CONFIG", raising=False)
    given = {"issuers": {"MR_NORTH": "NORTH"}}
    return open_site(settings.load(data=tmp_path / "data", listener=given))


def header(patient_id: str, issuer: str = "") -> Dataset:
    made = Dataset()
    made.PatientID = patient_id
    if issuer:
        made.IssuerOfPatientID = issuer
    return made


def test_the_issuer_defaults_by_the_calling_ae(site: Site) -> None:
    north = site.patient(header("7", "NORTH"), "ANY")
    assert north is not None
    assert site.patient(header("7"), "MR_NORTH") == north
    assert site.patient(header("7", " NORTH "), "ANY") == north
    assert site.patient(header("7"), "MR_SOUTH") != north
    assert site.patient(header("7", "SOUTH"), "MR_NORTH") != north
    assert site.patient(header("07"), "MR_NORTH") != north
    assert site.patient(header("UNKNOWN"), "MR_NORTH") is None


def test_an_objects_own_id_agrees_or_was_merged(site: Site) -> None:
    one, other = person(site.secret, "NORTH", "7"), person(site.secret, "NORTH", "8")
    third = person(site.secret, "SOUTH", "7")

    def agrees(found: str | None, *, whole: bool) -> bool:
        return site.is_theirs(one.key, one.id_key, found, whole=whole)

    assert agrees(one.key, whole=True)
    assert not agrees(third.key, whole=True)  # the same ID of another issuer
    assert agrees(one.id_key, whole=False)
    assert not agrees(other.key, whole=True)
    assert not agrees(other.id_key, whole=False)
    assert not agrees(None, whole=True)
    assert not site.is_theirs(None, None, one.key, whole=True)
    merge(site.models, one, other, "anna")
    assert agrees(other.key, whole=True)
    assert agrees(other.id_key, whole=False)
    assert not agrees(third.key, whole=True)
