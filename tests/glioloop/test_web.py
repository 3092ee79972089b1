"""The HTTP interface and the status page: loopback names only, every value escaped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from glioloop import settings
from glioloop.ledger_schema import CorrectionState, StudyState
from glioloop.site import Site, open_site
from glioloop.web import WebServer, application
from listener.inbox import Received

IMAGE = Received(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
    sop_instance_uid="1.1.1",
    series_uid="1.1",
    study_uid="1.2",
    modality="MR",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    calling_ae="SCANNER",
    called_ae="GLIOLOOP",
    received_at=0.0,
    path=Path("a.dcm"),
    sha256="aa",
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = open_site(settings.load(data=tmp_path, web={"port": 0}))
    made.ledger.enter(IMAGE)
    yield made
    made.ledger.close()


@pytest.fixture
def woken() -> list[bool]:
    return []


@pytest.fixture
def client(site: Site, woken: list[bool]) -> Iterator[httpx.Client]:
    app = application(site, lambda: woken.append(True))
    server = WebServer(app, site.settings.web)
    port = server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as made:
        yield made
    server.stop()


def test_health_answers(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}


def test_every_table_is_served_as_json(client: httpx.Client) -> None:
    (study,) = client.get("/api/v1/studies").json()
    assert (study["study_uid"], study["state"]) == ("1.2", "receiving")
    assert study["last_arrival"] == "1970-01-01T00:00:00+00:00"
    assert "patient_key" not in study
    for name in ("jobs", "results", "corrections", "deliveries", "models"):
        assert client.get(f"/api/v1/{name}").json() == []


def test_status_counts_what_waits_for_a_person(client: httpx.Client, site: Site) -> None:
    site.ledger.set_study("1.2", state=StudyState.HELD)
    site.ledger.enter(replace(IMAGE, sop_instance_uid="1.9", modality="SEG", sha256="bb"))
    site.ledger.set_correction("1.9", state=CorrectionState.HELD)
    found = client.get("/api/v1/status").json()
    assert (found["held"], found["studies"]) == (2, {"held": 1})


def test_a_list_of_instances_is_written_down_and_wakes_the_service(
    client: httpx.Client, site: Site, woken: list[bool]
) -> None:
    answer = client.post("/api/v1/studies/1.2/instances", json={"instances": ["1.1", "1.2"]})
    assert (answer.status_code, answer.json()) == (202, {"study_uid": "1.2", "expected": 2})
    assert site.ledger.study("1.2").expected == ["1.1", "1.2"]
    assert woken == [True]


@pytest.mark.parametrize(
    ("path", "content", "sentence"),
    [
        ("1.2/instances", b"[]", "a list of SOP Instance UIDs is needed"),
        ("1.2/instances", b'{"a": 1}', "a list of SOP Instance UIDs is needed"),
        ("1.2/instances", b'["1.2", "../etc"]', "that is no UID"),
        ("1.2/instances", b"[3]", "that is no UID"),
        ("1.2/instances", b"{", "the request is not JSON"),
        ("x/instances", b'["1.2"]', "that is no UID"),
        ("9.9/segment", b"", "no image of study 9.9 was ever received"),
        ("1.2/segment", b'{"as": {"T3": "1.2"}}', "'T3' is no role"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    client: httpx.Client, woken: list[bool], path: str, content: bytes, sentence: str
) -> None:
    answer = client.post(f"/api/v1/studies/{path}", content=content)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert woken == []


def test_a_request_that_is_too_large_is_refused(client: httpx.Client) -> None:
    content = b'["' + b"1" * (9 << 20) + b'"]'
    answer = client.post("/api/v1/studies/1.2/instances", content=content)
    assert (answer.status_code, "larger than 8 MiB" in answer.text) == (400, True)


def test_other_names_of_this_machine_are_not_answered(client: httpx.Client) -> None:
    assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/health", headers={"Host": "localhost:8043"}).status_code == 200


def test_the_page_shows_the_reason_and_escapes_it(client: httpx.Client, site: Site) -> None:
    site.ledger.set_study("1.2", state=StudyState.HELD, reason="<script>alert(1)</script>")
    page = client.get("/").text
    assert '<tr class="held">' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" not in page


def test_the_page_counts_in_words(client: httpx.Client, site: Site) -> None:
    site.ledger.set_study("1.2", state=StudyState.HELD, reason="")
    page = client.get("/").text
    assert "<td>held 1</td>" in page
    assert "<th>disk free gib</th>" in page
    assert "<td>1.2</td>" in page  # a short UID is not broken
    site.ledger.enter(replace(IMAGE, study_uid="1.2.826.0.1.3680043.8.498", sop_instance_uid="1.8"))
    assert '<td class="long">1.2.826.0.1.3680043.8.498</td>' in client.get("/").text


def held(site: Site) -> None:
    site.ledger.enter(replace(IMAGE, sop_instance_uid="1.9", modality="SEG", sha256="bb"))
    site.ledger.set_correction("1.9", state=CorrectionState.HELD)


def test_when_it_came_is_a_time_and_whether_it_was_looked_at_is_none(
    client: httpx.Client, site: Site
) -> None:
    held(site)
    [row] = client.get("/api/v1/corrections").json()
    assert (row["received_at"], row["looked_at"]) == ("1970-01-01T00:00:00+00:00", False)


def test_a_held_correction_is_rejected_over_http(
    client: httpx.Client, site: Site, woken: list[bool]
) -> None:
    held(site)
    answer = client.post("/api/v1/corrections/1.9/reject")
    assert (answer.status_code, answer.json()["done"]) == (202, "rejected")
    assert site.ledger.correction("1.9").state == CorrectionState.REJECTED
    assert woken == [True]


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("1.9/withdraw", {}, "SEG 1.9 teaches nothing: it is held"),
        ("1.9/burn", {}, "'burn' is no decision"),
        ("1.9/accept", {"map": {"Seg 1": "liver"}}, "'liver' is no tissue"),
        ("1.9/accept", {}, "it is not known which result it corrects"),
        ("8.8/reject", {}, "no SEG 8.8 was ever received"),
        ("x/reject", {}, "that is no UID"),
    ],
)
def test_a_decision_that_cannot_be_is_refused_in_a_sentence(
    client: httpx.Client, site: Site, path: str, body: dict[str, object], sentence: str
) -> None:
    held(site)
    answer = client.post(f"/api/v1/corrections/{path}", json=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert site.ledger.correction("1.9").state == CorrectionState.HELD


def test_the_page_has_buttons_for_what_waits_for_a_person(client: httpx.Client, site: Site) -> None:
    assert "<form" not in client.get("/").text
    held(site)
    page = client.get("/").text
    assert 'value="accept"' in page
    assert 'value="reject"' in page
    assert 'value="withdraw"' not in page
    site.ledger.set_correction("1.9", state=CorrectionState.ACCEPTED)
    assert 'value="withdraw"' in client.get("/").text


def test_a_button_does_what_it_says_and_shows_the_page_again(
    client: httpx.Client, site: Site, woken: list[bool]
) -> None:
    held(site)
    answer = client.post("/decide", data={"uid": "1.9", "decision": "reject", "map": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert site.ledger.correction("1.9").state == CorrectionState.REJECTED
    assert woken == [True]


def test_a_button_that_can_do_nothing_says_why(client: httpx.Client, site: Site) -> None:
    held(site)
    typed = {"uid": "1.9", "decision": "accept", "map": "<b>Seg 1"}
    answer = client.post("/decide", data=typed)
    assert answer.status_code == 400
    assert "NAME=VALUE is needed, not &#x27;&lt;b&gt;Seg 1&#x27;" in answer.text
    answer = client.post("/decide", data={"uid": "1.9", "decision": "segment"})
    assert "no image of study 1.9 was ever received" in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_elsewhere_cannot_decide(client: httpx.Client, site: Site, origin: str) -> None:
    held(site)
    answer = client.post("/api/v1/corrections/1.9/reject", headers={"Origin": origin})
    assert (answer.status_code, answer.json()) == (403, {"error": "this page is not ours"})
    assert site.ledger.correction("1.9").state == CorrectionState.HELD
    assert client.get("/health", headers={"Origin": origin}).status_code == 200


def test_our_own_page_can_decide(client: httpx.Client, site: Site) -> None:
    held(site)
    own = {"Origin": str(client.base_url)}
    assert client.post("/api/v1/corrections/1.9/reject", headers=own).status_code == 202
