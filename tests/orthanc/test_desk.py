"""Glioloop's page under Orthanc; with a fake of Orthanc's module, a real one: tests/browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from orthanc.desk import is_ours, person_of, register
from orthanc.service import Answer

STUDY = "-".join(["aaaaaaaa"] * 5)
OURS = {"content-type": "application/json", "origin": "http://pacs:8042", "host": "pacs:8042"}


DELIVERED = Answer(200, b'{"phase": "delivered"}')


class OrthancException(Exception):  # noqa: N818  the name is Orthanc's
    pass


@dataclass
class FakeOrthanc:
    """The part of Orthanc's module that the page uses: one study."""

    routes: dict[str, Callable[..., None]] = field(default_factory=dict)
    OrthancException = OrthancException

    def RegisterRestCallback(self, address: str, answer: Callable[..., None]) -> None:  # noqa: N802
        self.routes[address] = answer

    def RestApiGet(self, path: str) -> bytes:  # noqa: N802
        if path != f"/studies/{STUDY}":
            raise OrthancException("unknown resource")
        return json.dumps({"MainDicomTags": {"StudyInstanceUID": "1.2.3"}}).encode()

    def RestApiPost(self, path: str, body: str) -> bytes:  # noqa: N802
        assert path == "/tools/lookup"
        found = [{"Type": "Study", "ID": STUDY}] if body == "1.2.3" else []
        return json.dumps(found).encode()


@dataclass
class FakeOutput:
    """What an answer was."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def SendMethodNotAllowed(self, _allowed: str) -> None:  # noqa: N802
        self.status = 405

    def SendHttpStatus(self, status: int, body: bytes) -> None:  # noqa: N802
        self.status, self.body = status, body

    def SetHttpHeader(self, name: str, value: str) -> None:  # noqa: N802
        self.headers[name] = value

    def AnswerBuffer(self, body: bytes, kind: str) -> None:  # noqa: N802
        self.body, self.headers["Content-Type"] = body, kind

    def Redirect(self, address: str) -> None:  # noqa: N802
        self.status, self.headers["Location"] = 301, address


@dataclass
class FakeService:
    """Glioloop, which answers the same to everything."""

    url: str = "http://127.0.0.1:1"
    answer: Answer = DELIVERED
    asked: list[tuple[str, bytes | None, str]] = field(default_factory=list)

    def ask(self, path: str, body: bytes | None = None, person: str = "") -> Answer:
        self.asked.append((path, body, person))
        return self.answer


@dataclass
class FakeRouter:
    """Routing, with some instances under way."""

    waiting: int = 0
    taught: list[str] = field(default_factory=list)

    def sending(self, _study: str) -> int:
        return self.waiting

    def ask(self, _study: str, _person: str) -> bool:
        return self.waiting > 0

    def teach(self, series: str) -> int:
        self.taught.append(series)
        return 1


@dataclass
class Scene:
    """All three, and who asks."""

    orthanc: FakeOrthanc = field(default_factory=FakeOrthanc)
    service: FakeService = field(default_factory=FakeService)
    router: FakeRouter = field(default_factory=FakeRouter)

    def ask(self, address: str, named: str, method: str = "GET", **request: Any) -> FakeOutput:
        """What is answered at one of the addresses, whose pattern begins so."""
        router: Any = self.router
        service: Any = self.service
        register(self.orthanc, router, service)
        [answer] = [a for pattern, a in self.orthanc.routes.items() if pattern.startswith(address)]
        output = FakeOutput()
        usual = {"headers": OURS if method == "POST" else {}, "get": {}, "body": b""}
        answer(output, "", method=method, groups=(named,), **{**usual, **request})
        return output


def test_without_an_address_of_glioloop_nothing_is_served() -> None:
    orthanc = FakeOrthanc()
    nobody: Any = FakeService(url="")
    assert register(orthanc, nobody, nobody) == ""
    assert orthanc.routes == {}


@pytest.mark.parametrize("named", [STUDY, "1.2.3"])
def test_the_state_of_a_study_is_glioloops(named: str) -> None:
    scene = Scene()
    output = scene.ask("/glioloop/state", named)
    assert (output.status, json.loads(output.body)) == (200, {"phase": "delivered"})
    assert scene.service.asked == [("api/v1/studies/1.2.3", None, "")]


def test_while_it_is_on_its_way_that_is_its_state_whatever_glioloop_knows() -> None:
    for answer in (Answer(200, b'{"phase": "unknown"}'), Answer(502, b'{"error": "down"}')):
        scene = Scene(service=FakeService(answer=answer), router=FakeRouter(waiting=3))
        output = scene.ask("/glioloop/state", STUDY)
        found = json.loads(output.body)
        assert (output.status, found["phase"], found["sending"]) == (200, "sending", 3)


def test_that_glioloop_is_down_is_said() -> None:
    scene = Scene(service=FakeService(answer=Answer(502, b'{"error": "down"}')))
    output = scene.ask("/glioloop/state", STUDY)
    assert (output.status, json.loads(output.body)) == (502, {"error": "down"})


@pytest.mark.parametrize("named", ["-".join(["b" * 8] * 5), "9.9.9"])
def test_what_orthanc_does_not_have_is_not_there(named: str) -> None:
    assert Scene().ask("/glioloop/state", named).status == 404


def test_a_study_is_asked_for_at_once_where_all_of_it_is_there() -> None:
    scene = Scene()
    user = base64.b64encode(b"reader:secret").decode()
    headers = {**OURS, "authorization": f"Basic {user}"}
    output = scene.ask("/glioloop/segment", STUDY, "POST", headers=headers)
    assert output.status == 200
    assert scene.service.asked == [("api/v1/studies/1.2.3/segment", b"{}", "reader")]


def test_a_study_that_is_sent_first_is_asked_for_later() -> None:
    scene = Scene(router=FakeRouter(waiting=3))
    output = scene.ask("/glioloop/segment", STUDY, "POST")
    assert json.loads(output.body) == {"study_uid": "1.2.3", "phase": "sending"}
    assert scene.service.asked == []


def test_a_series_is_taught() -> None:
    scene = Scene()
    assert json.loads(scene.ask("/glioloop/teach", STUDY, "POST").body) == {"segs": 1}
    assert scene.router.taught == [STUDY]


def test_the_page_and_its_questions_are_passed_on_with_their_headers() -> None:
    answer = Answer(200, b"page", "text/html", (("Content-Security-Policy", "strict"),))
    scene = Scene(service=FakeService(answer=answer))
    output = scene.ask("/glioloop/((", "desk/a b", get={"q": "x&y"})
    assert (output.body, output.headers["Content-Type"]) == (b"page", "text/html")
    assert output.headers["Content-Security-Policy"] == "strict"
    assert scene.service.asked == [("desk/a%20b?q=x%26y", None, "")]
    scene.ask("/glioloop/((", "api/v1/x", "POST", body=b"{}")
    assert scene.service.asked[1] == ("api/v1/x", b"{}", "")


def test_a_refusal_is_passed_on() -> None:
    scene = Scene(service=FakeService(answer=Answer(400, b'{"error": "no"}')))
    output = scene.ask("/glioloop/((", "api/v1/x", "POST")
    assert (output.status, output.body) == (400, b'{"error": "no"}')


def test_an_address_without_its_page_leads_there() -> None:
    output = Scene().ask("/(glioloop", "glioloop")
    assert output.headers["Location"] == "/glioloop/desk/index.html"


@pytest.mark.parametrize(
    "headers",
    [
        {**OURS, "origin": "https://evil.example"},
        {**OURS, "origin": "null"},
        {**OURS, "content-type": "text/plain"},
        {**OURS, "content-type": "application/x-www-form-urlencoded"},
        {"host": "pacs:8042"},
    ],
)
@pytest.mark.parametrize("address", ["/glioloop/segment", "/glioloop/teach", "/glioloop/(("])
def test_a_page_of_elsewhere_can_ask_for_nothing(headers: dict[str, str], address: str) -> None:
    scene = Scene()
    output = scene.ask(address, STUDY, "POST", headers=headers)
    assert (output.status, output.body) == (403, b'{"error": "this page is not ours"}')
    assert (scene.service.asked, scene.router.taught) == ([], [])


def test_a_proxy_in_front_may_have_another_address() -> None:
    behind = {**OURS, "host": "127.0.0.1:8042", "origin": "https://pacs.example"}
    assert not is_ours(behind)
    assert is_ours({**behind, "x-forwarded-host": "pacs.example"})
    assert is_ours({"content-type": "application/json; charset=utf-8"})  # a program


def test_what_only_looks_is_not_posted_and_what_changes_is_not_got() -> None:
    assert Scene().ask("/glioloop/state", STUDY, "POST").status == 405
    assert Scene().ask("/glioloop/segment", STUDY, "GET").status == 405
    assert Scene().ask("/glioloop/((", "api/v1/x", "DELETE").status == 405


@pytest.mark.parametrize("value", ["", "Bearer abc", "Basic !!", "Basic /w=="])
def test_who_asks_without_a_name_is_nobody(value: str) -> None:
    assert person_of({"authorization": value}) == ""
