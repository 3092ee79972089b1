"""Glioloop's HTTP interface as Orthanc's plugin asks it, with the token that it wants.

Runs inside Orthanc's Python plugin with the standard library alone.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
"""Of one answer: opening a SEG that came takes seconds, and more on a machine that is busy."""
UNREACHABLE = b'{"error": "Glioloop does not answer: is it running, and is ServiceUrl right?"}'
JSON = "application/json"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks without a proxy, whatever the environment names: it would see the token."""


@dataclass(frozen=True)
class Answer:
    """What the service answered; status 502 when it did not."""

    status: int
    body: bytes
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether it did what it was asked."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def sentence(self) -> str:
        """Why it did not."""
        found = self.json()
        return str(found.get("error", self.status) if isinstance(found, dict) else self.status)

    def json(self) -> Any:
        """Its content; none where that is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


KEPT = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control")
"""Headers of an answer that are passed on."""


@dataclass(frozen=True)
class Service:
    """Where Glioloop's interface is."""

    url: str = ""
    """Empty: nowhere; it is asked nothing."""
    token_file: str = ""
    """File with the token that the interface wants; empty: it wants none."""

    def ask(self, path: str, body: bytes | None = None, person: str = "") -> Answer:
        """Ask one thing.

        Parameters
        ----------
        path
            After the address, with its query.
        body
            JSON to post; None to get.
        person
            Orthanc's user, for Glioloop's audit.
        """
        headers = {"Accept": "*/*"}
        if body is not None:
            headers["Content-Type"] = JSON
        if person:
            headers["Glioloop-User"] = person.encode("ascii", "replace").decode()
        try:
            if self.token_file:  # read each time, so that a new one needs no restart
                token = Path(self.token_file).read_text(encoding="utf-8").strip()
                headers["Authorization"] = f"Bearer {token}"
            request = urllib.request.Request(  # noqa: S310  the administrator wrote the address
                f"{self.url}/{path}", data=body, headers=headers
            )
            with DIRECT.open(request, timeout=TIMEOUT_S) as answer:
                return _answer(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as refused:
            with refused:
                return _answer(refused.code, refused.read(), refused.headers)
        except (OSError, http.client.HTTPException, ValueError):
            return Answer(HTTPStatus.BAD_GATEWAY, UNREACHABLE)


def _answer(status: int, body: bytes, headers: Any) -> Answer:
    """An answer with the headers that are passed on."""
    kept = tuple((name, headers[name]) for name in KEPT if name in headers)
    return Answer(status, body, headers.get("Content-Type", JSON), kept)


def read_service(orthanc: Any) -> Service:
    """The service of Orthanc's configuration, section ``Glioloop``."""
    section = json.loads(orthanc.GetConfiguration()).get("Glioloop", {})
    return Service(section.get("ServiceUrl", "").rstrip("/"), section.get("TokenFile", ""))
