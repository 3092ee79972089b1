"""Generated patients and their features, made once and kept in a folder, by several processes."""

from __future__ import annotations

import io
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from engine.labelmaps import read_head_map
from engine.longitudinal import Visit, dates_from, patient
from engine.phantom import phantom_map
from engine.scanner import Scanner
from engine.weights import load
from glioloop import durable
from glioloop.evidence_dates import KeptDate, from_arrays, keep, to_arrays
from glioloop.evidence_ranges import Followups
from glioloop.networks import Networks, Options, load_networks
from glioloop.phantom_patients import FIRST_STUDY
from study.errors import RefusedError

RECORD = "record.json"
"""What a folder's patients were made of; another experiment may not go on in it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Models:
    """Folders of the tumour's and the brain's model."""

    base: Path
    brain: Path


@dataclass(frozen=True)
class Order:
    """One patient to be made.

    Parameters
    ----------
    number
        Of the patient, from 0.
    ranges
        What is drawn from.
    anatomies
        Held-out head maps; without any, heads are grown from nothing.
    scanner
        That every date is made on; None: drawn, and changed in every second patient.
    one_date
        Keep one date alone, whichever is drawn.
    """

    number: int
    ranges: Followups
    anatomies: tuple[Path, ...]
    scanner: Scanner | None = None
    one_date: bool = False


def held_out(anatomy: Path | None, count: int) -> tuple[Path, ...]:
    """The last maps of a folder, in order of name: those that the shipped networks never saw.

    Raises
    ------
    RefusedError
        If the folder holds fewer.
    """
    if anatomy is None:
        return ()
    paths = sorted(anatomy.glob("*.nii.gz"))
    if len(paths) < count:
        raise RefusedError(
            f"{anatomy} holds {len(paths)} *.nii.gz head label maps, {count} are held out"
        )
    return tuple(paths[-count:])


def open_folder(
    folder: Path, asked: Mapping[str, Any], anatomies: Sequence[Path], models: Models
) -> dict[str, Any]:
    """Make a folder for an experiment, or go on in one of the very same experiment.

    Raises
    ------
    RefusedError
        If something else was begun there.
    """
    base, brain = load(models.base).manifest, load(models.brain).manifest
    given = {
        "ranges": asked,
        "anatomies": [path.name for path in anatomies],
        "model": base.version,
        "backbone": base.backbone_sha256,
        "weights": base.weights_sha256,
        "brain_model": brain.version,
        "brain_weights": brain.weights_sha256,
    }
    record: dict[str, Any] = json.loads(json.dumps(given))
    path = folder / RECORD
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != record:
            raise RefusedError(
                f"{folder} holds another experiment (its {RECORD} names other ranges, anatomies or"
                " models): name another folder"
            )
    else:
        durable.write(path, json.dumps(record, indent=2).encode())
    return record


def each(work: Callable[[T], Any], tasks: Sequence[T], workers: int) -> Iterator[Any]:
    """Do all tasks in so many processes of one thread each; answers come as they are ready."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_alone) as pool:
        for future in as_completed([pool.submit(work, task) for task in tasks]):
            yield future.result()


def _alone() -> None:
    """One thread for each process."""
    threadpool_limits(1)


@cache
def networks_of(models: Models) -> Networks:
    """Networks of this process."""
    return load_networks(models.base, models.brain, Options(threads=1))


def kept_dates(path: Path, order: Order, models: Models) -> list[KeptDate]:
    """A patient's dates from a file, or made and put there.

    Parameters
    ----------
    path
        The file.
    order
        Whom to make.
    models
        Whose features are kept.
    """
    if not path.is_file():
        made = [keep(v, networks_of(models), Options(threads=1)) for v in _visits(order)]
        arrays = {
            f"{place}/{name}": array
            for place, date in enumerate(made)
            for name, array in to_arrays(date).items()
        }
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        durable.write(path, buffer.getvalue())
    return read_dates(path)


def read_dates(path: Path) -> list[KeptDate]:
    """Dates of a file that `kept_dates` wrote."""
    with np.load(path, allow_pickle=False) as found:
        places = sorted({int(name.split("/")[0]) for name in found.files})
        return [
            from_arrays(
                {n.split("/")[1]: found[n] for n in found.files if n.startswith(f"{place}/")}
            )
            for place in places
        ]


def _visits(order: Order) -> list[Visit]:
    """Generate a patient, and leave out the dates that are not kept."""
    ranges = order.ranges
    rng = np.random.default_rng((ranges.seed, order.number))
    if order.anatomies:
        head = read_head_map(order.anatomies[order.number % len(order.anatomies)])
    else:
        head = phantom_map(rng)
    slices, rows, columns = (round(extent / ranges.spacing_mm) for extent in ranges.field_mm)
    visits = patient(
        head,
        dates_from(FIRST_STUDY.date(), ranges.dates, rng),
        (slices, rows, columns),
        ranges.spacing_mm,
        rng,
        scanner_change=None if order.scanner else bool(order.number % 2),
        scanner=order.scanner,
    )
    return [visits[int(rng.integers(len(visits)))]] if order.one_date else visits
