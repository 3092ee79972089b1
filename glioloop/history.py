"""A patient's results over time: what a report and the page of volumes compare with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydicom import Dataset

from dicomseg.validity import valid_date
from glioloop.ledger_schema import LEARNT
from glioloop.site import Site
from study.patient import PatientKey
from study.tissue import REGIONS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """One study of a patient, as its latest result says, or the correction of that.

    Parameters
    ----------
    date
        (0008,0020) *Study Date*.
    study_uid, sop_instance_uid
        Of the study, and of the SEG that the volumes are of: its newest file, where it has layers.
    series_uid
        Of that SEG; empty where it came from elsewhere.
    volumes_ml
        Region to mL.
    corrected
        Whether a person outlined it.
    head
        Name of the head that the result was made with.
    """

    date: str
    study_uid: str
    sop_instance_uid: str
    series_uid: str
    volumes_ml: Mapping[str, float]
    corrected: bool
    head: str

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "volumes_ml": dict(self.volumes_ml)}


def study_date(header: Dataset) -> str:
    """(0008,0020) *Study Date*; empty where it is none."""
    stated = str(header.get("StudyDate", "") or "").strip()
    return stated if valid_date(stated) else ""


def regions_ml(tissues_ml: Mapping[str, float]) -> dict[str, float]:
    """Volumes of `study.tissue.REGIONS` from those of the tissues, by their names in lower case."""
    return {
        name: sum(tissues_ml.get(tissue.name.lower(), 0.0) for tissue in tissues)
        for name, tissues in REGIONS.items()
    }


def of_patient(site: Site, patient_key: str | None, without_study: str) -> list[Point]:
    """The other studies of a patient that have a date, the earliest first.

    Parameters
    ----------
    site
        Where.
    patient_key
        Whose; a patient without a usable ID has no history.
    without_study
        (0020,000D) *Study Instance UID* of the study that is compared.
    """
    if patient_key is None:
        return []
    keys = site.models.keys_of(PatientKey(patient_key))
    corrected = {
        row.result_id: row
        for row in site.ledger.corrections(*LEARNT)
        if row.patient_key in keys and "volumes_ml" in row.report
    }
    found: dict[str, Point] = {}
    for result in site.ledger.results_of_patient(*keys):
        if result.study_uid in found or result.study_uid == without_study:
            continue
        try:
            report = site.results.report(result.result_id)
        except (OSError, ValueError):  # one that cannot be read must not cost others theirs
            logger.warning("result %s has no report, and is not compared with", result.result_id)
            continue
        if not report.get("study_date") or not report.get("same_person"):
            continue
        row = corrected.get(result.result_id)
        tissues: Any = row.report["volumes_ml"] if row else report["volumes_ml"]
        found[result.study_uid] = Point(
            date=report["study_date"],
            study_uid=result.study_uid,
            sop_instance_uid=row.sop_instance_uid if row else result.sop_instance_uid,
            series_uid="" if row else result.series_uid,
            volumes_ml=regions_ml(tissues),
            corrected=row is not None,
            head=result.head,
        )
    return sorted(found.values(), key=lambda point: (point.date, point.study_uid))
