"""The status page and the HTTP interface, on loopback unless the settings say otherwise."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from glioloop import overview, web_access, web_api, web_decisions, web_desk, web_page
from glioloop.overview import request_study
from glioloop.settings_network import Web
from glioloop.site import Site
from glioloop.web_input import SameOrigin, json_of, uid_list
from study.errors import GlioloopError, OutageError, RefusedError

logger = logging.getLogger(__name__)


def application(site: Site, wake: Callable[[], None]) -> Starlette:
    """The ASGI application.

    Parameters
    ----------
    site
        What it shows.
    wake
        Called when something was changed that the service should look at.

    Raises
    ------
    RefusedError
        If other machines would reach it without a token, or the tokens cannot be used.
    """
    known = web_access.tokens(site.settings.web)

    def table(rows: Callable[[Site], list[dict[str, Any]]]) -> Callable[[Request], Any]:
        async def endpoint(_request: Request) -> Response:
            return JSONResponse(await run_in_threadpool(rows, site))

        return endpoint

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def status(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(overview.status, site))

    async def instances(request: Request) -> Response:
        uids = uid_list(await json_of(request))
        study_uid = request.path_params["uid"]
        await run_in_threadpool(site.ledger.expect, study_uid, uids, time.time())
        wake()
        return JSONResponse({"study_uid": study_uid, "expected": len(set(uids))}, 202)

    async def segment(request: Request) -> Response:
        body = await json_of(request)
        given = body.get("as", {}) if isinstance(body, dict) else {}
        study_uid = request.path_params["uid"]
        job_id = await run_in_threadpool(request_study, site, study_uid, given)
        wake()
        return JSONResponse({"study_uid": study_uid, "job": job_id}, 202)

    async def page(_request: Request) -> Response:
        # No page of elsewhere may show this one in a frame and lend it somebody's clicks.
        alone = {"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY"}
        return HTMLResponse(await run_in_threadpool(web_page.render, site), headers=alone)

    async def script(_request: Request) -> Response:
        return Response(web_page.SCRIPT, media_type="text/javascript")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page.js", script),
            Route("/health", health),
            Route("/api/v1/status", status),
            *(Route(f"/api/v1/{name}", table(rows)) for name, rows in overview.TABLES.items()),
            Route("/api/v1/studies/{uid}/instances", instances, methods=["POST"]),
            Route("/api/v1/studies/{uid}/segment", segment, methods=["POST"]),
            *web_decisions.routes(site, wake),
            *web_api.routes(site, wake),
            *web_desk.routes(site),
        ],
        middleware=[
            # A web page of elsewhere must not reach this one under another name.
            Middleware(TrustedHostMiddleware, allowed_hosts=_hosts(site)),
            Middleware(SameOrigin),
            Middleware(web_access.Access, site=site, known=known),
        ],
        exception_handlers=_OUTCOMES,
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
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ssl_certfile=settings.tls.certificate if settings.tls else None,
                ssl_keyfile=settings.tls.key if settings.tls else None,
            )
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


async def _failed(_request: Request, error: Exception) -> Response:
    """The same for what went wrong here."""
    return JSONResponse({"error": str(error)}, 500)


async def _away(_request: Request, error: Exception) -> Response:
    """Whoever asks may ask again: disk or database are away, or the service ends."""
    return JSONResponse({"error": str(error)}, 503)


async def _refused(_request: Request, error: Exception) -> Response:
    """One clear sentence for what cannot be done."""
    return JSONResponse({"error": str(error)}, 400)


_OUTCOMES: dict[Any, Any] = {
    RefusedError: _refused,
    GlioloopError: _failed,
    OutageError: _away,
}
"""Kind of error to how it is answered."""
