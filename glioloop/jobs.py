"""Durable jobs, on DBOS Transact; `glioloop.board` looks at them from outside.

A *job* is a function of plain JSON arguments. After a crash it is called again with the same
arguments, and every `step` it has finished is answered from the record instead of being run. So
effects belong into steps, each step is safe to repeat, and arguments are keys and UIDs: never
pixels, never a patient's identifier.

The engine is one for a process: `register` the jobs, then `run`, at the end `stop`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
    StepOptions,
)
from dbos import PortableWorkflowError as RecordedError

from glioloop import database, peers
from glioloop.lanes import CRASHES, LANES, PROTOCOL, SETTING, UNFINISHED, shared
from glioloop.watch import Watch
from study.errors import FailedError, GlioloopError, OutageError, RefusedError

logger = logging.getLogger(__name__)
T = TypeVar("T")

STEP_FAILURES = (GlioloopError, RecordedError)
"""What a failed `step` raises: when it fails, and when it is answered from the record."""

OUTAGE = "outage"  # key of what is recorded of a step that met one
OUTAGE_FIRST_S, OUTAGE_LONGEST_S, OUTAGE_FOR_S = 1.0, 60.0, 6 * 3600.0
"""Pauses before it is repeated, and all of them together."""

GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
POLL_S = 0.5
CONNECTIONS = 10
"""Connections to PostgreSQL that the engine of one process keeps."""
_FOR_POSTGRESQL: dict[str, Any] = {"connect_args": dict(database.CONNECT_ARGS)}

insist_mine = peers.as_owner(lambda: None)
"""Ends this run of a job unless the job is still ours: for what others see, at the last moment."""

_registered: dict[str, Callable[..., None]] = {}
_lane_of: dict[str, str] = {}
_alive: list[peers.Node | peers.FileNode] = []
_watches = [Watch(None)]


def register(name: str, lane: str, function: Callable[..., None]) -> None:
    """Make a function a job. Before `run`."""

    def job(*args: Any) -> None:  # the engine marks what it registers, and a method bears no marks
        function(*args)

    _registered[name] = DBOS.workflow(name=name, max_recovery_attempts=CRASHES[lane])(job)
    _lane_of[name] = lane


def take_name(url: str, node: str) -> peers.Node | peers.FileNode:
    """Be the process of a node's name from now on, and wait while another one is.

    Whatever is done under that name comes after this; `run` does it first. Errors are those of
    `run`.
    """
    url = database.with_driver(url, SETTING)
    if not _alive:
        # Two processes of one name would each take up the other's running jobs as its own.
        named = peers.FileNode if url.startswith("sqlite") else peers.Node
        _alive.append(named(url, node))
    return _alive[0]


def run(
    url: str,
    node: str = "local",
    lanes: tuple[str, ...] = tuple(LANES),
    running: Path | None = None,
) -> None:
    """Start the engine: jobs left by a dead process of this node's name run on.

    Blocks while another process of that name lives, which makes this one its hot standby. In
    PostgreSQL, where several nodes share the jobs, those of a node that is gone run on elsewhere
    (`glioloop.peers`).

    Parameters
    ----------
    url
        ``sqlite:///path/jobs.db``, or ``postgresql://...``.
    node
        Name of this process; jobs that it leaves behind are its own again under that name.
    lanes
        Lanes whose jobs run here.
    running
        Where steps leave files while they run (`glioloop.watch`).

    Raises
    ------
    RefusedError
        If the URL is for another kind of database, or there is no such lane.
    FailedError
        If the database cannot be reached.
    """
    if unknown := sorted(set(lanes) - set(LANES)):
        raise RefusedError(f"there is no lane {unknown}; lanes are {', '.join(LANES)}")
    alive = take_name(url, node)
    url = database.with_driver(url, SETTING)
    _watches.append(Watch(running))  # only now: another process of this name is gone
    DBOS(
        config=DBOSConfig(
            name="glioloop",
            system_database_url=url,
            application_version=PROTOCOL,
            executor_id=node,
            log_level="WARNING",
            serializer=DBOSPortableJSONSerializer(),
            sys_db_pool_size=CONNECTIONS,
            db_engine_kwargs={} if url.startswith("sqlite") else _FOR_POSTGRESQL,
        )
    )
    DBOS.listen_queues(list(lanes))
    DBOS.launch()
    for name, limits in LANES.items():
        DBOS.register_queue(name, polling_interval_sec=POLL_S, **limits)
    alive.watch()


def stop() -> None:
    """Stop the engine; what runs is taken up again at the next `run`."""
    leave()
    DBOS.destroy(destroy_registry=True)
    _registered.clear()
    _lane_of.clear()
    while _alive:
        _alive.pop().close()


def leave() -> None:
    """Say that this process ends as it should, in the middle of steps or not."""
    while len(_watches) > 1:
        _watches.pop().close()


def watched(key: str, function: Callable[..., T], *args: object) -> T:
    """Call a function as a step that is watched (`glioloop.watch.Watch.run`)."""
    return _watches[-1].run(key, function, *args)


def start(
    name: str,
    *args: Any,
    job_id: str,
    serial: str | None = None,
    priority: int = 10,
) -> str:
    """Queue a job. One id runs once, ever; starting it again changes nothing.

    Parameters
    ----------
    name, args
        A registered job and its arguments: strings and numbers.
    id
        Says what the job does, such as ``deliver:<result>:<destination>``.
    serial
        What jobs share of which only some run at once (`LANES`); in every lane but `infer`.
    priority
        Smaller runs sooner.
    """
    key = shared(_lane_of[name], serial)
    options = SetEnqueueOptions(priority=None if key else priority, queue_partition_key=key)
    with SetWorkflowID(job_id), options:
        DBOS.enqueue_workflow(_lane_of[name], _registered[name], *args)
    return job_id


def ended(job_id: str) -> bool:
    """Whether a job of this id ran to its end, whatever that was."""
    found = DBOS.get_workflow_status(job_id)
    return found is not None and found.status not in UNFINISHED


def fresh_id(job_id: str) -> str:
    """An id of its own for a job whose usual id is spent."""
    return f"{job_id}:{uuid.uuid4().hex[:8]}"


def step(function: Callable[..., T], *args: Any) -> T:
    """A call that is recorded with its answer: run at least once, and never after it finished.

    The answer is JSON. A foreseen outcome is an answer, not an exception: an exception comes back
    from the record as another type. Where disk or database are away it is repeated, ever slower.

    Raises
    ------
    GlioloopError
        What the call raised, or `RecordedError`; `FailedError` where an outage lasts.
    """
    name: StepOptions = {"name": function.__name__}
    wait, waited = OUTAGE_FIRST_S, 0.0
    attempt = partial(_attempt, function, *args)
    while isinstance(answer := DBOS.run_step(name, attempt), dict) and OUTAGE in answer:
        if waited >= OUTAGE_FOR_S:
            raise FailedError(f"given up after {waited / 3600:g} hours: {answer[OUTAGE]}")
        note(f"again in {wait:g} s: {answer[OUTAGE]}")
        DBOS.sleep(wait)
        waited += wait
        wait = min(2 * wait, OUTAGE_LONGEST_S)
    return cast("T", answer)  # what is no outage is the function's own


def _attempt(function: Callable[..., T], *args: Any) -> T | dict[str, str]:
    """Answer of a step, or what it must be repeated for."""
    try:
        key = f"{DBOS.workflow_id} {function.__name__}"
        return watched(key, peers.as_owner(function), *args)
    except OutageError as error:
        logger.warning("%s: %s", function.__name__, error)
        return {OUTAGE: str(error)}


def insist(
    function: Callable[..., T], *args: Any, first_s: float, longest_s: float, for_s: float
) -> T:
    """A step against something that may be down for days: repeated on `OSError`, ever slower.

    Raises
    ------
    FailedError
        When the time is over; the message is the last failure's.
    """

    def attempt() -> dict[str, Any]:
        try:
            return {"answer": function(*args)}
        except OSError as error:
            return {"failure": str(error) or type(error).__name__}

    attempt.__name__ = function.__name__
    # Pauses are counted, not read from a clock: it may jump, or the service may have been down.
    wait, waited = first_s, 0.0
    while "failure" in (outcome := step(attempt)):
        if waited >= for_s:
            raise FailedError(f"given up after {for_s / 3600:g} hours: {outcome['failure']}")
        note(f"again in {wait:g} s: {outcome['failure']}")
        DBOS.sleep(wait)
        waited += wait
        wait = min(2 * wait, longest_s)
    answer: T = outcome["answer"]
    return answer


def given_up() -> list[str]:
    """Ids of jobs that took too many processes down; each is said until `dismiss`."""
    found = DBOS.list_workflows(status=GIVEN_UP, load_input=False, load_output=False)
    return [workflow.workflow_id for workflow in found]


def dismiss(job_ids: Iterable[str]) -> None:
    """End jobs that were given up, once it is written down what they leave undone."""
    for job_id in job_ids:
        DBOS.cancel_workflow(job_id)


def sleep(seconds: float) -> None:
    """A pause inside a job, which a restart does not begin anew."""
    DBOS.sleep(seconds)


def note(text: str) -> None:
    """What the running job is at, seen in `Board.listing`."""
    DBOS.set_event("note", text)
