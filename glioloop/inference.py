"""Heavy work in a process of its own, with a wall clock.

A child that is killed, runs out of memory or hangs costs one attempt and not the service. It is
spawned, never forked (a forked child would keep the service's locks alive), runs at low priority,
and ends when the service does. Arrays come back as files, the answer through the pipe: it may tell
of a patient, and a temporary file would outlive a service that is killed.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import logging
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from converter.confined import Limits
from glioloop import failures
from study.errors import (
    FailedError,
    GlioloopError,
    HeldError,
    NotInScopeError,
    OutageError,
    RefusedError,
)

logger = logging.getLogger(__name__)

NICE = 10
"""Politeness of a child: the listener goes first."""

TASKS, NETWORK_TASKS = "glioloop.tasks", "glioloop.network_tasks"
"""Where the tasks are: functions of JSON and a progress callable to JSON. Only a child imports
them, so that their libraries stay out of the service, and out of the children that need others."""

ANSWER = b"answer "
"""How the answer begins among what a child says; all else is progress."""
MOST_BYTES = 64 << 20
"""No answer is longer: a header of 20,000 frames has some 10 MB."""

M_ARENA_MAX = -8
"""Of glibc's malloc.h."""

HINTS = {
    "SIGKILL": ": most often the machine ran out of memory",
    "SIGXCPU": ": it used up the processor time that it was given",
}
"""What a signal that ended a child tells."""

OUTCOMES: Mapping[str, type[GlioloopError | OutageError]] = {
    "OutageError": OutageError,
    "HeldError": HeldError,
    "NotInScopeError": NotInScopeError,
    "RefusedError": RefusedError,
    "OutOfMemoryError": failures.OutOfMemoryError,
    "FailedError": FailedError,
}


class ChildDiedError(FailedError):
    """A child left no answer: it crashed, was killed, or took too long."""


class StoppedError(OutageError):
    """A child was told to end, as all processes of a service are that stops: by SIGTERM."""


def run(
    task: str,
    arguments: Mapping[str, Any],
    limit_s: float,
    progress: Callable[[float], None] | None = None,
    module: str = TASKS,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Run a task in a spawned child.

    Parameters
    ----------
    task
        Name of a function of `module`.
    arguments
        JSON values.
    limit_s
        Wall clock after which the child is killed.
    progress
        Told the part, of 1, that is done.
    module
        Where the task is.
    limits
        What the task may use beyond what starting took; its clock on the wall is `limit_s`.

    Returns
    -------
    dict
        The task's answer.

    Raises
    ------
    GlioloopError
        What the task raised, of its kind of the error tree; `ChildDiedError` when the child
        crashed, was killed or took too long.
    OutageError
        What the task raised; `StoppedError` when it was told to end.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_child, args=(module, task, dict(arguments), theirs, limits), daemon=True
    )
    child.start()
    theirs.close()
    said = None
    try:
        said = _follow(ours, limit_s, progress)
    finally:
        ours.close()
        if said is None:  # the time is over, or whoever is told of progress failed
            child.kill()
        child.join()
    if said is None:
        raise ChildDiedError(f"{task} was ended after {limit_s / 60:g} minutes")
    if not said and child.exitcode == -signal.SIGTERM:
        raise StoppedError(f"{task} was told to end")
    if not said:
        raise ChildDiedError(_death(task, child.exitcode))
    answer = json.loads(said)
    if "error" in answer:
        raise OUTCOMES[answer["error"]](answer["message"])
    found: dict[str, Any] = answer["answer"]
    return found


def _follow(
    pipe: Connection, limit_s: float, progress: Callable[[float], None] | None
) -> bytes | None:
    """Pass progress on until the child closes the pipe; its answer, or None when time was over."""
    deadline = time.monotonic() + limit_s
    answer = b""
    while (left := deadline - time.monotonic()) > 0:
        if not pipe.poll(min(left, 1.0)):
            continue
        try:
            said = pipe.recv_bytes(MOST_BYTES)
        except (EOFError, OSError):
            return answer
        if said.startswith(ANSWER):
            answer = said.removeprefix(ANSWER)
        elif progress is not None:
            progress(float(said))
    return None


def _death(name: str, code: int | None) -> str:
    """Why a child left no answer."""
    if code is not None and code < 0:
        what = signal.Signals(-code).name
        return f"{name} was killed by {what}{HINTS.get(what, '')}"
    return f"{name} ended with exit code {code} and no answer; the log says more"


def _child(
    module: str,
    task: str,
    arguments: Mapping[str, Any],
    pipe: Connection,
    limits: Limits | None,
) -> None:
    """Body of the child."""
    os.nice(NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING)
    failures.hush_libraries()

    def progress(part: float) -> None:
        pipe.send_bytes(f"{part:.4f}".encode())

    try:
        function = getattr(importlib.import_module(module), task)
        if limits is not None:
            _confine(limits)
        answer: dict[str, Any] = {"answer": failures.guarded(function, arguments, progress)}
    except (GlioloopError, OutageError) as error:
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in OUTCOMES]
        answer = {"error": kinds[0] if kinds else "FailedError", "message": str(error)}
    except MemoryError:  # once more, while the first was told
        answer = {"error": failures.OutOfMemoryError.__name__, "message": ""}
    if limits is not None:  # to answer takes memory, too
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    pipe.send_bytes(ANSWER + json.dumps(answer).encode())


def _confine(limits: Limits) -> None:
    """Let this process use so much more than it did until now: its libraries are there already."""
    # Else glibc looks for room in arena after arena, for minutes, before it says there is none.
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    taken = pages * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + limits.cpu_s
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, taken + limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
    ):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # Only the soft limit: of time it ends in SIGXCPU, which says what it was, not in SIGKILL.
        resource.setrlimit(what, (least, hard))


def _end_with_parent() -> None:
    """A child whose service was killed must not compute on beside the restarted one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
