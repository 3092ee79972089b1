"""What runs in a child process: JSON in, JSON out, arrays as files of the result's folder.

Each writes its files whole or not at all, and does nothing that is already done, so that a task
which a crash made run twice is harmless.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom

from converter.series import Series, read_series
from dicomseg.identity import Predecessor
from dicomseg.measure import volumes_of
from engine.adapt import FitSettings
from engine.head import Head
from glioloop import durable, learning, mask_files, objects, pipeline, results
from glioloop.kept import Kept
from glioloop.label_file import labels_from_file, labels_to_bytes
from glioloop.label_map import tissues
from glioloop.networks import Options, prepare_networks
from study.errors import FailedError
from study.tissue import Role

logger = logging.getLogger(__name__)

Answer = Mapping[str, Any]
Progress = Callable[[float], None]


def segment(arguments: Answer, progress: Progress) -> Answer:
    """Segment a study into ``folder``: labels.npz, kept.npz, and facts.json as the last.

    ``arguments``: folder, series (role to the files of its series), head (JSON text or null),
    options (fields of `glioloop.networks.Options`). Answers with what facts.json holds.
    """
    folder = Path(arguments["folder"])
    chosen = {Role(role): _series(paths) for role, paths in arguments["series"].items()}
    options = _options(arguments["options"])
    networks = prepare_networks(options)
    head = Head.from_json(arguments["head"]) if arguments["head"] else None
    made = pipeline.segment(chosen, networks, head, options, progress)
    durable.write(folder / results.KEPT, made.kept.to_bytes())
    durable.write(folder / results.LABELS, labels_to_bytes(made.labels))
    facts = {
        "device": networks.backbone.device,
        "precision": networks.backbone.precision,
        "seconds": dict(made.seconds),
        "volumes_ml": made.volumes_ml(),
        "alignment": dict(made.alignment),
    }
    durable.write(folder / results.FACTS, json.dumps(facts, indent=1).encode())
    return facts


def encode(arguments: Answer, progress: Progress) -> Answer:
    """Encode labels.npz as SEG, report and pictures.

    ``arguments``: folder, series, identity (fields of `ResultIdentity`), told (of `objects.Told`).
    """
    del progress
    folder = Path(arguments["folder"])
    chosen = {Role(role): _series(paths) for role, paths in arguments["series"].items()}
    labels = labels_from_file(folder / results.LABELS)
    identity = results.identity_of(arguments["identity"])
    told = objects.Told.from_json(arguments["told"])
    return {"problems": objects.write(folder, labels, chosen, identity, told)}


def answer(arguments: Answer, progress: Progress) -> Answer:
    """Draw and write why a study was not segmented.

    ``arguments``: folder, source (file of any instance), identity, sentences.
    """
    del progress
    folder = Path(arguments["folder"])
    source = pydicom.dcmread(arguments["source"], stop_before_pixels=True)
    identity = results.identity_of(arguments["identity"])
    objects.write_answer(folder, source, identity, arguments["sentences"])
    durable.write(folder / results.ANSWER, json.dumps(arguments["sentences"]).encode())
    return {"folder": str(folder)}


def seg_of_mask(arguments: Answer, progress: Progress) -> Answer:
    """Encode a mask as a SEG.

    ``arguments``: mask, seg (files), sources (files of the T1gd series), numbers (pairs, or null),
    created, creator, predecessor (fields of `Predecessor`).
    """
    del progress
    sources = [pydicom.dcmread(path, stop_before_pixels=True) for path in arguments["sources"]]
    numbers = arguments["numbers"]
    encoded = mask_files.seg_of_mask(
        Path(arguments["mask"]),
        sources,
        numbers=None if numbers is None else dict(numbers),
        created=datetime.fromisoformat(arguments["created"]),
        creator=arguments["creator"],
        predecessor=Predecessor(**arguments["predecessor"]),
    )
    Path(arguments["seg"]).write_bytes(encoded)
    return {"seg": arguments["seg"]}


def report_correction(arguments: Answer, progress: Progress) -> Answer:
    """Write the report of a corrected SEG; answers with the corrected volumes of the tissues.

    ``arguments``: folder, lesson (`learning.Lesson`), series, identity, told, sender (AE title).
    """
    del progress
    lesson = learning.Lesson.from_json(arguments["lesson"])
    kept = Kept.from_file(lesson.result / results.KEPT)
    corrected, original = learning.read_correction(lesson, kept)
    labels = original.with_array(corrected.labels(original.array))
    # A name stays between files: arguments of a job are kept.
    people = corrected.facts.people or (f"sent by {arguments['sender']}",)
    told = replace(objects.Told.from_json(arguments["told"]), corrected_by=", ".join(people))
    objects.write_correction(
        Path(arguments["folder"]),
        lesson.seg,
        {Role(role): _series(paths) for role, paths in arguments["series"].items()},
        results.identity_of(arguments["identity"]),
        told,
        objects.Spoken(sorted(corrected.outlined), tissues(lesson.label_map)),
    )
    found = volumes_of(labels).tissues
    return {"volumes_ml": {tissue.name.lower(): volume for tissue, volume in found.items()}}


def learn(arguments: Answer, progress: Progress) -> Answer:
    """Fit a patient's head.

    ``arguments``: lessons (`learning.Lesson`), options, voxels, largest_loss, largest_drift.
    """
    options = _options(arguments["options"])
    networks = prepare_networks(options)
    fit = learning.learn(
        lessons=[learning.Lesson.from_json(lesson) for lesson in arguments["lessons"]],
        networks=networks,
        options=options,
        settings=FitSettings(
            largest_loss=arguments["largest_loss"], largest_drift=arguments["largest_drift"]
        ),
        voxels=arguments["voxels"],
        progress=progress,
    )
    return {
        "accepted": fit.accepted,
        "reason": fit.reason,
        "head": json.loads(fit.head.to_json()),
        "metrics": {
            "dice_base": dict(fit.dice_base),
            "dice_fitted": dict(fit.dice_fitted),
            "left_alone": dict(fit.left_alone),
            "strength": str(fit.strength),
            "converged": fit.converged,
            "folds": fit.folds,
            "gap_mm": fit.gap_mm,
            "voxels": fit.voxels,
        },
    }


def _series(paths: Sequence[str]) -> Series:
    """One series, of exactly these files."""
    found = read_series([Path(path) for path in paths])
    if len(found) != 1 or len(found[0].instances) != len(paths):
        raise FailedError(f"the {len(paths)} files of a chosen series are no longer one series")
    return found[0]


def _options(values: Mapping[str, Any]) -> Options:
    """`Options` from JSON."""
    folders = {
        name: Path(values[name]) if values.get(name) else None
        for name in ("model_folder", "cache_folder")
    }
    return Options(**{**values, **folders})
