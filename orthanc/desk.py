"""Glioloop's page under Orthanc, and its buttons on Orthanc's own pages.

Runs inside Orthanc's Python plugin with the standard library alone. Orthanc asks for user and
password as for everything else; Glioloop's interface need not be reachable from the network. A
browser sends that password along with what a page of elsewhere asks of it, so what changes
something is done only for our own pages: `is_ours`.

===================================  ===============================================================
``/glioloop/desk/index.html``         the page, as Glioloop serves it
``/glioloop/api/v1/...``             what it asks, passed on
``/glioloop/state/{study}``          where a study is; also while it is on its way from here
``POST /glioloop/segment/{study}``   have a study segmented; what Glioloop lacks is sent first
``POST /glioloop/teach/{series}``    send a person's SEGs of a series to ``GLIOLOOP_LEARN``
===================================  ===============================================================

A study is named by Orthanc's id or by its (0020,000D) *Study Instance UID*.
"""

from __future__ import annotations

import base64
import binascii
import json
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orthanc.routing import Router
    from orthanc.service import Service

EXPLORER = Path(__file__).with_name("explorer.js")
"""What Orthanc's own pages get."""

PAGE = "/glioloop/desk/index.html"
JSON = "application/json"
OK, REDIRECTED, FORBIDDEN, NOT_FOUND = 200, 300, 403, 404
NOT_OURS = "this page is not ours"
UNKNOWN = "Orthanc has no such study or series"

Handler = Callable[[Any, str, Mapping[str, Any]], None]
"""Answers a request: output, what its address names, the request."""


def register(orthanc: Any, router: Router, service: Service) -> str:
    """Serve the page and the buttons; what Orthanc's own pages get for them.

    Nothing is served where the configuration names no ``ServiceUrl``.
    """
    if not service.url:
        return ""
    desk = Desk(orthanc, router, service)
    for address, methods, handler in (
        ("/(glioloop(?:/desk)?)", ("GET",), desk.redirect),
        ("/glioloop/((?:desk|api/v1)/.*)", ("GET", "POST"), desk.pass_on),
        ("/glioloop/state/([0-9a-f.-]+)", ("GET",), desk.state),
        ("/glioloop/segment/([0-9a-f.-]+)", ("POST",), desk.segment),
        ("/glioloop/teach/([0-9a-f-]+)", ("POST",), desk.teach),
    ):
        orthanc.RegisterRestCallback(address, guarded(orthanc, methods, handler))
    return EXPLORER.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Desk:
    """What is answered. Each is given the output, what the address names, and the request."""

    orthanc: Any
    router: Router
    service: Service

    def redirect(self, output: Any, _path: str, _request: Mapping[str, Any]) -> None:
        """Orthanc drops the slash at the end of an address, which the page cannot do without."""
        output.Redirect(PAGE)

    def pass_on(self, output: Any, path: str, request: Mapping[str, Any]) -> None:
        """Glioloop's own answer."""
        body = request.get("body") if request["method"] == "POST" else None
        asked = urllib.parse.quote(path)
        if request.get("get"):
            asked = f"{asked}?{urllib.parse.urlencode(request['get'])}"
        answer = self.service.ask(asked, body, person_of(request["headers"]))
        for name, value in answer.headers:
            output.SetHttpHeader(name, value)
        send(output, answer.status, answer.body, answer.kind)

    def state(self, output: Any, named: str, _request: Mapping[str, Any]) -> None:
        """Where a study is."""
        study, uid = find(self.orthanc, named)
        waiting = self.router.sending(study)
        answer = self.service.ask(f"api/v1/studies/{uid}")
        found = answer.json() if answer.is_well else {"error": answer.sentence}
        if waiting:
            found = {**(found or {}), "phase": "sending", "sending": waiting}
        send_json(output, OK if waiting else answer.status, found)

    def segment(self, output: Any, named: str, request: Mapping[str, Any]) -> None:
        """A person wants a study segmented."""
        study, uid = find(self.orthanc, named)
        person = person_of(request["headers"])
        if self.router.ask(study, person):
            send_json(output, OK, {"study_uid": uid, "phase": "sending"})
            return
        answer = self.service.ask(f"api/v1/studies/{uid}/segment", b"{}", person)
        send(output, answer.status, answer.body, answer.kind)

    def teach(self, output: Any, named: str, _request: Mapping[str, Any]) -> None:
        """A person wants a SEG to be learnt from."""
        send_json(output, OK, {"segs": self.router.teach(named)})


def guarded(orthanc: Any, methods: tuple[str, ...], handler: Handler) -> Callable[..., None]:
    """A handler as Orthanc calls it, asked only by the methods it knows, and by our own pages."""

    def answer(output: Any, _uri: str, **request: Any) -> None:
        if request["method"] not in methods:
            output.SendMethodNotAllowed(",".join(methods))
            return
        if request["method"] != "GET" and not is_ours(request["headers"]):
            send_json(output, FORBIDDEN, {"error": NOT_OURS})
            return
        try:
            handler(output, request["groups"][0], request)
        except (orthanc.OrthancException, LookupError):
            send_json(output, NOT_FOUND, {"error": UNKNOWN})

    return answer


def is_ours(headers: Mapping[str, str]) -> bool:
    """Whether a request that changes something comes from our own page, or from a program.

    A browser lets no page of elsewhere send JSON without asking first, which Orthanc does not
    answer; and it says in Origin where the page is from. A proxy in front says in X-Forwarded-Host
    what its address is, which no page of elsewhere can set.
    """
    if headers.get("content-type", "").split(";")[0].strip().lower() != JSON:
        return False
    origin = headers.get("origin")
    hosts = (headers.get("host"), headers.get("x-forwarded-host"))
    return origin is None or urllib.parse.urlsplit(origin).netloc in hosts


def person_of(headers: Mapping[str, str]) -> str:
    """Orthanc's user, who has already given their password; empty where that is asked of nobody."""
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def find(orthanc: Any, named: str) -> tuple[str, str]:
    """Orthanc's id and the UID of a study.

    Raises
    ------
    LookupError
        If there is none; or what Orthanc itself raises.
    """
    if "-" not in named:
        found = json.loads(orthanc.RestApiPost("/tools/lookup", named))
        studies = [one["ID"] for one in found if one["Type"] == "Study"]
        if not studies:
            raise LookupError(named)
        return studies[0], named
    study = json.loads(orthanc.RestApiGet(f"/studies/{named}"))
    return named, str(study["MainDicomTags"]["StudyInstanceUID"])


def send_json(output: Any, status: int, content: Any) -> None:
    """Answer with JSON."""
    send(output, status, json.dumps(content).encode(), JSON)


def send(output: Any, status: int, body: bytes, kind: str) -> None:
    """Answer, with any status; Orthanc has one for all that is well."""
    if OK <= status < REDIRECTED:
        output.AnswerBuffer(body, kind)
    else:
        output.SetHttpHeader("Content-Type", kind)
        output.SendHttpStatus(status, body)
