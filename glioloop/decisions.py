"""What a person decides about a SEG that arrived: it is a correction, it is none, it was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dicomseg.facts import read_facts
from glioloop import label_map
from glioloop.corrections import start_again
from glioloop.jobs import Board
from glioloop.ledger_schema import LEARNT, CorrectionRow, CorrectionState
from glioloop.models import BASE, HeadVersion, PatientModels
from glioloop.site import Site
from study.errors import RefusedError
from study.patient import PatientKey, patient_key


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
        If it is not held, or it is not said what it corrects, or its patient has no model.
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
    facts = read_facts(Path(row.path))
    if patient_key(site.secret, "", facts.patient_id) != result.patient_id_key:
        raise RefusedError("the SEG is another patient's than the result")
    board = Board(site.settings.database)
    try:
        site.ledger.set_correction(
            sop_instance_uid,
            state=CorrectionState.LEARNING,
            reason="accepted by a person",
            result_id=chosen,
            patient_key=result.patient_key,
            looked_at=True,
            label_map={**row.label_map, **named},
            report={},
        )
        return start_again(board, site.ledger.correction(sop_instance_uid))
    finally:
        board.close()


def reject(site: Site, sop_instance_uid: str) -> None:
    """A person says that a held SEG is no correction."""
    row = site.ledger.correction(sop_instance_uid)
    if row.state != CorrectionState.HELD:
        raise RefusedError(f"SEG {sop_instance_uid} is not held: it is {row.state}")
    site.ledger.set_correction(
        sop_instance_uid, state=CorrectionState.REJECTED, reason="rejected by a person"
    )


def withdraw(site: Site, sop_instance_uid: str) -> str:
    """A person says that a correction was wrong: nothing that it taught stays in use.

    The newest version that was fitted without it, else the base head, is used at once; then a head
    is fitted to the patient's other corrections, if there are any.

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
    key = PatientKey(row.patient_key)
    used = _point_elsewhere(site, key, sop_instance_uid)
    others = [other for other in ledger.corrections(*LEARNT) if other.patient_key == key]
    if not others or used is None:
        return used or "no model had learnt from it"
    return f"{used}; {_learn_again(site, others[-1])} fits one to the other corrections"


def _point_elsewhere(site: Site, key: PatientKey, sop_instance_uid: str) -> str | None:
    """Use a version that knows nothing of a SEG; None where the one in use does not either."""
    models = site.models.patient(key)
    said = None
    for backbone in models.current:
        used = models.in_use(backbone)
        if used is None or sop_instance_uid not in used.corrections:
            continue
        number = _ancestor_without(site, models, used)
        site.models.use(key, number, backbone)
        said = f"the patient's next study is segmented with head {models.name(number)}"
    return said


def _ancestor_without(site: Site, models: PatientModels, version: HeadVersion) -> int:
    """The nearest version that one was made from, and that no withdrawn correction taught."""
    withdrawn = {c.sop_instance_uid for c in site.ledger.corrections(CorrectionState.WITHDRAWN)}
    number = version.number
    while number != BASE and withdrawn & set(models.version(number).corrections):
        number = models.version(number).parent
    return number


def _learn_again(site: Site, row: CorrectionRow) -> str:
    """Queue the job of a correction that was learnt from before."""
    site.ledger.set_correction(
        row.sop_instance_uid,
        state=CorrectionState.LEARNING,
        reason="learnt from again, because another correction was withdrawn",
    )
    board = Board(site.settings.database)
    try:
        return start_again(board, row)
    finally:
        board.close()
