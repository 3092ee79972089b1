"""What comes in over HTTP, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from listener.header import is_uid
from study.errors import RefusedError

MAX_BODY = 8 << 20
"""Bytes of a request: a study of 100,000 instances fits."""
MAX_FILE = 64 << 20
"""Bytes of an uploaded file: a mask of 512 x 512 x 200 fits, also uncompressed as bytes."""


PERSON = "glioloop-user"
"""Header in which Orthanc's plugin names its user."""
LONGEST_NAME = 64


class SameOrigin:
    """Refuses what a page of elsewhere lets a browser send here (cross-site request forgery).

    Browsers say in the header Origin which page a request comes from; programs need not.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            request = Request(scope)
            origin = request.headers.get("origin")
            if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
                refusal = JSONResponse({"error": "this page is not ours"}, 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def json_of(request: Request) -> Any:
    """JSON of a request about a UID; an empty body is an empty object.

    Raises
    ------
    RefusedError
        If the address holds no UID, or the body is too large or no JSON.
    """
    check_uid(request.path_params["uid"])
    return await body_of(request)


async def body_of(request: Request) -> Any:
    """JSON of a request; an empty body is an empty object.

    Raises
    ------
    RefusedError
        If the body is too large or no JSON.
    """
    content = await _content(request)
    if not content:
        return {}
    try:
        return json.loads(content)
    except ValueError as error:
        raise RefusedError("the request is not JSON") from error


async def content_of(request: Request) -> bytes:
    """A file, as the body of a request about a UID.

    Raises
    ------
    RefusedError
        If the address holds no UID, or the body is empty or too large.
    """
    check_uid(request.path_params["uid"])
    content = await _content(request, MAX_FILE)
    if not content:
        raise RefusedError("the request is empty; the file is its body")
    return content


async def form_of(request: Request) -> dict[str, str]:
    """Fields of a form; the UID that it is about is one."""
    form = await fields_of(request)
    check_uid(form.get("uid"))
    return form


async def fields_of(request: Request) -> dict[str, str]:
    """Fields of a form."""
    return dict(parse_qsl((await _content(request)).decode("utf-8", "replace")))


def person_of(request: Request) -> str:
    """Who asks, for the audit: what Orthanc's plugin says of its user, else that it was the web.

    It is as trustworthy as whoever may ask at all.
    """
    named = "".join(c for c in request.headers.get(PERSON, "") if c.isprintable())[:LONGEST_NAME]
    return f"web: {named}" if named else "web"


def uid_list(body: Any) -> list[str]:
    """SOP Instance UIDs, as a list or under the name ``instances``."""
    given = body.get("instances") if isinstance(body, Mapping) else body
    if not isinstance(given, list) or not given:
        raise RefusedError("a list of SOP Instance UIDs is needed")
    for uid in given:
        check_uid(uid)
    return given


def check_uid(uid: Any) -> None:
    """Refuse what is no UID."""
    if not isinstance(uid, str) or not is_uid(uid):
        raise RefusedError("that is no UID")


async def _content(request: Request, most: int = MAX_BODY) -> bytes:
    """Body of a request; no more of it is read than it may hold, whatever its header says."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise RefusedError(f"the request is larger than {most >> 20} MiB")
    return bytes(content)
