"""What a person decides about models: which head is used, and whose models are removed.

The command line and the web pages do it here, so that each decision is in the audit.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from glioloop import audit_events, model_forgetting, model_merging
from glioloop.model_changed_ids import is_known
from glioloop.model_groups import key_of_group
from glioloop.models import BASE, PatientModels
from glioloop.site import Site
from study.errors import RefusedError
from study.patient import PatientKey

KEY_DIGITS = 64
"""Of a patient's key."""


def whose(site: Site, text: str) -> PatientModels | None:
    """The models of a group, by its name, or of a patient, by the whole key; None for neither."""
    groups = {group.name for group in site.settings.adaptation.groups}
    if text in groups or site.models.patient(key_of_group(text)).versions:
        return site.models.group(text)
    key = PatientKey(text.lower())
    is_key = len(text) == KEY_DIGITS and not set(key) - set("0123456789abcdef")
    if is_key and is_known(site, key):
        return site.models.patient(key)
    return None


def used_name(site: Site, found: PatientModels) -> str:
    """What is used now; of a study's groups nothing is known here."""
    now = site.models.patient(found.patient_key)
    backbone = site.manifest()["backbone_sha256"]
    used = site.models.used(found.patient_key, backbone)
    if backbone in now.current or used is not None:
        return used.name if used else now.name(BASE)
    return "base" if found.group else "its group's head, or base"


def use(site: Site, found: PatientModels, what: str, by: str) -> str:
    """Use one head from now on.

    Parameters
    ----------
    site
        Where.
    found
        Whose.
    what
        ``base``, ``auto`` (a group's head, else base), a version's number, or a group's name.
    by
        Who says so, for the audit.

    Returns
    -------
    str
        Name of what is used now.

    Raises
    ------
    RefusedError
        If there is no such version or group, or it belongs to another backbone.
    """
    backbone, wanted = site.manifest()["backbone_sha256"], what.lower()
    if wanted in ("base", str(BASE)):
        site.models.use(found.patient_key, BASE, backbone)
    elif wanted == "auto":
        site.models.use_nothing(found.patient_key, backbone)
    elif wanted.isdecimal():
        site.models.use(found.patient_key, int(wanted), backbone)
    elif found.group:
        raise RefusedError(f"a group uses base, auto or the number of a version, not {what!r}")
    else:
        site.models.use_group(found.patient_key, wanted, backbone)
    model_merging.note(site.models, "use", found.patient_key, by, what=wanted)
    return _audited(site, "use", found, by)


def roll_back(site: Site, found: PatientModels, by: str) -> str:
    """Use the version from which the present one was made; the name of what is used now.

    Raises
    ------
    RefusedError
        If no version of their own is in use.
    """
    backbone = site.manifest()["backbone_sha256"]
    found.own(backbone)
    number = site.models.rollback(found.patient_key, backbone)
    model_merging.note(site.models, "rollback", found.patient_key, by, to=number)
    return _audited(site, "rollback", found, by)


def forget(site: Site, found: PatientModels, by: str) -> dict[str, Any]:
    """Remove a group's versions, or all that is kept of a patient; how much that was."""
    if found.group:
        removed = site.models.forget(found.patient_key)
        model_merging.note(site.models, "forget", found.patient_key, by, versions=removed)
        gone: dict[str, Any] = {"versions": removed}
    else:
        gone = asdict(model_forgetting.forget(site, found.patient_key, by))
    counts = {name: str(count) for name, count in gone.items()}
    audit_events.model(site, "forget", found.patient_key, "all", {"by": by, **counts})
    return gone


def _audited(site: Site, action: str, found: PatientModels, by: str) -> str:
    """Write down that another head is used now, and return its name."""
    name = used_name(site, found)
    audit_events.model(site, action, found.patient_key, name, {"by": by})
    return name
