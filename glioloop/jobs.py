"""Durable jobs: the one module that knows the engine (DBOS Transact).

A *job* is a function of plain JSON arguments. After a crash it is called again with the same
arguments, and every `step` it has finished is answered from the record instead of being run. So
effects belong into steps, each step is safe to repeat, and arguments are keys and UIDs: never
pixels, never a patient's identifier.

The engine is one for a process: `register` the jobs, then `run`, at the end `stop`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dbos import (
    DBOS,
    DBOSClient,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    EnqueueOptions,
    SetEnqueueOptions,
    SetWorkflowID,
    StepOptions,
)
from dbos import PortableWorkflowError as RecordedError
from sqlalchemy.exc import SQLAlchemyError

from glioloop import database, failures, peers
from study.errors import FailedError, GlioloopError, RefusedError

logger = logging.getLogger(__name__)
T = TypeVar("T")

PROTOCOL = "1"
"""Jobs recorded under another number are not picked up: change it only when they must not run."""

LANES: Mapping[str, Mapping[str, Any]] = {
    "infer": {"worker_concurrency": 1},
    "adapt": {"worker_concurrency": 1, "partition_concurrency": 1},
    "deliver": {"worker_concurrency": 64},
}
"""Jobs at once in one process. In `adapt`, jobs with one ``serial`` key run one by one anywhere."""

CRASHES = {"infer": 5, "adapt": 5, "deliver": 10**6}
"""How many processes a job may take down before it is given up (restarts count too)."""

STEP_FAILURES = (GlioloopError, RecordedError)
"""What a failed `step` raises: when it fails, and when it is answered from the record."""

UNFINISHED = ("DELAYED", "ENQUEUED", "PENDING")
GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
POLL_S = 0.5
SETTING = "jobs_url"
CONNECTIONS = 10
"""Connections to PostgreSQL that the engine of one process keeps."""
_FOR_POSTGRESQL: dict[str, Any] = {"connect_args": dict(database.CONNECT_ARGS)}

insist_mine = peers.as_owner(lambda: None)
"""Ends this run of a job unless the job is still ours: for what others see, at the last moment."""

_registered: dict[str, Callable[..., None]] = {}
_lane_of: dict[str, str] = {}
_alive: list[peers.Node | peers.FileNode] = []


@dataclass(frozen=True)
class Job:
    """A job as it is recorded; times are seconds since 1970."""

    id: str
    kind: str
    state: str
    note: str
    error: str
    created: float
    updated: float
    node: str


def register(name: str, lane: str, function: Callable[..., None]) -> None:
    """Make a function a job. Before `run`."""

    def job(*args: Any) -> None:  # the engine marks what it registers, and a method bears no marks
        function(*args)

    _registered[name] = DBOS.workflow(name=name, max_recovery_attempts=CRASHES[lane])(job)
    _lane_of[name] = lane


def run(url: str, node: str = "local", lanes: tuple[str, ...] = tuple(LANES)) -> None:
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

    Raises
    ------
    RefusedError
        If the URL is for another kind of database, or there is no such lane.
    FailedError
        If the database cannot be reached.
    """
    if unknown := sorted(set(lanes) - set(LANES)):
        raise RefusedError(f"there is no lane {unknown}; lanes are {', '.join(LANES)}")
    url = database.with_driver(url, SETTING)
    # Two processes of one name would each take up the other's running jobs as its own.
    alive = peers.FileNode(url, node) if url.startswith("sqlite") else peers.Node(url, node)
    _alive.append(alive)
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
    DBOS.destroy(destroy_registry=True)
    _registered.clear()
    _lane_of.clear()
    while _alive:
        _alive.pop().close()


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
        Jobs of one key run one after another; only in the lane `adapt`.
    priority
        Smaller runs sooner.
    """
    options = SetEnqueueOptions(priority=None if serial else priority, queue_partition_key=serial)
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
    from the record as another type. While a database is away, the step waits for it.
    """
    name: StepOptions = {"name": function.__name__}
    return DBOS.run_step(name, partial(failures.guarded, peers.as_owner(function), *args))


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
    wait, deadline = first_s, step(time.time) + for_s
    while "failure" in (outcome := step(attempt)):
        if step(time.time) > deadline:
            raise FailedError(f"given up after {for_s / 3600:g} hours: {outcome['failure']}")
        note(f"again in {wait:g} s: {outcome['failure']}")
        DBOS.sleep(wait)
        wait = min(2 * wait, longest_s)
    answer: T = outcome["answer"]
    return answer


def given_up() -> list[str]:
    """Ids of jobs that took too many processes down. Each is said once, and is cancelled then."""
    found = DBOS.list_workflows(status=GIVEN_UP, load_input=False, load_output=False)
    for workflow in found:
        DBOS.cancel_workflow(workflow.workflow_id)
    return [workflow.workflow_id for workflow in found]


def sleep(seconds: float) -> None:
    """A pause inside a job, which a restart does not begin anew."""
    DBOS.sleep(seconds)


def note(text: str) -> None:
    """What the running job is at, seen in `Board.listing`."""
    DBOS.set_event("note", text)


class Board:
    """The jobs as seen from outside: of a running service, or of one that is down."""

    def __init__(self, url: str) -> None:
        url = database.with_driver(url, SETTING)
        path = Path(url.removeprefix("sqlite:///"))
        if url.startswith("sqlite") and not path.is_file():
            raise RefusedError(
                f"there are no jobs yet: {path} does not exist; was the service started?"
            )
        try:
            self._client = DBOSClient(
                system_database_url=url,
                serializer=DBOSPortableJSONSerializer(),
                retry_connection_errors=False,
            )
        except SQLAlchemyError as error:
            raise FailedError(
                f"the jobs' database could not be used: {database.in_words(error, SETTING)}"
            ) from error

    def close(self) -> None:
        """Give the database back."""
        self._client.destroy()

    def listing(self, *, unfinished: bool = False, limit: int = 200) -> list[Job]:
        """The newest jobs first."""
        found = self._client.list_workflows(
            status=list(UNFINISHED) if unfinished else None,
            limit=limit,
            sort_desc=True,
            load_input=False,
        )
        return [self._job(w) for w in found]

    def queued(self) -> frozenset[str]:
        """Ids of the jobs that have not ended, and what they are fresh ids of (`fresh_id`)."""
        ids = {job.id for job in self.listing(unfinished=True, limit=10_000)}
        return frozenset(ids | {job_id.rpartition(":")[0] for job_id in ids})

    def show(self, job_id: str) -> tuple[Job, list[str]]:
        """One job, and the names of the steps that it finished."""
        found = self._client.list_workflows(workflow_ids=[job_id])
        if not found:
            raise RefusedError(f"there is no job {job_id}; `glioloop jobs list` shows them")
        steps = self._client.list_workflow_steps(job_id)
        return self._job(found[0]), [s["function_name"] for s in steps]

    def outcome(self, job_id: str) -> str:
        """Last note of a job; empty where there is none of this id."""
        found = self._client.list_workflows(workflow_ids=[job_id], load_input=False)
        return self._job(found[0]).note if found else ""

    def knows(self, job_id: str) -> bool:
        """Whether there ever was a job of this id."""
        return bool(self._client.list_workflows(workflow_ids=[job_id], load_input=False))

    def cancel(self, job_id: str) -> None:
        """End a job: a step that runs is finished, the next one never starts."""
        self.show(job_id)
        self._client.cancel_workflow(job_id)

    def end(self, about: Iterable[str]) -> int:
        """End and remove all jobs about some UIDs or keys, the second part of a job's id.

        A step that runs is finished; its job stays in the list, and no further step starts.

        Returns
        -------
        int
            How many jobs there were.
        """
        found = []
        for one in about:
            prefixes = [f"{kind}:{one}" for kind in (*LANES, "refit")]
            found += [
                workflow
                for workflow in self._client.list_workflows(
                    workflow_id_prefix=prefixes, load_input=False, load_output=False
                )
                if workflow.workflow_id.split(":")[1] == one
            ]
        running = [w.workflow_id for w in found if w.status in UNFINISHED]
        if running:
            self._client.cancel_workflows(running)
        ended = [w.workflow_id for w in found if w.status not in UNFINISHED]
        if ended:
            self._client.delete_workflows(ended)
        return len(found)

    def start(
        self,
        name: str,
        *args: Any,
        job_id: str,
        serial: str | None = None,
        lane: str | None = None,
    ) -> None:
        """Queue a job before others, as `glioloop.jobs.start` does; its lane has its name."""
        options: EnqueueOptions = {
            "workflow_name": name,
            "queue_name": lane or name,
            "workflow_id": job_id,
            "app_version": PROTOCOL,
        }
        if serial:
            options["queue_partition_key"] = serial
        else:
            options["priority"] = 1
        self._client.enqueue(options, *args)

    def retry(self, job_id: str) -> None:
        """Run a job that ended once more, under its id, from its first step."""
        job, _ = self.show(job_id)
        if job.state in UNFINISHED:
            raise RefusedError(f"job {job_id} has not ended: it is {job.state}")
        found = self._client.list_workflows(workflow_ids=[job_id])[0]
        self._client.rewind_workflow(
            job_id,
            start_step=1,
            queue_name=found.queue_name or job.kind,
            queue_partition_key=found.queue_partition_key,
        )

    def _job(self, status: Any) -> Job:
        """Our record of the engine's."""
        note = self._client.get_event(status.workflow_id, "note", 0)
        return Job(
            id=status.workflow_id,
            kind=status.name,
            state=status.status,
            note=note or "",
            error=str(status.error or ""),
            created=(status.created_at or 0) / 1000,
            updated=(status.updated_at or 0) / 1000,
            node=status.executor_id or "",
        )
