"""How the plugin asks Glioloop: with its token, without a proxy, and never with an exception."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from orthanc.service import Service, read_service


class Glioloop(HTTPServer):
    """Answers every question with what was asked; 403 where it is so named."""

    asked: list[tuple[str, str, dict[str, str], bytes]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Glioloop

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        self.send_response(403 if "forbidden" in self.path else 202)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Security-Policy", "strict")
        self.send_header("Set-Cookie", "session=1")
        self.end_headers()
        self.wfile.write(b'{"error": "no"}')

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def glioloop() -> Iterator[Glioloop]:
    with Glioloop(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_token_is_read_anew_for_each_question(glioloop: Glioloop, tmp_path: Path) -> None:
    token = tmp_path / "token"
    service = Service(glioloop.url, str(token))
    for secret in ("first\n", "second\n"):
        token.write_text(secret)
        assert service.ask("api/v1/x", b"{}", "Reader ß").is_well
    given = [headers["Authorization"] for _, _, headers, _ in glioloop.asked]
    assert given == ["Bearer first", "Bearer second"]
    method, path, headers, body = glioloop.asked[0]
    assert (method, path, body) == ("POST", "/api/v1/x", b"{}")
    assert headers["Content-Type"] == "application/json"
    assert headers["Glioloop-User"] == "Reader ?"


def test_without_a_token_none_is_sent_and_who_asks_for_nobody_names_nobody(
    glioloop: Glioloop,
) -> None:
    answer = Service(glioloop.url).ask("x")
    _, _, headers, _ = glioloop.asked[0]
    assert set(headers) & {"Authorization", "Glioloop-User"} == set()
    assert answer.headers == (("Content-Security-Policy", "strict"),)


def test_no_proxy_sees_a_question(glioloop: Glioloop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert Service(glioloop.url).ask("x").status == 202


def test_a_refusal_is_an_answer(glioloop: Glioloop) -> None:
    answer = Service(glioloop.url).ask("forbidden")
    assert (answer.status, answer.is_well, answer.sentence) == (403, False, "no")


def test_nobody_there_is_an_answer_too(free_port: Callable[[], int], tmp_path: Path) -> None:
    for service in (
        Service(f"http://127.0.0.1:{free_port()}"),
        Service("http://127.0.0.1:1", str(tmp_path / "missing")),
        Service("no address"),
    ):
        answer = service.ask("x")
        assert answer.status == 502
        assert "does not answer" in answer.sentence


class FakeOrthanc:
    configuration: dict[str, Any]

    def GetConfiguration(self) -> str:  # noqa: N802
        return json.dumps(self.configuration)


def test_where_it_is_stands_in_orthancs_configuration() -> None:
    orthanc = FakeOrthanc()
    orthanc.configuration = {}
    assert read_service(orthanc) == Service("", "")
    orthanc.configuration = {"Glioloop": {"ServiceUrl": "http://g:1/", "TokenFile": "/t"}}
    assert read_service(orthanc) == Service("http://g:1", "/t")
