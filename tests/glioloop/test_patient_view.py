"""Patients over the HTTP interface: models, volumes, and what a person decides about them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from web_site import KEY, WebSite, open_web, result

from glioloop import results
from glioloop.models import BASE
from study.patient import PatientKey

ME = PatientKey(KEY)
HEAD = {"weight": [[1.0]], "bias": [0.0]}


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSite]:
    with open_web(tmp_path / "data") as opened:
        yield opened


def learn(web: WebSite, parent: int, weight: float, correction: str) -> None:
    """A version of the patient's model."""
    web.site.models.accept(
        ME,
        parent=parent,
        backbone=web.site.manifest()["backbone_sha256"],
        head={**HEAD, "weight": [[weight]]},
        corrections=(correction,),
        metrics={"dice_base": {"enhancing": 0.4}, "dice_fitted": {"enhancing": 0.7}},
        software="1",
        created_at=3000.0 + parent,
    )


def segmented(web: WebSite, number: int, study_uid: str, date: str, enhancing: float) -> None:
    """A study of the patient with its result."""
    web.site.ledger.put(result(number, study_uid, 2000.0 + number))
    report = {
        "study_date": date,
        "same_person": True,
        "volumes_ml": {"necrosis": 1.0, "edema": 20.0, "enhancing": enhancing},
    }
    web.site.results.write(f"{number:032x}", results.REPORT, json.dumps(report).encode())


def test_patients_are_listed_by_their_keys_with_what_they_use(web: WebSite) -> None:
    assert web.get("patients") == []
    segmented(web, 1, "1.2", "20260101", 5.0)
    [row] = web.get("patients")
    assert (row["patient"], row["title"]) == (KEY, "patient abababab")
    assert (row["versions"], row["uses"]) == (0, "its group's head, or base")
    assert row["study_uid"] == "1.2"
    learn(web, BASE, 1.0, "1.9")
    [row] = web.get("patients")
    assert (row["versions"], row["uses"]) == (1, "abababab.1")


def test_a_patient_is_shown_with_versions_and_volumes(web: WebSite) -> None:
    segmented(web, 1, "1.2", "20260101", 5.0)
    segmented(web, 2, "1.3", "20260301", 8.0)
    learn(web, BASE, 1.0, "1.9")
    learn(web, 1, 2.0, "1.10")
    found = web.get(f"patients/{KEY}")
    assert [one["name"] for one in found["versions"]] == ["abababab.2", "abababab.1"]
    assert [one["in_use"] for one in found["versions"]] == [True, False]
    assert found["versions"][1]["parent"] == "base"
    assert found["versions"][0]["dice_fitted"] == {"enhancing": 0.7}
    assert [point["date"] for point in found["volumes"]] == ["20260101", "20260301"]
    assert [point["volumes_ml"]["core"] for point in found["volumes"]] == [6.0, 9.0]
    chart = web.client.get(f"/api/v1/patients/{KEY}/chart.svg")
    assert chart.headers["content-type"] == "image/svg+xml"
    drawn = ET.fromstring(chart.text)  # noqa: S314 - our own
    values = [text.text for text in drawn.iter() if text.get("class") == "value"]
    assert values == ["5.0", "8.0", "6.0", "9.0", "26.0", "29.0"]


def test_a_person_rolls_a_model_back_and_uses_others(web: WebSite) -> None:
    segmented(web, 1, "1.2", "20260101", 5.0)
    learn(web, BASE, 1.0, "1.9")
    learn(web, 1, 2.0, "1.10")
    at = f"/api/v1/patients/{KEY}"
    by = {"Glioloop-User": "reader"}
    assert web.client.post(f"{at}/rollback", headers=by).json() == {"uses": "abababab.1"}
    assert web.client.post(f"{at}/use", json={"what": "2"}).json() == {"uses": "abababab.2"}
    assert web.client.post(f"{at}/use", json={"what": "base"}).json() == {"uses": "base"}
    audit = web.get(f"patients/{KEY}")["audit"]
    assert [(one["action"], one["by"]) for one in audit] == [
        ("rollback", "web: reader"),
        ("use", "web"),
        ("use", "web"),
    ]
    assert len(web.woken) == 3


def test_nobody_is_forgotten_by_a_slip(web: WebSite) -> None:
    segmented(web, 1, "1.2", "20260101", 5.0)
    learn(web, BASE, 1.0, "1.9")
    at = f"/api/v1/patients/{KEY}/forget"
    refused = web.client.post(at, json={"confirm": "patient abab"})
    assert refused.status_code == 400
    assert "confirm is 'patient abababab'" in refused.json()["error"]
    assert len(web.site.models.patient(ME).versions) == 1
    assert web.client.post(at, json={"confirm": "patient abababab"}).json()["versions"] == 1
    assert web.site.models.patient(ME).versions == ()
    assert web.get("patients") == []


@pytest.mark.parametrize(
    ("who", "decision", "body", "sentence"),
    [
        ("nobody", "rollback", {}, "nobody is known by that"),
        ("cd" * 32, "rollback", {}, "nobody is known by that"),
        (KEY, "burn", {}, "'burn' is no decision"),
        (KEY, "rollback", {}, "uses no version of its own"),
        (KEY, "use", {"what": "7"}, "has no model version 7"),
        (KEY, "use", {"what": ""}, "group  has no head"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    web: WebSite, who: str, decision: str, body: dict[str, str], sentence: str
) -> None:
    segmented(web, 1, "1.2", "20260101", 5.0)
    answer = web.client.post(f"/api/v1/patients/{who}/{decision}", json=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert web.site.models.audit() == []


def test_a_page_of_elsewhere_decides_nothing(web: WebSite) -> None:
    learn(web, BASE, 1.0, "1.9")
    elsewhere = {"Origin": "https://evil.example"}
    answer = web.client.post(f"/api/v1/patients/{KEY}/rollback", headers=elsewhere)
    assert answer.status_code == 403
    assert web.site.models.audit() == []
