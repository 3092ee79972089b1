"""Heavy work in a process of its own, with a wall clock.

A child that is killed, runs out of memory or hangs costs one attempt and not the service. It is
spawned, never forked (a forked child would keep the service's locks alive), runs at low priority,
and ends when the service does. Arrays come back as files; the pipe carries only progress.
"""

from __future__ import annotations

import importlib
import json
import logging
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from glioloop import durable, failures
from study.errors import FailedError, GlioloopError, HeldError, NotInScopeError, RefusedError

logger = logging.getLogger(__name__)

NICE = 10
"""Politeness of a child: the listener goes first."""

TASKS = "glioloop.tasks"
"""Where the tasks are: functions of JSON and a progress callable to JSON. Only a child imports it,
so that the network's libraries stay out of the service."""

OUTCOMES: Mapping[str, type[GlioloopError]] = {
    "HeldError": HeldError,
    "NotInScopeError": NotInScopeError,
    "RefusedError": RefusedError,
    "FailedError": FailedError,
}


def run(
    task: str,
    arguments: Mapping[str, Any],
    limit_s: float,
    progress: Callable[[float], None] | None = None,
    module: str = TASKS,
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

    Returns
    -------
    dict
        The task's answer.

    Raises
    ------
    GlioloopError
        What the task raised, of its kind of the error tree; `FailedError` when the child crashed,
        was killed or took too long.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="glioloop-") as folder:
        reply = Path(folder) / "reply.json"
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(
            target=_child, args=(module, task, dict(arguments), str(reply), theirs), daemon=True
        )
        child.start()
        theirs.close()
        try:
            in_time = _follow(ours, limit_s, progress)
        finally:
            ours.close()
        if not in_time:
            child.kill()
            child.join()
            raise FailedError(f"{task} was ended after {limit_s / 60:g} minutes")
        child.join()
        if not reply.is_file():
            raise FailedError(_death(task, child.exitcode))
        answer = json.loads(reply.read_text())
    if "error" in answer:
        raise OUTCOMES[answer["error"]](answer["message"])
    found: dict[str, Any] = answer["answer"]
    return found


def _follow(pipe: Connection, limit_s: float, progress: Callable[[float], None] | None) -> bool:
    """Pass progress on until the child closes the pipe; False when the time was over."""
    deadline = time.monotonic() + limit_s
    while (left := deadline - time.monotonic()) > 0:
        if not pipe.poll(min(left, 1.0)):
            continue
        try:
            part = float(pipe.recv_bytes(64))
        except EOFError:
            return True
        if progress is not None:
            progress(part)
    return False


def _death(name: str, code: int | None) -> str:
    """Why a child left no answer."""
    if code is not None and code < 0:
        what = signal.Signals(-code).name
        hint = ": most often the machine ran out of memory" if what == "SIGKILL" else ""
        return f"{name} was killed by {what}{hint}"
    return f"{name} ended with exit code {code} and no answer; the log says more"


def _child(
    module: str, task: str, arguments: Mapping[str, Any], reply: str, pipe: Connection
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
        answer: dict[str, Any] = {"answer": failures.guarded(function, arguments, progress)}
    except GlioloopError as error:
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in OUTCOMES]
        answer = {"error": kinds[0] if kinds else "FailedError", "message": str(error)}
    durable.write(Path(reply), json.dumps(answer).encode())


def _end_with_parent() -> None:
    """A child whose service was killed must not compute on beside the restarted one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
