"""A patient is forgotten: models, spool, features, corrections, results, and the trend with them.

First nothing that began before can be stored any more, then files go, and the ledger's rows last:
a crash at any moment leaves a state from which the same command goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError
from sqlalchemy import or_, select

from glioloop import ledger_of_patient, model_merging
from glioloop.jobs import Board
from glioloop.ledger_of_patient import Known
from glioloop.ledger_schema import InstanceRow
from glioloop.site import Site
from listener.part10 import fsync_folder
from study.errors import RefusedError
from study.patient import PatientKey

STAYS = (
    "what was delivered to an archive stays there: have it removed there if that is wanted; the"
    " audit keeps that this key was forgotten, and when"
)
"""What a person must know about forgetting."""


@dataclass(frozen=True)
class Removed:
    """How much was removed."""

    versions: int
    jobs: int
    results: int
    corrections: int
    studies: int
    instances: int


def forget(site: Site, patient_key: PatientKey, by: str) -> Removed:
    """Remove all that is kept of a patient; once more is harmless, and finishes what a crash left.

    Parameters
    ----------
    site
        Where.
    patient_key
        Whose, with everything that was merged into it.
    by
        Who asks for it, for the audit.
    """
    keys = site.models.keys_of(patient_key)
    versions = site.models.forget(patient_key)
    with site.ledger.transaction() as session:
        found = ledger_of_patient.known(session, keys)
        unjudged = ledger_of_patient.unjudged(session)
        studies = [*found.studies, *unjudged]
        theirs = or_(InstanceRow.study_uid.in_(studies), InstanceRow.modality == "SEG")
        rows = list(
            session.scalars(select(InstanceRow).where(InstanceRow.path.is_not(None), theirs))
        )
    mine = _of_patient(site, rows, keys)
    gone = Known(
        found.studies | {row.study_uid for row in mine if row.study_uid in unjudged},
        found.results | _answers(site, found.studies | {row.study_uid for row in mine}),
        found.corrections | {row.sop_instance_uid for row in mine if row.modality == "SEG"},
    )
    ended = _end_jobs(site, {*gone.studies, *gone.results, *gone.corrections, *keys})
    for result_id in gone.results:
        bury(site.results.path(result_id, "."))
    paths = [str(row.path) for row in mine]
    _unlink(Path(path) for path in paths)
    with site.ledger.transaction() as session:
        ledger_of_patient.forget(session, keys, gone, paths)
    site.models.forget_merges(patient_key)
    removed = Removed(
        versions=versions,
        jobs=ended,
        results=len(gone.results),
        corrections=len(gone.corrections),
        studies=len(gone.studies),
        instances=len(paths),
    )
    model_merging.note(site.models, "forget", patient_key, by, **vars(removed))
    return removed


def bury(folder: Path) -> None:
    """Put an empty file where a result's folder was: what still runs can write nothing there."""
    doomed = folder.with_name(f".forgotten-{folder.name}-{time.time_ns()}")
    for _ in range(100):
        with suppress(FileNotFoundError, NotADirectoryError):
            if folder.is_dir():
                folder.rename(doomed)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.touch(exist_ok=True)
        except IsADirectoryError:
            continue
        if folder.is_file():
            break
    for left in folder.parent.glob(f".forgotten-{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    fsync_folder(folder.parent)


def insist(site: Site, recipe: Mapping[str, Any]) -> None:
    """Go on with a result only if its patient was not forgotten since it was begun.

    Raises
    ------
    RefusedError
        If they were. A study that was sent again after that is begun anew.
    """
    folder, key = site.results.path(recipe["result_id"], "."), recipe["patient_key"]
    began = datetime.fromisoformat(recipe["identity"]["created"]).timestamp()
    if key is not None and site.models.forgotten(key, began):
        bury(folder)
        raise RefusedError(f"result {recipe['result_id']}: its patient was forgotten meanwhile")
    if folder.is_file():
        folder.unlink(missing_ok=True)


def bury_if_forgotten(site: Site, study_uid: str, folder: Path) -> None:
    """Remove what was drawn for a study that was forgotten while it was drawn.

    Raises
    ------
    RefusedError
        If it was.
    """
    try:
        site.ledger.study(study_uid)
    except RefusedError:
        bury(folder)
        raise


def _of_patient(
    site: Site, rows: Collection[InstanceRow], keys: Collection[PatientKey]
) -> list[InstanceRow]:
    """Instances whose own headers say that they are the patient's.

    One that cannot be read is, where all others of its study are.
    """
    by_study: dict[str, list[tuple[InstanceRow, str | None]]] = {}
    for row in rows:
        by_study.setdefault(row.study_uid, []).append((row, _whose(site, row)))
    found = []
    for pairs in by_study.values():
        told = {whose for _, whose in pairs} - {None}
        alone = bool(told) and told <= set(keys)
        found += [row for row, whose in pairs if whose in keys or (whose is None and alone)]
    return found


def _whose(site: Site, row: InstanceRow) -> str | None:
    """The patient's key of an instance; None where the file tells nothing, or is gone."""
    try:
        header = pydicom.dcmread(
            str(row.path),
            stop_before_pixels=True,
            specific_tags=["PatientID", "IssuerOfPatientID"],
        )
    except (OSError, InvalidDicomError, ValueError):
        return None
    return site.patient(header, row.calling_ae) or "nobody"


def _answers(site: Site, studies: Collection[str]) -> set[str]:
    """What was drawn for the patient's studies and never entered: answers, reports, masks."""
    known = {result.result_id for result in site.ledger.results()}
    found = set()
    for result_id in site.results.with_objects():
        if result_id in known:
            continue
        first = min(site.results.path(result_id, ".").glob("*.dcm"))
        try:
            header = pydicom.dcmread(first, stop_before_pixels=True)
        except (OSError, InvalidDicomError):
            continue
        if str(header.get("StudyInstanceUID", "")) in studies:
            found.add(result_id)
    return found


def _end_jobs(site: Site, about: Iterable[str]) -> int:
    """End and remove the jobs about some things."""
    try:
        board = Board(site.settings.database)
    except RefusedError:  # there were never any
        return 0
    try:
        return board.end(sorted(about))
    finally:
        board.close()


def _unlink(paths: Iterable[Path]) -> None:
    """Remove files, and the folders that they leave empty."""
    folders = set()
    for path in paths:
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for folder in folders:
        with suppress(OSError):  # something else lies there, or it is gone
            fsync_folder(folder)
            folder.rmdir()
            fsync_folder(folder.parent)
