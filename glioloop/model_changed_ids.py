"""A person says that two Patient IDs are one patient's, or that they are not after all."""

from __future__ import annotations

from typing import Any

from glioloop import ledger_of_patient, model_merging, model_refits
from glioloop.lessons import with_layers
from glioloop.model_merging import Person
from glioloop.site import Site
from study.errors import RefusedError
from study.patient import PatientKey

UNKNOWN = (
    "nothing is known of a patient with that Patient ID and issuer: look at how the archive writes"
    " it, and at listener.issuers"
)


def merge(site: Site, one: Person, into: Person, by: str) -> dict[str, Any]:
    """Let one patient's studies, corrections and models be another's, who may be still unknown.

    Where both have corrections, a head is fitted to all of them.

    Returns
    -------
    dict
        What was done: ``said`` in words, ``changed``, and the ``jobs`` that follow.

    Raises
    ------
    RefusedError
        If nothing is known of the one, their birth dates differ, or `model_merging.merge` refuses.
    """
    if one.key != into.key:
        keys = (*site.models.keys_of(one.key), *site.models.keys_of(into.key))
        if not is_known(site, one.key):
            raise RefusedError(UNKNOWN)
        if len(site.ledger.birth_keys(*keys)) > 1:
            raise RefusedError(
                f"patients {one.key[:8]} and {into.key[:8]} have different birth dates: they are"
                " not merged; if one is wrong, correct it in the archive, forget that patient here"
                " and send the studies again"
            )
    changed = model_merging.merge(site.models, one, into, by)
    queued = _fit_again(site, into.key) if changed else []
    said = f"patient {one.key[:8]} is {into.key[:8]} from now on"
    return _told(said if changed else f"{said}: that was so already", queued, changed=changed)


def split(site: Site, one: Person, other: Person, by: str) -> dict[str, Any]:
    """Undo a merge; heads that both taught are fitted again for each alone.

    Raises
    ------
    RefusedError
        If they were not merged.
    """
    below = _merged_into(site, one.key)
    known = [row for row in site.ledger.corrections() if row.patient_key is not None]
    theirs = {row.sop_instance_uid for row in known if row.patient_key in below}
    others = {row.sop_instance_uid for row in known} - theirs
    moved = model_merging.split(site.models, one, other, theirs, by, others)
    queued = [*_fit_again(site, one.key), *(_fit_again(site, other.key) if moved else [])]
    said = f"patients {one.key[:8]} and {other.key[:8]} are two from now on"
    return _told(said, queued, changed=True)


def is_known(site: Site, key: PatientKey) -> bool:
    """Whether anything of a patient is kept."""
    if site.models.patient(key).versions or site.models.owner(key) != key:
        return True
    with site.ledger.transaction() as session:
        return ledger_of_patient.is_known(session, key)


def _told(said: str, queued: list[str], *, changed: bool) -> dict[str, Any]:
    """What was done."""
    follows = f"; {', '.join(queued)} fits a head again" if queued else ""
    return {"said": said + follows, "changed": changed, "jobs": queued}


def _fit_again(site: Site, key: PatientKey) -> list[str]:
    """Queue a fit for who has corrections that the head in use does not know."""
    owner = site.models.patient(key)
    lessons = with_layers(site, model_refits.corrections_of(site, owner))
    known = {row.sop_instance_uid for row in lessons}
    used = owner.in_use(site.manifest()["backbone_sha256"])
    if not known or (used is not None and known == set(used.corrections)):
        return []
    return [model_refits.queue(site, owner.patient_key)]


def _merged_into(site: Site, key: PatientKey) -> set[str]:
    """A key and all that were merged into it, also where it was itself merged since."""
    found, below = {str(key)}, site.models.merged()
    while more := {one for one, into in below.items() if into in found} - found:
        found |= more
    return found
