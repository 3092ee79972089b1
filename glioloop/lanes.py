"""The lanes that jobs run in, and how many of each run at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROTOCOL = "1"
"""Jobs recorded under another number are not picked up: change it only when they must not run."""

LANES: Mapping[str, Mapping[str, Any]] = {
    "infer": {"worker_concurrency": 1},
    "adapt": {"worker_concurrency": 1, "partition_concurrency": 1},
    "deliver": {"partition_worker_concurrency": 16},
}
"""Jobs at once in one process. In `adapt`, jobs with one ``serial`` key, a patient, run one by one
anywhere; in `deliver` it is a destination, and one that is down holds up nothing for another."""

CRASHES = {"infer": 50, "adapt": 50, "deliver": 10**6}
"""How many ends of its process a job may see before it is given up, whatever they were; what a
single step is suspected of is counted by `glioloop.watch`."""

UNFINISHED = ("DELAYED", "ENQUEUED", "PENDING")
SETTING = "jobs_url"


def shared(lane: str, serial: str | None) -> str | None:
    """What jobs of a lane share; without it one of a lane with such limits would never run."""
    return serial or ("any" if any("partition" in limit for limit in LANES.get(lane, {})) else None)


def ended_too_often(lane: str) -> str:
    """What is said of a job of a lane that is given up."""
    return (
        f"its job was ended {CRASHES[lane]} times, together with the service, and is not tried"
        " again by itself; when the cause is mended"
    )
