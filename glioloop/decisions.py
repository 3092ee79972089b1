"""What a person decides about a SEG that arrived: it is a correction, it is none, it was wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from glioloop import audit_events, confinement, label_map, model_taught
from glioloop.board import Board
from glioloop.corrections import start_again
from glioloop.ledger_schema import LEARNT, CorrectionRow, CorrectionState
from glioloop.models import BASE
from glioloop.site import Site
from study.errors import RefusedError
from study.patient import PatientKey


def accept(
    site: Site, sop_instance_uid: str, named: Mapping[str, str], result_id: str | None = None
) -> str:
    """A person says that a held SEG is a correction, and what its segments are.

    Parameters
    ----------
    site
        Where.
    sop_instance_uid
        Of the SEG.
    named
        Label of a segment to name of a tissue, or ``none``.
    result_id
        What it corrects, where that was not recognised.

    Returns
    -------
    str
        Id of the job.

    Raises
    ------
    RefusedError
        If it is not held, or it is not said what it corrects, or that is of another patient or
        study, or its patient has no model.
    """
    label_map.tissues(named)
    row = site.ledger.correction(sop_instance_uid)
    taken_back = (CorrectionState.REJECTED, CorrectionState.WITHDRAWN)
    if row.state not in (CorrectionState.HELD, *taken_back):
        raise RefusedError(f"SEG {sop_instance_uid} is not held: it is {row.state}")
    chosen = result_id or row.result_id
    if chosen is None:
        raise RefusedError("it is not known which result it corrects: give --result")
    result = site.ledger.result(chosen)
    if result.patient_key is None:
        raise RefusedError("the patient of that result has no usable Patient ID")
    facts = confinement.facts(Path(row.path), confinement.named(sop_instance_uid))
    own, whole = site.named_patient(facts.patient_id, facts.issuer, row.calling_ae)
    if not site.is_theirs(result.patient_key, result.patient_id_key, own, whole=whole):
        raise RefusedError("the SEG is another patient's than the result")
    if facts.study_uid != result.study_uid:
        raise RefusedError(
            f"the SEG lies in study {facts.study_uid}, the result in {result.study_uid}: name a"
            " result of the SEG's study"
        )
    with closing(Board(site.settings.database)) as board:
        _decide(
            site,
            row,
            state=CorrectionState.LEARNING,
            reason="accepted by a person",
            result_id=chosen,
            patient_key=result.patient_key,
            looked_at=True,
            label_map={**row.label_map, **named},
            report={},
        )
        return start_again(site, board, site.ledger.correction(sop_instance_uid))


def _decide(site: Site, row: CorrectionRow, **values: Any) -> None:
    """Write a decision about a SEG, unless another one was made meanwhile."""
    if not site.ledger.settle_correction(row.sop_instance_uid, was=row.state, **values):
        now = site.ledger.correction(row.sop_instance_uid).state
        raise RefusedError(
            f"SEG {row.sop_instance_uid} is no longer {row.state}: it is {now}; look again"
        )
    audit_events.correction(site, site.ledger.correction(row.sop_instance_uid))


def reject(site: Site, sop_instance_uid: str) -> None:
    """A person says that a held SEG is no correction."""
    row = site.ledger.correction(sop_instance_uid)
    if row.state != CorrectionState.HELD:
        raise RefusedError(f"SEG {sop_instance_uid} is not held: it is {row.state}")
    _decide(site, row, state=CorrectionState.REJECTED, reason="rejected by a person")


def withdraw(site: Site, sop_instance_uid: str) -> str:
    """A person says that a correction was wrong: nothing that it taught stays in use.

    The patient uses at once the nearest version before that was fitted without it; where there is
    none, what a patient without a head uses: a group's, else the base head. So does every group.
    Then a head is fitted to the patient's other corrections, if there are any; a group's is fitted
    again when a person says so.

    Returns
    -------
    str
        What is done about the patient's model, in words.

    Raises
    ------
    RefusedError
        If nothing was or would be learnt from it.
    """
    ledger = site.ledger
    row = ledger.correction(sop_instance_uid)
    # Once more where it was withdrawn already: a crash may have come between.
    if row.state not in (*LEARNT, CorrectionState.WITHDRAWN) or row.patient_key is None:
        raise RefusedError(f"SEG {sop_instance_uid} teaches nothing: it is {row.state}")
    ledger.set_correction(
        sop_instance_uid, state=CorrectionState.WITHDRAWN, reason="withdrawn by a person", head=None
    )
    audit_events.correction(site, ledger.correction(sop_instance_uid))
    key = PatientKey(row.patient_key)
    withdrawn = {c.sop_instance_uid for c in ledger.corrections(CorrectionState.WITHDRAWN)}
    used = _point_elsewhere(site, key, withdrawn)
    groups = _groups_elsewhere(site, withdrawn)
    theirs = site.models.keys_of(key)
    others = [other for other in ledger.corrections(*LEARNT) if other.patient_key in theirs]
    said = "; ".join([used, *groups] if used else groups) or "no model had learnt from it"
    if others and (used is not None or _put_a_head_out_of_use(row)):
        said = f"{said}; {_learn_again(site, others[-1])} fits one to the other corrections"
    _report_again(site, row)
    return said


def _put_a_head_out_of_use(row: CorrectionRow) -> bool:
    """Whether a head was found to be worse than base on a correction, and is in use no more."""
    fit: Any = row.report.get("fit") or {}
    return bool((fit.get("in_use") or {}).get("out_of_use"))


def _point_elsewhere(site: Site, key: PatientKey, withdrawn: Collection[str]) -> str | None:
    """Let the patient use a version that knows nothing of some SEGs; None where that is so."""
    moved = model_taught.point_elsewhere(site.models, key, withdrawn)
    if not moved:
        return None
    models = site.models.patient(key)
    base = "its group's head, or base" if site.settings.adaptation.groups else "head base"
    said = [
        f"head {models.name(number)}" if number != BASE else base
        for number in sorted(set(moved.values()))
    ]
    return f"the patient's next study is segmented with {' or '.join(said)}"


def _groups_elsewhere(site: Site, withdrawn: Collection[str]) -> list[str]:
    """Let every group use a version that knows nothing of some SEGs; what was done, in words."""
    said = []
    for key in model_taught.groups(site.models):
        moved = model_taught.point_elsewhere(site.models, key, withdrawn)
        models = site.models.patient(key)
        said += [f"{models.title} uses head {models.name(n)}" for n in sorted(set(moved.values()))]
    return said


def _report_again(site: Site, row: CorrectionRow) -> None:
    """Queue the job that takes the report of a withdrawn correction back.

    Also where there is none: it may be written at this moment, by a job that goes before.
    """
    if row.result_id is not None:
        with closing(Board(site.settings.database)) as board:
            start_again(site, board, row)


def _learn_again(site: Site, row: CorrectionRow) -> str:
    """Queue the job of a correction that was learnt from before."""
    site.ledger.set_correction(
        row.sop_instance_uid,
        state=CorrectionState.LEARNING,
        reason="learnt from again, because another correction was withdrawn",
    )
    with closing(Board(site.settings.database)) as board:
        return start_again(site, board, row)
