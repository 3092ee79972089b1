"""What runs in a child process: JSON in, JSON out, arrays as files of the result's folder.

Each writes its files whole or not at all, and does nothing that is already done, so that a task
which a crash made run twice is harmless. What needs the network is in `glioloop.network_tasks`:
neither loads the other's libraries, which takes seconds.
"""

from __future__ import annotations

import json
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
from glioloop import durable, objects, outlines, results
from glioloop.label_file import labels_from_file
from glioloop.label_map import tissues
from glioloop.lessons import Lesson
from study.tissue import TUMOUR_TISSUES, Role

Answer = Mapping[str, Any]
Progress = Callable[[float], None]


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
    from glioloop import mask_files  # noqa: PLC0415 - nibabel comes with it

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
