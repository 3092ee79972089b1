"""The jobs as seen from outside: of a running service, or of one that is down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbos import DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy.exc import SQLAlchemyError

from glioloop import database
from glioloop.lanes import LANES, PROTOCOL, SETTING, UNFINISHED, shared
from study.errors import FailedError, RefusedError


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
            prefixes = [f"{kind}:{one}" for kind in (*LANES, "answer", "commit", "refit")]
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
        if key := shared(lane or name, serial):
            options["queue_partition_key"] = key
        else:
            options["priority"] = 1
        self._client.enqueue(options, *args)

    def retry(self, job_id: str) -> None:
        """Run a job that ended once more, under its id, from its first step."""
        job, _ = self.show(job_id)
        if job.state in UNFINISHED:
            raise RefusedError(f"job {job_id} has not ended: it is {job.state}")
        found = self._client.list_workflows(workflow_ids=[job_id])[0]
        lane = found.queue_name or job.kind
        key = shared(lane, found.queue_partition_key)
        self._client.rewind_workflow(job_id, start_step=1, queue_name=lane, queue_partition_key=key)

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
