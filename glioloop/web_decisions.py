"""What a person decides on the status page, or a program over HTTP."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from glioloop import decisions
from glioloop.mask_upload import Upload, take
from glioloop.name_values import pairs
from glioloop.overview import request_study
from glioloop.site import Site
from glioloop.web_input import content_of, form_of, json_of
from study.errors import HeldError, RefusedError


def routes(site: Site, wake: Callable[[], None]) -> list[Route]:
    """Addresses of decisions.

    Parameters
    ----------
    site
        Where they are made.
    wake
        Called when something was changed that the service should look at.
    """

    async def decide(request: Request) -> Response:
        body = await json_of(request)
        uid, wanted = request.path_params["uid"], request.path_params["decision"]
        done = await run_in_threadpool(_decide, site, uid, wanted, body)
        wake()
        return JSONResponse({"sop_instance_uid": uid, "done": done}, 202)

    async def press(request: Request) -> Response:
        try:
            await run_in_threadpool(_press, site, await form_of(request))
        except (RefusedError, HeldError) as error:
            said = html.escape(str(error))
            return HTMLResponse(f'<p>{said}</p><p><a href="/">back</a></p>', 400)
        wake()
        return RedirectResponse("/", 303)

    async def mask(request: Request) -> Response:
        asked = request.query_params
        upload = Upload(await content_of(request), asked.get("labels") or None, asked.get("by", ""))
        uid = request.path_params["uid"]
        seg_uid = await run_in_threadpool(take, site, uid, upload)
        wake()
        return JSONResponse({"study_uid": uid, "sop_instance_uid": seg_uid}, 202)

    return [
        Route("/api/v1/studies/{uid}/mask", mask, methods=["POST"]),
        Route("/api/v1/corrections/{uid}/{decision}", decide, methods=["POST"]),
        Route("/decide", press, methods=["POST"]),
    ]


def _press(site: Site, form: Mapping[str, str]) -> None:
    """Do what a button of the status page says."""
    named, wanted = pairs(form.get("map", "").split(",")), form.get("decision", "")
    if wanted == "segment":
        request_study(site, form["uid"], named)
    else:
        _decide(site, form["uid"], wanted, {"map": named})


def _decide(site: Site, uid: str, wanted: str, body: Any) -> str:
    """What a person decides about a SEG that arrived; what is done, in words."""
    given = body if isinstance(body, Mapping) else {}
    if wanted == "accept":
        named = {str(k): str(v) for k, v in dict(given.get("map") or {}).items()}
        return f"started {decisions.accept(site, uid, named, given.get('result'))}"
    if wanted == "reject":
        decisions.reject(site, uid)
        return "rejected"
    if wanted == "withdraw":
        return decisions.withdraw(site, uid)
    raise RefusedError(f"{wanted!r} is no decision; it is accept, reject or withdraw")
