"""How long it takes to find a patient's head among a million, and how much disk they take."""

from __future__ import annotations

import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from glioloop.bench import Figures, Measurement, Options
from glioloop.model_file import pack
from glioloop.model_schema import ChoiceRow, OwnerRow, VersionRow
from glioloop.models import ModelStore
from study.patient import PatientKey

BACKBONE = hashlib.sha256(b"a backbone").hexdigest()
CLASSES, FEATURES = 4, 24
"""Of the reference network's head."""
LOOKUPS = 2000
BATCH = 20_000
DIFFERENT = 500
"""Heads that differ; each is stored for many patients, in full each time."""


def measurements(options: Options) -> Iterator[Measurement]:
    """Lookups in a store of so many patients; each has one head."""
    count = options.patients
    yield Measurement(
        "models", f"models of {count:,} patients, SQLite on this disk", lambda: measure(count)
    )


def measure(patients: int, folder: Path | None = None) -> Figures:
    """Fill a store, and look up heads at random, also of patients who have none.

    Parameters
    ----------
    patients
        How many have a head.
    folder
        Where the store is made; a temporary folder if None.
    """
    with tempfile.TemporaryDirectory(prefix="glioloop-") as temporary:
        place = folder or Path(temporary)
        began = time.perf_counter()
        store = ModelStore(place)
        fill(store, patients)
        filled = time.perf_counter() - began
        store.close()
        size = sum(path.stat().st_size for path in place.glob("models.db*"))
        # Another store, as a service has after its start.
        store = ModelStore(place)
        found, seconds = 0, []
        for number in _chosen(patients):
            began = time.perf_counter()
            used = store.used(key_of(number), BACKBONE)
            seconds.append(time.perf_counter() - began)
            found += used is not None
        store.close()
    ordered = sorted(seconds)
    return {
        "patients": patients,
        "bytes": size,
        "bytes_a_patient": round(size / patients),
        "fill_s": round(filled, 1),
        "lookup_median_ms": round(1000 * statistics.median(ordered), 3),
        "lookup_99_percent_ms": round(1000 * ordered[int(0.99 * len(ordered))], 3),
        "lookups": len(ordered),
        "lookups_that_found_a_head": found,
    }


def fill(store: ModelStore, patients: int) -> None:
    """Give so many patients a head each, as an adaptation stores it."""
    pool = [_version(number) for number in range(min(patients, DIFFERENT))]
    for first in range(0, patients, BATCH):
        numbers = range(first, min(first + BATCH, patients))
        with store.database.changing() as session:
            session.execute(
                insert(OwnerRow),
                [{"key": key_of(n), "group_name": None, "changes": 1} for n in numbers],
            )
            session.execute(
                insert(VersionRow),
                [{**pool[n % len(pool)], "owner": key_of(n)} for n in numbers],
            )
            session.execute(
                insert(ChoiceRow),
                [{"owner": key_of(n), "backbone": BACKBONE, "number": 1} for n in numbers],
            )


def key_of(number: int) -> PatientKey:
    """A patient's key, scattered as true ones are."""
    return PatientKey(hashlib.sha256(b"patient %d" % number).hexdigest())


def _chosen(patients: int) -> list[int]:
    """Patients at random; one in ten has no head."""
    random = np.random.default_rng(0)
    return [int(n) for n in random.integers(0, patients + patients // 9 + 1, LOOKUPS)]


def _version(number: int) -> dict[str, Any]:
    """A version with all that the gate says of one."""
    random = np.random.default_rng(number)
    numbers = random.normal(size=(CLASSES, FEATURES + 1)).astype(np.float32)
    head = {
        "backbone_sha256": BACKBONE,
        "weight": numbers[:, 1:].tolist(),
        "bias": numbers[:, 0].tolist(),
    }
    names = ("necrosis", "edema", "enhancing", "whole tumour", "tumour core", "enhancing tumour")
    dice = [dict(zip(names, random.uniform(size=6).tolist(), strict=True)) for _ in range(2)]
    return {
        "number": 1,
        "parent": 0,
        "backbone": BACKBONE,
        "head": pack(head),
        "corrections": [f"2.25.{int.from_bytes(os.urandom(16))}"],
        "metrics": {
            "dice_base": dice[0],
            "dice_fitted": dice[1],
            "left_alone": {},
            "strength": "0.3",
            "converged": True,
            "folds": 4,
            "gap_mm": 8.0,
            "voxels": 40_000,
        },
        "software": "0.1.0",
        "created_at": 1.76e9 + number,
    }
