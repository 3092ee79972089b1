"""What runs in a child process: JSON in, JSON out, arrays as files of the result's folder.

Each writes its files whole or not at all, and does nothing that is already done, so that a task
which a crash made run twice is harmless.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom

from converter.parts import headers_of, read_part
from dicomseg.delivered import delivered_in_layers
from dicomseg.identity import Predecessor
from dicomseg.measure import volumes_of
from engine.adapt import FitSettings
from engine.head import Head
from glioloop import durable, learning, mask_files, objects, outlines, pipeline, results
from glioloop.label_file import labels_from_file, labels_to_bytes
from glioloop.label_map import tissues
from glioloop.lessons import Lesson
from glioloop.networks import Options, prepare_networks
from study.tissue import TUMOUR_TISSUES, Role

logger = logging.getLogger(__name__)

Answer = Mapping[str, Any]
Progress = Callable[[float], None]


def segment(arguments: Answer, progress: Progress) -> Answer:
    """Segment a study into ``folder``: labels.npz, kept.npz, and facts.json as the last.

    ``arguments``: folder, series (role to the files of its series), head (JSON text or null),
    options (fields of `glioloop.networks.Options`). Answers with what facts.json holds.
    """
    folder = Path(arguments["folder"])
    chosen = {Role(role): read_part(files) for role, files in arguments["series"].items()}
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

    ``arguments``: folder, series, identity (fields of `ResultIdentity`), told (of `objects.Told`),
    label_map (whether a destination wants one).
    """
    del progress
    folder = Path(arguments["folder"])
    chosen = {Role(role): read_part(files) for role, files in arguments["series"].items()}
    labels = labels_from_file(folder / results.LABELS)
    identity = results.identity_of(arguments["identity"])
    told = objects.Told.from_json(arguments["told"])
    wanted = arguments["label_map"]
    return {"problems": objects.write(folder, labels, chosen, identity, told, label_map=wanted)}


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
    sources = headers_of(read_part(arguments["sources"]))
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

    ``arguments``: folder, lesson (`Lesson`; null: the result's own SEG counts again), own_seg,
    series, identity, told, sender (AE title).
    """
    del progress
    told = objects.Told.from_json(arguments["told"])
    if arguments["lesson"] is None:
        _report(arguments, Path(arguments["own_seg"]), told, objects.Spoken(TUMOUR_TISSUES, {}))
        return {"volumes_ml": {}}
    lesson = Lesson.from_json(arguments["lesson"])
    corrected, original = outlines.read_correction(lesson)
    labels = original.with_array(corrected.labels(original.array))
    # A name stays between files: arguments of a job are kept.
    people = corrected.facts.people or (f"sent by {arguments['sender']}",)
    joined = delivered_in_layers(corrected, original.geometry)
    outlined = sorted(corrected.outlined)
    spoken = objects.Spoken(outlined, tissues(lesson.label_map), joined)
    _report(arguments, lesson.seg, replace(told, corrected_by=", ".join(people)), spoken)
    found = volumes_of(labels).tissues
    return {"volumes_ml": {tissue.name.lower(): volume for tissue, volume in found.items()}}


def _report(arguments: Answer, seg: Path, told: objects.Told, spoken: objects.Spoken) -> None:
    """Write the report of a SEG."""
    chosen = {Role(role): read_part(files) for role, files in arguments["series"].items()}
    identity = results.identity_of(arguments["identity"])
    objects.write_correction(Path(arguments["folder"]), seg, chosen, identity, told, spoken)


def learn(arguments: Answer, progress: Progress) -> Answer:
    """Fit a patient's head.

    ``arguments``: lessons (`Lesson`), options, voxels, largest_loss, largest_drift.
    """
    options = _options(arguments["options"])
    networks = prepare_networks(options)
    fit = learning.learn(
        lessons=[Lesson.from_json(lesson) for lesson in arguments["lessons"]],
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


def _options(values: Mapping[str, Any]) -> Options:
    """`Options` from JSON."""
    folders = {
        name: Path(values[name]) if values.get(name) else None
        for name in ("model_folder", "cache_folder")
    }
    return Options(**{**values, **folders})
