"""Settings of the network, and of learning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from glioloop.mode_names import ModeName
from glioloop.settings_part import NotNegative, Part, Positive


class Inference(Part):
    """How the network runs."""

    device: Literal["auto", "openvino", "cuda", "torch"] = "auto"
    """`auto`, `openvino`, `cuda` or `torch`"""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads; null: as many as the process is given, by affinity and control groups"""
    mode: ModeName = "standard"
    """`fast`, `standard` or `quality`: see docs/speed.md"""
    batch: Annotated[int, Field(ge=1)] | None = None
    """patches computed at once; null: as many as suit the device"""
    wall_clock_minutes: Positive = 30
    """min after which an inference that hangs is ended"""
    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """how often a failing inference is tried before a person is asked"""
    model_folder: Path | None = None
    """folder with the networks `brain` and `base`; null: those that are shipped"""


def _is_name_of_group(text: str) -> str:
    """Refuse a name that could be taken for a version, or for the beginning of a patient's key."""
    if text in ("base", "auto") or not text.strip("0123456789abcdef"):
        raise ValueError(f"{text!r} would be taken for a version or a patient's key")
    return text


class Group(Part):
    """Patients who get one head where they have none of their own: a site, a scanner, a trial.

    A study belongs to it that fits all of it; patterns (`*`, `?`) are compared in any case.
    """

    name: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"), AfterValidator(_is_name_of_group)
    ]
    """its name: small letters, digits and hyphens; not all of it may be digits of a key"""
    calling_aes: tuple[str, ...] = ("*",)
    """patterns of calling AE titles"""
    stations: tuple[str, ...] = ("*",)
    """patterns of (0008,1010) *Station Name*"""
    scanners: tuple[str, ...] = ("*",)
    """patterns of (0008,1090) *Manufacturer's Model Name*"""
    trials: tuple[str, ...] = ("*",)
    """patterns of (0012,0020) *Clinical Trial Protocol ID*"""


class Adaptation(Part):
    """Learning from corrections."""

    wait_minutes: NotNegative = 2
    """min that a study waits for its patient's queued adaptations"""
    voxels: Annotated[int, Field(ge=100)] = 40000
    """voxels sampled from one corrected study"""
    largest_loss: NotNegative = 0.02
    """Dice that no corrected tissue may lose on slices that the head did not learn from"""
    largest_drift: NotNegative = 0.10
    """Dice by which tissues that were not outlined may move there, away from the base head"""
    method: Literal["convex", "published"] = "convex"
    """`convex` (fitted to its minimum, held by a prior), `published` (fixed steps of Adam)"""
    rungs: Annotated[tuple[Literal["bias", "head", "images"], ...], Field(min_length=1)] = (
        "bias",
        "head",
        "images",
    )
    """what of a head may move; the smallest that wins does"""
    rung_gain: NotNegative = 0.005
    """Dice by which a larger rung must be better than a smaller one"""
    largest_replay_loss: NotNegative = 0.05
    """Dice that no tissue may lose on the generated cases kept beside the model"""
    revert_loss: NotNegative = 0.02
    """Dice that a head may lose against base on a later correction before it is put out of use"""
    least_agreement: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Dice between a head and base on a study, below which its result warns"""
    groups: tuple[Group, ...] = ()
    """groups of patients, the first that fits a study and has a head first"""
