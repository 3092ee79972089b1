"""OHIF at ``/ohif/`` of Orthanc: where a radiologist looks at a SEG and corrects it.

Runs inside Orthanc's Python plugin with the standard library alone, like `routing.py`. It serves
the folder that `ohif_dist.py` prepared. Orthanc's plugin ServeFolders cannot do that: addresses of
OHIF's pages, such as ``/ohif/segmentation?StudyInstanceUIDs=...``, are no files, and `index.html`
must answer them. Orthanc asks for user and password as for everything else.
"""

from __future__ import annotations

import json
import mimetypes
import re
from pathlib import Path
from typing import Any

BUTTON = Path(__file__).with_name("viewer.js")
"""What Orthanc's own page of a study gets: a button that opens the study in OHIF."""

INDEX = "index.html"
"""Answers every address that is no file."""

LASTING = re.compile(r"[0-9a-f]{16}")
"""A hash in a name: other content of OHIF's authors has another name, so a browser may keep it."""

DAY_S = 86400
"""So long and no longer, for what `ohif_dist.py` changes in a file leaves it its name."""

TYPES = mimetypes.MimeTypes()
"""Python's own table; not the machine's, which may know less."""
for ending, kind in ((".js", "text/javascript"), (".woff2", "font/woff2"), (".map", "text/plain")):
    TYPES.add_type(kind, ending)


def register(orthanc: Any) -> str:
    """Serve OHIF where the configuration's ``OhifFolder`` says that it lies; empty: nowhere.

    Returns
    -------
    str
        What Orthanc's own page of a study gets for it; nothing where OHIF is not served.
    """
    named = json.loads(orthanc.GetConfiguration()).get("Glioloop", {}).get("OhifFolder", "")
    if not named:
        return ""
    folder = Path(named).resolve()
    if not (folder / INDEX).is_file():
        orthanc.LogWarning(
            f"Glioloop: {folder} holds no {INDEX}, so there is no OHIF; scripts/ohif prepares it"
        )
        return ""

    def answer(output: Any, _uri: str, **request: Any) -> None:
        if request["method"] != "GET":
            output.SendMethodNotAllowed("GET")
            return
        path = file_for(folder, request["groups"][0])
        if path is None:
            output.SendHttpStatus(404, b"")
            return
        for name, value in headers(path.name).items():
            output.SetHttpHeader(name, value)
        output.AnswerBuffer(path.read_bytes(), media_type(path.name))

    orthanc.RegisterRestCallback("/ohif/(.*)", answer)
    return BUTTON.read_text(encoding="utf-8")


def file_for(folder: Path, name: str) -> Path | None:
    """The file that answers an address below ``/ohif/``.

    Parameters
    ----------
    folder
        What is served; resolved.
    name
        The address, without its query.

    Returns
    -------
    Path or None
        A file of the folder, `INDEX` for an address of a page; None for a file that is missing, or
        lies elsewhere.
    """
    if "\0" in name:
        return None
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            return None
        if path.is_file():
            return path
    except OSError:  # a name that is too long for any file
        return None
    return None if path.suffix else folder / INDEX


def media_type(name: str) -> str:
    """What a browser is told that a file is; WASM and modules are refused without it."""
    return TYPES.guess_type(name)[0] or "application/octet-stream"


def headers(name: str) -> dict[str, str]:
    """Headers of an answer: how long it may be kept, and that no foreign page may frame it."""
    kept = f"private, max-age={DAY_S}" if LASTING.search(name) else "no-cache"
    return {
        "Cache-Control": kept,
        "Content-Security-Policy": "frame-ancestors 'self'",
        "X-Content-Type-Options": "nosniff",
    }
