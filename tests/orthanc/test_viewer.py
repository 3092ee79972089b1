"""OHIF's files under Orthanc; with a fake of the ``orthanc`` module, a real one: tests/browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orthanc.viewer import file_for, register


@dataclass
class FakeOrthanc:
    """The part of Orthanc's module that the viewer uses."""

    folder: str
    log: list[str] = field(default_factory=list)
    routes: dict[str, Callable[..., None]] = field(default_factory=dict)

    def GetConfiguration(self) -> str:  # noqa: N802
        return json.dumps({"Glioloop": {"OhifFolder": self.folder}})

    def LogWarning(self, text: str) -> None:  # noqa: N802
        self.log.append(text)

    def RegisterRestCallback(self, address: str, answer: Callable[..., None]) -> None:  # noqa: N802
        self.routes[address] = answer


@dataclass
class FakeOutput:
    """What an answer was."""

    status: int = 200
    body: bytes = b""
    kind: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def SendMethodNotAllowed(self, _allowed: str) -> None:  # noqa: N802
        self.status = 405

    def SendHttpStatus(self, status: int, body: bytes) -> None:  # noqa: N802
        self.status, self.body = status, body

    def SetHttpHeader(self, name: str, value: str) -> None:  # noqa: N802
        self.headers[name] = value

    def AnswerBuffer(self, body: bytes, kind: str) -> None:  # noqa: N802
        self.body, self.kind = body, kind


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "ohif"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("page")
    (folder / "0ddf166f7a343eda.wasm").write_text("code")
    (folder / "app-config.js").write_text("ours")
    (tmp_path / "secret.json").write_text("secret")
    return folder


def asked(site: Path, name: str, method: str = "GET") -> FakeOutput:
    """What is answered to a request."""
    orthanc, output = FakeOrthanc(str(site)), FakeOutput()
    register(orthanc)
    answer: Any = orthanc.routes["/ohif/(.*)"]
    answer(output, f"/ohif/{name}", method=method, groups=(name,), headers={}, get={})
    return output


@pytest.mark.parametrize("name", ["", "segmentation", "viewer/orthanc"])
def test_addresses_of_pages_are_answered_with_the_page(site: Path, name: str) -> None:
    answer = asked(site, name)
    assert (answer.status, answer.body, answer.kind) == (200, b"page", "text/html")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'self'"


def test_a_file_whose_name_holds_a_hash_may_be_kept(site: Path) -> None:
    answer = asked(site, "0ddf166f7a343eda.wasm")
    assert (answer.body, answer.kind) == (b"code", "application/wasm")
    assert answer.headers["Cache-Control"] == "private, max-age=86400"
    assert asked(site, "app-config.js").headers["Cache-Control"] == "no-cache"
    assert asked(site, "app-config.js").kind == "text/javascript"


@pytest.mark.parametrize(
    "name",
    ["missing.js", "../secret.json", "/etc/passwd", "assets/../../secret.json", "a\0b", 300 * "a"],
)
def test_what_is_missing_or_lies_elsewhere_is_not_there(site: Path, name: str) -> None:
    assert file_for(site.resolve(), name) is None
    answer = asked(site, name)
    assert b"secret" not in answer.body
    assert b"root:" not in answer.body
    assert answer.status == 404


def test_nothing_can_be_sent_there(site: Path) -> None:
    assert asked(site, "", "POST").status == 405


def test_without_a_folder_nothing_is_served(site: Path) -> None:
    for folder, said in (("", 0), (str(site / "assets"), 1)):
        orthanc = FakeOrthanc(folder)
        assert register(orthanc) == ""
        assert orthanc.routes == {}
        assert len(orthanc.log) == said


def test_orthancs_own_page_gets_a_button(site: Path) -> None:
    orthanc = FakeOrthanc(str(site))
    assert "Correct in OHIF" in register(orthanc)
