"""What came from outside, opened where it can do no harm: in a child with little memory and time.

A damaged or hostile object can make a decoder compute for ever, ask for any amount of memory, or
crash. The child then costs one object, which is held, and never the service. Foreign programs are
confined by `converter.confined`, in the same terms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from converter.confined import Limits
from dicomseg.facts import SegFacts
from glioloop import failures, inference
from study.errors import FailedError, HeldError, RefusedError

SEG_TASKS = "glioloop.seg_tasks"
"""Tasks that only open a SEG: a child that runs them starts without the network's libraries."""

LIMITS = Limits(cpu_s=120, wall_s=300.0, memory_bytes=3 << 30, file_bytes=1 << 30)
"""For one object; a SEG of 512 x 512 x 200 on another grid than its result's takes a quarter of the
memory, and a tenth of the time."""

ADVICE = "send it again on the voxels of the result, uncompressed (Explicit VR Little Endian)"


def run(
    task: str,
    arguments: Mapping[str, Any],
    what: str,
    limits: Limits | None = None,
    module: str = inference.TASKS,
) -> dict[str, Any]:
    """Run a task on what came from outside in a child with limits.

    Parameters
    ----------
    task, arguments, module
        As for `glioloop.inference.run`.
    what
        Which object it is, for messages.
    limits
        What the child may use; `LIMITS` where None.

    Raises
    ------
    RefusedError
        If the object is damaged, contradicts itself, or is too large.
    HeldError
        If a person must decide; also if the child died of it.
    FailedError
        If we failed.
    """
    given = LIMITS if limits is None else limits
    try:
        return inference.run(task, arguments, given.wall_s, None, module, given)
    except failures.OutOfMemoryError as error:
        most = given.memory_bytes >> 20
        raise RefusedError(f"{what} takes more than {most} MiB to open: {ADVICE}") from error
    except inference.ChildDiedError as error:
        raise HeldError(f"opening {what} ended the process that did it ({error}): {ADVICE}") from (
            error
        )


def facts(path: Path, what: str) -> SegFacts:
    """Header of a SEG that came from outside, checked; ``what`` and errors are those of `run`."""
    found = run("facts", {"seg": str(path)}, what, module=SEG_TASKS)
    try:
        # Text, where a tuple may come back as a list: JSON is what it was.
        return adapter().validate_json(json.dumps(found["facts"]))
    except ValidationError:
        # Without its cause, which quotes what it found.
        raise FailedError(f"the header of {what} came back in another form") from None


def contents(paths: Sequence[Path], what: str) -> list[str]:
    """`dicomseg.content.content_digest` of SEGs that came from outside; errors as `run`."""
    found = run("contents", {"segs": [str(path) for path in paths]}, what, module=SEG_TASKS)
    return [str(digest) for digest in found["contents"]]


def outline(lesson: Mapping[str, Any], what: str) -> None:
    """Read what a correction outlines into the file that its lesson names; errors as `run`.

    Parameters
    ----------
    lesson
        `glioloop.lessons.Lesson`, as JSON.
    what
        Which SEG it is, for messages.
    """
    if not Path(lesson["outline"]).is_file():
        run("outline", {"lesson": dict(lesson)}, what, module=SEG_TASKS)


def named(sop_instance_uid: str) -> str:
    """How messages call a SEG."""
    return f"SOP Instance UID {sop_instance_uid}"


@cache
def adapter() -> TypeAdapter[SegFacts]:
    """How `SegFacts` travel from a child."""
    return TypeAdapter(SegFacts)
