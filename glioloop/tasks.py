"""What runs in a child process: JSON in, JSON out, arrays as files of the result's folder.

Each writes its files whole or not at all, and does nothing that is already done, so that a task
which a crash made run twice is harmless.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydicom

from converter.series import Series, read_series
from dicomseg.encode import encode_seg
from engine.adapt import FitSettings
from engine.head import Head
from glioloop import durable, learning, pipeline, results
from glioloop.label_file import labels_from_file, labels_to_bytes
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
    """Encode labels.npz as seg.dcm.

    ``arguments``: folder, series, identity (fields of `ResultIdentity`).
    """
    del progress
    folder = Path(arguments["folder"])
    target = folder / results.SEG
    if not target.is_file():
        series = _series(arguments["series"][Role.T1GD.value])
        sources = [
            pydicom.dcmread(instance.path, stop_before_pixels=True) for instance in series.instances
        ]
        labels = labels_from_file(folder / results.LABELS)
        identity = results.identity_of(arguments["identity"])
        durable.write(target, encode_seg(labels, sources, identity))
    return {"seg": str(target)}


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
