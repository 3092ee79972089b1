"""A patient is forgotten: models, spool, features, corrections, results, and the trend with them.

First nothing that began before can be stored any more, then files go, and the ledger's rows last:
a crash at any moment leaves a state from which the same command goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
from sqlalchemy import or_, select

from converter.files import READ_ERRORS
from glioloop import ledger_of_patient, model_import, model_merging, model_taught
from glioloop.board import Board
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
    versions += model_taught.remove(site.models, found.corrections)
    mine = _of_patient(site, rows, keys, found)
    gone = Known(
        found.studies | {row.study_uid for row in mine if row.study_uid in unjudged},
        found.results | _answers(site, found.studies | {row.study_uid for row in mine}),
        found.corrections | {row.sop_instance_uid for row in mine if row.modality == "SEG"},
    )
    ended = _end_jobs(site, {*gone.studies, *gone.results, *gone.corrections, *keys})
    for result_id in gone.results:
        bury(site.results.path(result_id, "."))
    # SEGs first: after a crash the images still tell whose those are that name no issuer.
    paths = [str(row.path) for row in sorted(mine, key=lambda row: row.modality != "SEG")]
    _unlink(Path(path) for path in paths)
    _unlink(file for key in keys for file in model_import.files_of(site.settings.data, key))
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


@dataclass(frozen=True)
class _Told:
    """What an instance's own header tells; nothing where it cannot be read, or is gone."""

    row: InstanceRow
    whose: str | None
    """The patient's key."""
    id_key: str | None
    """Of the Patient ID alone."""


def _of_patient(
    site: Site,
    rows: Iterable[InstanceRow],
    keys: Sequence[PatientKey],
    known: Known,
) -> list[InstanceRow]:
    """Instances that are the patient's: their own headers say so, or they were taken for theirs.

    Many viewers drop the issuer of the Patient ID: where all images of a study are the patient's,
    a SEG with their ID alone is too. So is there what cannot be read, and in any study of theirs
    what a crash left no file of.
    """
    by_study: dict[str, list[_Told]] = {}
    for row in rows:
        by_study.setdefault(row.study_uid, []).append(_tell(site, row))
    found, merged = [], site.models.id_keys_of(keys[0])
    for study in by_study.values():
        images = [one for one in study if one.row.modality != "SEG" and one.whose is not None]
        told = {one.whose for one in images or study} - {None}
        alone = bool(told) and told <= set(keys)
        ids = {one.id_key for one in images} | merged if alone and images else set()
        found += [
            one.row
            for one in study
            if one.whose in keys
            or (one.whose is None and alone)
            or (one.row.modality == "SEG" and one.id_key in ids)
            or one.row.sop_instance_uid in known.corrections
            or (one.row.study_uid in known.studies and not Path(str(one.row.path)).exists())
        ]
    return found


def _tell(site: Site, row: InstanceRow) -> _Told:
    """Read whose an instance is."""
    try:
        header = pydicom.dcmread(
            str(row.path),
            stop_before_pixels=True,
            specific_tags=["PatientID", "IssuerOfPatientID"],
        )
        whose = site.patient(header, row.calling_ae) or "nobody"
        return _Told(row, whose, site.patient_id_key(header))
    except READ_ERRORS:
        return _Told(row, None, None)


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
            study_uid = str(header.get("StudyInstanceUID", ""))
        except READ_ERRORS:
            continue
        if study_uid in studies:
            found.add(result_id)
    return found


def _end_jobs(site: Site, about: Iterable[str]) -> int:
    """End and remove the jobs about some things."""
    try:
        board = Board(site.settings.database)
    except RefusedError:  # there were never any
        return 0
    with closing(board):
        return board.end(sorted(about))


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
