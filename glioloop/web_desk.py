"""The page of everything that a person looks at and decides: its files, as they are served.

It asks the HTTP interface for all that it shows (`glioloop.web_api`), at addresses beside its own,
so that Orthanc's plugin can serve it below Orthanc's address. Its words are one file, `TEXTS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from glioloop.site import Site
from study.errors import RefusedError

FOLDER = resources.files("glioloop") / "desk"
INDEX, TEXTS = "index.html", "texts.json"
TYPES: Mapping[str, str] = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
}
"""Kinds of files that are served."""

HEADERS: Mapping[str, str] = {
    # Scripts of the page's own files alone, whatever text of an archive is shown on it; and no page
    # of elsewhere may show it in a frame and lend it somebody's clicks.
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(site: Site) -> list[Route]:
    """Addresses of the page."""

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", INDEX)
        known = {one.name for one in FOLDER.iterdir()}
        kind = TYPES.get(Path(name).suffix)
        if name not in known or kind is None:
            return Response(status_code=404)
        content = await run_in_threadpool((FOLDER / name).read_bytes)
        return Response(content, media_type=kind, headers=dict(HEADERS))

    async def words(_request: Request) -> Response:
        found = await run_in_threadpool(texts, site.settings.web.texts_file)
        return JSONResponse(found, headers=dict(HEADERS))

    return [Route(f"/desk/{TEXTS}", words), Route("/desk/{name}", file), Route("/desk/", file)]


def texts(other: Path | None = None) -> dict[str, str]:
    """The page's words: name to text, with the places of values in braces.

    Parameters
    ----------
    other
        A file of another language; what it lacks stays English.

    Raises
    ------
    RefusedError
        If it is no such file, or has a name that the page does not know.
    """
    english: dict[str, str] = json.loads((FOLDER / TEXTS).read_text(encoding="utf-8"))
    if other is None:
        return english
    try:
        given = json.loads(other.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        kind = type(error).__name__
        raise RefusedError(f"web.texts_file {other} cannot be read as JSON ({kind})") from error
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise RefusedError(f"web.texts_file {other} is no object of texts")
    if unknown := sorted(set(given) - set(english)):
        raise RefusedError(f"web.texts_file {other} has texts that are not asked for: {unknown}")
    return {**english, **given}
