"""STOW-RS against a server that answers what a test says; a real Orthanc: tests/acceptance."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from listener.dicomweb import Server, store, verify
from listener.scu import DeliveryError, RejectedDeliveryError
from study.errors import RefusedError


def stored(*failures: tuple[str, int]) -> bytes:
    """What a server says of one request."""
    if not failures:
        return json.dumps({"00081199": {"vr": "SQ", "Value": [{}]}}).encode()
    items = [
        {
            "00081155": {"vr": "UI", "Value": [uid]},
            "00081197": {"vr": "US", "Value": [status]},
        }
        for uid, status in failures
    ]
    return json.dumps({"00081198": {"vr": "SQ", "Value": items}}).encode()


class Archive(HTTPServer):
    """Answers with what it is told to, the last answer again and again."""

    answers: list[tuple[int, bytes]]
    asked: list[tuple[str, str, dict[str, str], bytes]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/dicom-web/"


class Handler(BaseHTTPRequestHandler):
    server: Archive

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        answers = self.server.answers
        status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def archive() -> Iterator[Archive]:
    with Archive(("127.0.0.1", 0), Handler) as server:
        server.asked, server.answers = [], [(200, stored())]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two files; what is in them does not matter, and must arrive byte by byte."""
    made = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    for path in made:
        path.write_bytes(b"\0\r\n--\xff" + path.name.encode())
    return made


def test_each_file_is_stored_as_it_is_in_a_request_of_its_own(
    archive: Archive, files: list[Path]
) -> None:
    store(Server(archive.url, user="glioloop", password="secret"), files)  # noqa: S106
    assert len(archive.asked) == 2
    for path, (method, address, headers, body) in zip(files, archive.asked, strict=True):
        assert (method, address) == ("POST", "/dicom-web/studies")
        assert headers["Authorization"] == "Basic Z2xpb2xvb3A6c2VjcmV0"
        kind, _, boundary = headers["Content-Type"].partition("; boundary=")
        assert kind == 'multipart/related; type="application/dicom"'
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        assert body == head + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()


def test_a_token_is_shown(archive: Archive) -> None:
    verify(Server(archive.url, token="t0ken"))  # noqa: S106
    assert archive.asked[0][2]["Authorization"] == "Bearer t0ken"
    assert archive.asked[0][1] == "/dicom-web/studies?limit=1"


@pytest.mark.parametrize(
    "answer",
    [
        (503, b""),
        (401, b""),  # a password is mended, and then it is taken
        (302, b""),
        (200, b"<html>"),
        (200, b"{}"),
        (200, b"[]"),
        (409, stored(("1.2", 0xA700))),
        (202, stored(("1.2", 0x0110))),
    ],
)
def test_what_leaves_it_in_doubt_is_tried_again(
    archive: Archive, files: list[Path], answer: tuple[int, bytes]
) -> None:
    archive.answers = [answer]
    with pytest.raises(DeliveryError):
        store(Server(archive.url), files)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((409, stored(("1.2.3", 0xC000))), "1.2.3: status 0xC000"),
        ((200, stored(("1.2.3", 0x0122))), "1.2.3: status 0x0122"),
        ((415, b""), "a.dcm: HTTP status 415"),
    ],
)
def test_what_is_refused_for_good_is_said_once_the_rest_was_taken(
    archive: Archive, files: list[Path], answer: tuple[int, bytes], reason: str
) -> None:
    archive.answers = [answer, (200, stored())]
    with pytest.raises(RejectedDeliveryError) as refused:
        store(Server(archive.url), files)
    assert "refused 1 of 2 objects" in str(refused.value)
    assert reason in str(refused.value)
    assert len(archive.asked) == 2


def test_nobody_there_is_tried_again(free_port: Callable[[], int], files: list[Path]) -> None:
    server = Server(f"http://127.0.0.1:{free_port()}/dicom-web")
    for act in (lambda: store(server, files), lambda: verify(server)):
        with pytest.raises(DeliveryError, match="does not answer"):
            act()


def test_a_server_that_answers_no_questions_is_no_archive(archive: Archive) -> None:
    archive.answers = [(404, b"")]
    with pytest.raises(DeliveryError, match="answers 404"):
        verify(Server(archive.url))


def test_authorities_that_are_not_there_are_named(tmp_path: Path, files: list[Path]) -> None:
    server = Server("https://127.0.0.1:1", authorities=tmp_path / "missing.pem")
    with pytest.raises(RefusedError, match="cannot be read"):
        store(server, files)


def test_no_secret_is_printed() -> None:
    server: Any = Server("http://a", "user", "s3cret", "t0ken")
    assert "s3cret" not in repr(server)
    assert "t0ken" not in repr(server)
