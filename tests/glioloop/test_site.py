"""Whose an object is: the issuer of its Patient ID, and what an object's own ID must agree with."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydicom import Dataset

from glioloop import settings
from glioloop.model_merging import merge, person
from glioloop.site import Site, open_site
from study.errors import RefusedError


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


SHARED = "postgresql://glioloop@127.0.0.1:1/jobs"


def test_nodes_that_share_jobs_need_one_absolute_folder() -> None:
    with pytest.raises(RefusedError, match="under one absolute path on each machine"):
        open_site(settings.load(data=Path("glioloop-data"), jobs_url=SHARED))


@pytest.mark.parametrize(
    ("file", "setting"), [("ledger.db", "ledger_url"), ("models/models.db", "models_url")]
)
def test_what_was_known_before_the_jobs_were_shared_is_not_forgotten(
    tmp_path: Path, file: str, setting: str
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(RefusedError, match=f"would be forgotten: copy .* or set {setting}"):
        open_site(settings.load(data=tmp_path, jobs_url=SHARED))


def test_a_shared_database_holds_ledger_and_models_too(tmp_path: Path) -> None:
    alone = settings.load(data=tmp_path)
    assert (alone.shared, alone.node_name) == (False, "local")
    assert alone.ledger_place == tmp_path / "ledger.db"
    assert alone.models_place == tmp_path / "models"
    together = settings.load(data=tmp_path, jobs_url=SHARED, models_url="sqlite:///m.db")
    assert together.shared
    assert together.database == together.ledger_place == SHARED
    assert together.models_place == "sqlite:///m.db"
    assert together.node_name == socket.gethostname()
    assert settings.load(data=tmp_path, jobs_url=SHARED, node="a").node_name == "a"
    assert "glioloop@" not in repr(together)
