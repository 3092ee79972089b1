"""The status page and the HTTP interface, on loopback unless the settings say otherwise."""

from __future__ import annotations

import html
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from glioloop import overview
from glioloop.overview import request_study
from glioloop.settings import Web
from glioloop.site import Site
from listener.header import is_uid
from study.errors import RefusedError

logger = logging.getLogger(__name__)

MAX_BODY = 8 << 20
"""Bytes of a request: a study of 100,000 instances fits."""


def application(site: Site, wake: Callable[[], None]) -> Starlette:
    """The ASGI application.

    Parameters
    ----------
    site
        What it shows.
    wake
        Called when something was changed that the service should look at.
    """

    def table(rows: Callable[[Site], list[dict[str, Any]]]) -> Callable[[Request], Any]:
        async def endpoint(_request: Request) -> Response:
            return JSONResponse(await run_in_threadpool(rows, site))

        return endpoint

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def status(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(overview.status, site))

    async def instances(request: Request) -> Response:
        uids = _uid_list(await _body(request))
        study_uid = request.path_params["uid"]
        await run_in_threadpool(site.ledger.expect, study_uid, uids, time.time())
        wake()
        return JSONResponse({"study_uid": study_uid, "expected": len(set(uids))}, 202)

    async def segment(request: Request) -> Response:
        body = await _body(request)
        given = body.get("as", {}) if isinstance(body, dict) else {}
        study_uid = request.path_params["uid"]
        job_id = await run_in_threadpool(request_study, site, study_uid, given)
        wake()
        return JSONResponse({"study_uid": study_uid, "job": job_id}, 202)

    async def page(_request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(_page, site))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/health", health),
            Route("/api/v1/status", status),
            *(Route(f"/api/v1/{name}", table(rows)) for name, rows in overview.TABLES.items()),
            Route("/api/v1/studies/{uid}/instances", instances, methods=["POST"]),
            Route("/api/v1/studies/{uid}/segment", segment, methods=["POST"]),
        ],
        middleware=[
            # A web page of elsewhere must not reach this one under another name.
            Middleware(TrustedHostMiddleware, allowed_hosts=_hosts(site)),
        ],
        exception_handlers={RefusedError: _refused},
    )


class WebServer:
    """uvicorn in a thread.

    Parameters
    ----------
    app
        What is served.
    settings
        Where.
    """

    def __init__(self, app: Starlette, settings: Web) -> None:
        self._socket = socket.create_server((settings.host, settings.port))
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="web", daemon=True
        )

    def start(self) -> int:
        """Begin to serve, and say on which port."""
        self._thread.start()
        return int(self._socket.getsockname()[1])

    def stop(self) -> None:
        """End."""
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()


def _hosts(site: Site) -> list[str]:
    """Host headers that are answered."""
    return [*site.settings.web.allowed_hosts]


async def _refused(_request: Request, error: Exception) -> Response:
    """One clear sentence for what cannot be done."""
    return JSONResponse({"error": str(error)}, 400)


async def _body(request: Request) -> Any:
    """JSON of a request; an empty body is an empty object."""
    _check_uid(request.path_params["uid"])
    if int(request.headers.get("content-length") or 0) > MAX_BODY:
        raise RefusedError(f"the request is larger than {MAX_BODY >> 20} MiB")
    if not await request.body():
        return {}
    try:
        return await request.json()
    except ValueError as error:
        raise RefusedError("the request is not JSON") from error


def _uid_list(body: Any) -> list[str]:
    """SOP Instance UIDs, as a list or under the name ``instances``."""
    given = body.get("instances") if isinstance(body, Mapping) else body
    if not isinstance(given, list) or not given:
        raise RefusedError("a list of SOP Instance UIDs is needed")
    for uid in given:
        _check_uid(uid)
    return given


def _check_uid(uid: Any) -> None:
    """Refuse what is no UID."""
    if not isinstance(uid, str) or not is_uid(uid):
        raise RefusedError("that is no UID")


def _page(site: Site) -> str:
    """The status page: every table, each value escaped."""
    state = overview.status(site)
    sections = "".join(_table(name, rows(site)) for name, rows in overview.TABLES.items())
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Glioloop</title>
<meta http-equiv="refresh" content="10"><style>
body{{font-family:sans-serif;margin:2em}} table{{border-collapse:collapse;margin-bottom:2em}}
td,th{{border:1px solid #bbb;padding:.3em .6em;text-align:left;font-size:.85em}}
.held,.failed,.parked,.refused{{background:#fdd}}
</style></head><body><h1>Glioloop {html.escape(metadata.version("glioloop"))}</h1>
{_table("status", [state])}{sections}</body></html>"""


def _table(name: str, rows: list[dict[str, Any]]) -> str:
    """One table; rows that wait for a person are red."""
    if not rows:
        return f"<h2>{html.escape(name)}</h2><p>none</p>"
    head = "".join(f"<th>{html.escape(column)}</th>" for column in rows[0])
    body = "".join(_row(row) for row in rows)
    return f"<h2>{html.escape(name)}</h2><table><tr>{head}</tr>{body}</table>"


def _row(row: Mapping[str, Any]) -> str:
    """One row."""
    state = html.escape(str(row.get("state", "")), quote=True)
    return f'<tr class="{state}">{"".join(_cells(row.values()))}</tr>'


def _cells(values: Iterable[Any]) -> Iterable[str]:
    """Escaped cells."""
    return (f"<td>{html.escape(str(value))}</td>" for value in values)
