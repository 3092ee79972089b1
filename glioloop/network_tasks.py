"""What runs in a child process with the network, as `glioloop.tasks` without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from converter.parts import read_part
from engine.adapt import FitSettings
from engine.head import Head
from glioloop import durable, learning, pipeline, results
from glioloop.label_file import labels_to_bytes
from glioloop.lessons import Lesson
from glioloop.networks import Options, prepare_networks
from study.tissue import Role

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
