"""Both networks, ready to run, and how they are to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.head import Head
from engine.inference import Patching
from engine.normalisations import normalisation
from engine.outputs import BRAIN_LABELS, REGION_LABELS, TISSUE_LABELS
from engine.runtime import (
    Device,
    Run,
    compile_backbone,
    compile_network,
    patches_at_once,
)
from engine.weights import Manifest, load, shipped
from glioloop.mode_names import ModeName
from glioloop.modes import FITTED_VOXELS, MODES
from study.errors import RefusedError

Passes = Literal["coarse", "fine", "both"]


@dataclass(frozen=True)
class Options:
    """How the network runs; `mode` and `passes` change voxels.

    Parameters
    ----------
    mode
        How thorough it is (`glioloop.modes`).
    batch
        Patches in one call; None for as many as suit the device.
    device, threads
        As for `engine.runtime.compile_backbone`.
    model_folder
        With models in ``base`` and ``brain``; None for the shipped ones.
    cache_folder
        Where compiled networks are kept.
    passes
        ``"coarse"`` works on the model's grid. Around what that finds, ``"fine"`` takes the answer
        from a second pass on a finer grid, and ``"both"`` the mean of the logits of the two
        (`glioloop.fine_pass`).
    """

    mode: ModeName = "standard"
    batch: int | None = None
    device: Device = "auto"
    threads: int | None = None
    model_folder: Path | None = None
    cache_folder: Path | None = None
    passes: Passes = "coarse"

    def patching(self, manifest: Manifest) -> Patching:
        """How a volume is taken apart for the model of a manifest."""
        mode = MODES[self.mode]
        return Patching(
            overlap=mode.overlap,
            batch=self.batch or patches_at_once(self.device),
            flips=mode.flips,
            outside=manifest.outside_value,
            most_voxels=FITTED_VOXELS if mode.fitted else None,
            multiple=manifest.network.stride,
        )


@dataclass(frozen=True, eq=False)
class Networks:
    """Both networks, ready to run."""

    manifest: Manifest
    head: Head
    backbone: Run
    brain_manifest: Manifest
    brain: Run


def prepare_networks(options: Options) -> Networks:
    """Load the models of the options' folder, or the shipped ones, and compile them.

    Raises
    ------
    RefusedError
        As `load_networks`.
    """
    folder = options.model_folder
    if folder is None:
        return load_networks(shipped("base"), shipped("brain"), options)
    return load_networks(folder / "base", folder / "brain", options)


def load_networks(base: Path, brain: Path, options: Options) -> Networks:
    """Load two models and compile them for this machine.

    Parameters
    ----------
    base, brain
        Folders of the tumour's and the brain's model.
    options
        Device, threads and cache are used.

    Raises
    ------
    RefusedError
        If a model is missing or damaged (`engine.weights.load`), is a model for the other task, or
        names a way to normalise that is unknown here.
    """
    tumour, head = load(base), load(brain)
    _check_labels(tumour.manifest, (TISSUE_LABELS, REGION_LABELS), "outlines tumour")
    _check_labels(head.manifest, (BRAIN_LABELS,), "finds the brain")
    normalisation(tumour.manifest.normalisation)
    how: dict[str, Any] = {
        "device": options.device,
        "cache_dir": options.cache_folder,
        "threads": options.threads,
    }
    return Networks(
        manifest=tumour.manifest,
        head=tumour.head,
        backbone=compile_backbone(tumour, **how),
        brain_manifest=head.manifest,
        brain=compile_network(head, **how),
    )


def _check_labels(manifest: Manifest, known: Sequence[tuple[str, ...]], task: str) -> None:
    """Refuse a model of another task."""
    if manifest.labels not in known:
        kinds = " or ".join(", ".join(labels) for labels in known)
        raise RefusedError(
            f"model {manifest.name} {manifest.version} tells {', '.join(manifest.labels)} apart; a"
            f" model that {task} tells {kinds}: name the folder of such a one"
        )
