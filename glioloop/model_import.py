"""Models as Glioloop kept them before it had a database: a JSON file for each patient."""

from __future__ import annotations

import json
from pathlib import Path

from glioloop.models import BASE, ModelStore
from study.patient import PatientKey


def take_over(folder: Path, store: ModelStore) -> int:
    """Enter the models of such files, and mark the files; how many patients there were.

    Parameters
    ----------
    folder
        Of the models; nothing of it is removed.
    store
        What gets them. A crash between leaves files that are entered once more, which changes
        nothing.
    """
    found = sorted(folder.glob("??/*.json"))
    for path in found:
        key, known = PatientKey(path.stem), json.loads(path.read_text())
        numbers = {BASE: BASE}
        for version in sorted(known["versions"], key=lambda one: int(one["number"])):
            made = store.accept(
                key,
                parent=numbers[version["parent"]],
                backbone=version["backbone"],
                head=version["head"],
                corrections=tuple(version["corrections"]),
                metrics=version["metrics"],
                software=version["software"],
            )
            numbers[version["number"]] = made.number
        for backbone, number in known["current"].items():
            store.use(key, numbers[number], backbone)
        path.rename(path.with_suffix(".json.entered"))
    return len(found)
