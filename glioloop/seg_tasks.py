"""What runs in a confined child (`glioloop.confinement`): opening a SEG that came from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dicomseg.content import content_digest
from dicomseg.facts import read_facts
from glioloop import durable, outlines
from glioloop.confinement import adapter
from glioloop.lessons import Lesson

Answer = Mapping[str, Any]
Progress = Callable[[float], None]


def facts(arguments: Answer, progress: Progress) -> Answer:
    """Header of a SEG. ``arguments``: seg (its file)."""
    del progress
    found = read_facts(Path(arguments["seg"]))
    return {"facts": adapter().dump_python(found, mode="json")}


def contents(arguments: Answer, progress: Progress) -> Answer:
    """What SEGs show, as digests. ``arguments``: segs (their files)."""
    del progress
    return {"contents": [content_digest(Path(path)) for path in arguments["segs"]]}


def outline(arguments: Answer, progress: Progress) -> Answer:
    """What a correction outlines, on the voxels of its result, as the file that its lesson names.

    ``arguments``: lesson (`glioloop.lessons.Lesson`).
    """
    del progress
    lesson = Lesson.from_json(arguments["lesson"])
    corrected, _ = outlines.read_correction(lesson)
    durable.write(lesson.outline, outlines.to_bytes(corrected.masks))
    return {"outline": str(lesson.outline)}
