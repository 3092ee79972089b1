"""When a study is complete, and whether it is worked on: then its job is queued."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from converter.identify import Identification
from converter.parts import name_frames, named_frames
from converter.series import missing_slices
from glioloop import choice, jobs, scope
from glioloop.choice import Looked
from glioloop.ledger_schema import InstanceRow, StudyRow, StudyState
from glioloop.site import Site
from listener.completeness import State, decide
from study.errors import HeldError
from study.tissue import Role

JOB = "infer"
"""Kind of the job that a complete study gets."""


class Judge:
    """Looks at studies in which something arrived. All that it knows is in the site's stores."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def look_at(self, study: StudyRow, now: float) -> float | None:
        """Start inference when a study is complete, or lacks something for long enough.

        Returns
        -------
        float or None
            When to look again if nothing arrives before; None when it is judged.
        """
        wanted = self._site.settings.completeness
        rows = images(self._site, study.study_uid)
        listed = set(study.expected)
        here = bool(listed) and listed <= self._site.ledger.arrived(study.study_uid)
        quiet_at = study.last_arrival + wanted.quiet_seconds
        if not rows:
            return now + max(wanted.quiet_seconds, 1.0)
        if not here and now < quiet_at:
            return quiet_at
        found = self._found(study, rows)
        decision = decide(
            study.last_arrival,
            now,
            _has_all_roles(found),
            here,
            wanted.quiet_seconds,
            60 * wanted.incomplete_after_minutes,
        )
        if decision.state is State.WAIT:
            return decision.look_again_at
        self._begin(study, rows, found)
        return None

    def _begin(
        self, study: StudyRow, rows: list[InstanceRow], found: Identification | None
    ) -> None:
        """Queue the job for exactly these images; one that was queued for them is not repeated."""
        ledger = self._site.ledger
        # What a person asked for, or was worked on before, stays in scope.
        known = study.request or ledger.results(study.study_uid)
        reason = "" if known else self._outside(rows, found)
        if reason:
            ledger.set_study(study.study_uid, state=StudyState.IGNORED, reason=reason)
        else:
            uids = sorted(row.sop_instance_uid for row in rows)
            digest = hashlib.sha256("\n".join(uids).encode()).hexdigest()[:12]
            job_id = f"{JOB}:{study.study_uid}:{digest}"
            if study.judged != digest:
                if jobs.ended(job_id):  # the ledger was lost, and with it what the job wrote
                    job_id = f"{job_id}:{int(time.time())}"
                ledger.set_study(
                    study.study_uid, state=StudyState.WAITING, reason="", judged=digest
                )
            jobs.start(JOB, study.study_uid, 0, job_id=job_id)
        ledger.settle(study)

    def _found(self, study: StudyRow, rows: list[InstanceRow]) -> Identification | None:
        """Which series is which; None where no image can be used: the job says why."""
        try:
            return look(self._site, study, rows).found
        except HeldError:
            return None

    def _outside(self, rows: list[InstanceRow], found: Identification | None) -> str:
        """Why a study is not in scope."""
        if found is None:
            return ""
        headers = [part.header for part in found.parts]
        callers = {row.calling_ae for row in rows}
        return scope.outside(self._site.settings.scope, headers, callers, found.evidence)


def _has_all_roles(found: Identification | None) -> bool:
    """Whether the three sequences are found, each without a doubt and without a gap."""
    if found is None:
        return False
    whole = [series for series in found.chosen.values() if not missing_slices(series)]
    return len(whole) == len(Role)


def images(site: Site, study_uid: str) -> list[InstanceRow]:
    """What is kept of a study, without SEGs and without second contents of one UID."""
    rows = site.ledger.instances(study_uid)
    return [row for row in rows if row.modality != "SEG" and not row.conflict]


def look(site: Site, study: StudyRow, rows: list[InstanceRow]) -> Looked:
    """Which series of a study is which, by the site's rules and what a person said.

    Raises
    ------
    HeldError
        If no readable image is there.
    """
    given = {Role(role): uid for role, uid in study.overrides.items()}
    return choice.look(paths_of(rows), given, site.rules)


def files_of(
    site: Site, study_uid: str, instances: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Role to the files of its instances and their frames, as a result names them."""
    path_of = {row.sop_instance_uid: row.path for row in images(site, study_uid) if row.path}
    return {
        role: [name_frames(path_of[uid], kept) for uid, kept in map(named_frames, chosen)]
        for role, chosen in instances.items()
    }


def paths_of(rows: list[InstanceRow]) -> list[Path]:
    """Files of instances."""
    return [Path(row.path) for row in rows if row.path]
