"""What runs in a child process with the network, as `glioloop.tasks` without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from converter.parts import read_part
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
        "agreement": dict(made.agreement),
    }
    durable.write(folder / results.FACTS, json.dumps(facts, indent=1).encode())
    return facts


def learn(arguments: Answer, progress: Progress) -> Answer:
    """Fit a patient's head.

    ``arguments``: lessons (`Lesson`), options, voxels, wanted (`learning.FIT_SETTINGS` by name,
    revert_loss), current (null, or the head in use as JSON text and the index of the lesson that
    came after it). Answers also why the head in use is put out of use, or null.
    """
    options = _options(arguments["options"])
    networks = prepare_networks(options)
    wanted = arguments["wanted"]
    lessons = [Lesson.from_json(lesson) for lesson in arguments["lessons"]]
    before = None
    if arguments["current"] is not None:
        text, index = arguments["current"]
        before = learning.in_use(
            lessons[index],
            Head.from_json(text),
            networks,
            options,
            arguments["voxels"],
            wanted["revert_loss"],
        )
    fit = learning.learn(
        lessons=lessons,
        networks=networks,
        options=options,
        settings=learning.fit_settings(wanted, networks, options),
        voxels=arguments["voxels"],
        progress=progress,
    )
    return {
        "out_of_use": None if before is None else before.out_of_use,
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
            "rung": fit.rung,
            "replay_base": dict(fit.replay_base),
            "replay_fitted": dict(fit.replay_fitted),
            "in_use": None if before is None else asdict(before),
        },
    }


def _options(values: Mapping[str, Any]) -> Options:
    """`Options` from JSON."""
    folders = {
        name: Path(values[name]) if values.get(name) else None
        for name in ("model_folder", "cache_folder")
    }
    return Options(**{**values, **folders})
