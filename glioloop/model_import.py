"""Models as Glioloop kept them before it had a database: a JSON file for each patient."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from glioloop.models import BASE, ModelStore
from study.errors import RefusedError
from study.patient import PatientKey

logger = logging.getLogger(__name__)

FIELDS = ("parent", "backbone", "head", "corrections", "metrics", "software", "created_at")
"""Of a version in such a file, beside its number."""
KEY_BYTES = 32
UNUSABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RefusedError)
"""What a file raises that is damaged, or that another process takes over at this moment."""


def take_over(folder: Path, store: ModelStore) -> int:
    """Enter the models of such files, and mark the files; how many patients there were.

    A file that cannot be used is left as it is, said in the log, and looked at again next time.

    Parameters
    ----------
    folder
        Of the models; nothing of it is removed.
    store
        What gets them. A crash between leaves files that are entered once more, which changes
        nothing.
    """
    entered = 0
    for path in sorted(folder.glob("??/*.json")):
        try:
            _enter(path, store)
        except UNUSABLE as error:
            # The error's own text may quote the file.
            logger.warning(
                "the earlier models of patient %s were not taken over: %s; put back a copy of"
                " their file",
                path.stem[:8],
                type(error).__name__,
            )
        else:
            entered += 1
    return entered


def files_of(data: Path, patient_key: PatientKey) -> Iterator[Path]:
    """Such files of one patient in a data folder, entered or not."""
    return (data / "models" / patient_key[:2]).glob(f"{patient_key}.json*")


def _enter(path: Path, store: ModelStore) -> None:
    """Enter one file, of which all is read before anything is stored."""
    if len(bytes.fromhex(path.stem)) != KEY_BYTES:
        raise RefusedError("its name is no patient's key")
    key, known = PatientKey(path.stem), json.loads(path.read_text())
    versions = sorted(map(_version, known["versions"]), key=lambda one: int(one["number"]))
    current = dict(known["current"].items())
    numbers = {BASE: BASE, **{version["number"]: BASE for version in versions}}
    missing = {*(v["parent"] for v in versions), *current.values()} - set(numbers)
    if missing:
        raise RefusedError(f"versions {sorted(missing)} are missing")
    for version in versions:
        values = {name: version[name] for name in FIELDS}
        made = store.accept(key, **{**values, "parent": numbers[version["parent"]]})
        numbers[version["number"]] = made.number
    for backbone, number in current.items():
        store.use(key, numbers[number], backbone)
    path.rename(path.with_suffix(".json.entered"))


def _version(values: Mapping[str, Any]) -> dict[str, Any]:
    """One version of a file, with every field that it needs."""
    wanted = {name: values[name] for name in ("number", *FIELDS)}
    return {**wanted, "corrections": tuple(wanted["corrections"])}
