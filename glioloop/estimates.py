"""How long a person waits: what an inference usually takes, what is left, and what it took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from sqlalchemy import func, select

from glioloop.ledger_schema import DeliveryRow, DeliveryState, InstanceRow, ResultRow, RunRow
from glioloop.results import FACTS
from glioloop.site import Site

LATEST_RUNS = 20
"""Inferences that what is usual is told from."""
LATEST_RESULTS = 100
"""Results that the median wait is told from."""


def usual_seconds(site: Site) -> float | None:
    """Median of what the latest inferences took, s; None before there was one."""
    with site.ledger.transaction() as session:
        query = select(RunRow.result_id, RunRow.began_at).order_by(RunRow.number.desc())
        runs = session.execute(query.limit(LATEST_RUNS)).all()
    took = []
    for result_id, began_at in runs:
        path = site.results.path(result_id, FACTS)
        if path.is_file():
            took.append(max(0.0, path.stat().st_mtime - began_at))
    return statistics.median(took) if took else None


def began_at(site: Site, study_uid: str) -> float | None:
    """When the latest inference of a study began, seconds since 1970; None before the first."""
    query = select(func.max(RunRow.began_at)).where(RunRow.study_uid == study_uid)
    with site.ledger.transaction() as session:
        return session.scalar(query)


def seconds_left(elapsed: float, part: float, usual: float | None) -> float | None:
    """What is left of an inference.

    At its beginning it is taken to last as long as usual, at its end as its own progress says.

    Parameters
    ----------
    elapsed
        Since it began, s.
    part
        Of 1, that is done.
    usual
        What one usually takes, s; None where that is not known.

    Returns
    -------
    float or None
        Seconds; None where nothing tells.
    """
    if usual is None:
        return elapsed * (1 - part) / part if part > 0 else None
    # The whole: part of it as it goes now, which is elapsed / part, and part of it as usual.
    whole = elapsed + (1 - part) * usual
    return (1 - part) * whole


def waits(running: Sequence[float | None], usual: float | None, ahead: int) -> float | None:
    """Seconds until a study that waits has its result: others go before, one at a time.

    Parameters
    ----------
    running
        What is left of the inferences that run, s.
    usual
        What one usually takes, s.
    ahead
        How many others wait before it.
    """
    if usual is None:
        return None
    return sum(left or 0.0 for left in running) + usual * (ahead + 1)


def median_wait(site: Site) -> tuple[float | None, int]:
    """Median time from a study's last image to its SEG in the archive, and of how many results.

    Of results that nobody asked for: when a person asks, the images have been here for long.

    Returns
    -------
    tuple
        Seconds, None where there is no such result yet; and the count.
    """
    last = (
        select(func.max(InstanceRow.received_at))
        .where(InstanceRow.study_uid == ResultRow.study_uid)
        .where(InstanceRow.received_at <= ResultRow.created_at, InstanceRow.modality != "SEG")
        .scalar_subquery()
    )
    query = (
        select(func.min(DeliveryRow.updated_at) - last)
        .join_from(ResultRow, DeliveryRow, DeliveryRow.result_id == ResultRow.result_id)
        .where(DeliveryRow.state == DeliveryState.DELIVERED, ResultRow.request == 0)
        .group_by(ResultRow.result_id)
        .order_by(ResultRow.created_at.desc())
        .limit(LATEST_RESULTS)
    )
    with site.ledger.transaction() as session:
        took = [seconds for seconds in session.scalars(query) if seconds is not None]
    return (statistics.median(took) if took else None), len(took)
