"""Kept dates that nobody generated: features at random, and another head's opinion as truth."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np

from engine.head import Head
from engine.prior import PRIOR_FILE
from engine.weights import load, shipped
from glioloop.evidence_dates import KeptDate, to_arrays
from glioloop.evidence_patients import Models

BASE = load(shipped("base")).head
SHAPE = (16, 12, 12)
MEANS = np.array(
    [
        [2.1, 0.6, 0.1, 1.8, 0.5, 0.3, 0.2, 4.2],
        [1.5, 1.3, 0.8, 0.5, 0.1, 1.3, 0.2, 1.2],
        [3.5, 0.3, 0.4, 0.8, 0.0, 1.2, 1.1, 1.7],
        [0.7, 2.5, 3.0, 1.8, 0.0, 0.0, 0.1, 1.7],
    ]
)
"""Features of each tissue, about as the shipped backbone has them on a generated head."""


def without_prior(folder: Path) -> Models:
    """The shipped models without what generated cases say of them: these dates are none."""
    base = shutil.copytree(
        shipped("base"), folder / "base", ignore=shutil.ignore_patterns(PRIOR_FILE)
    )
    return Models(base, shipped("brain"))


def teacher(towards_edema: float = 1.5) -> Head:
    """The base head, which calls more edema."""
    bias = BASE.bias + np.array([0.0, 0.0, towards_edema, 0.0], np.float32)
    return Head(BASE.weight, bias, BASE.backbone_sha256)


def kept_date(seed: int, scanner: str = "a scanner") -> KeptDate:
    """A brain of 16 slices of 2 mm, whose truth is what the teacher finds."""
    rng = np.random.default_rng(seed)
    brain = np.ones(SHAPE, bool)
    count = brain.size
    tissue = rng.choice(4, count, p=(0.6, 0.1, 0.2, 0.1))
    clear = 2.0 * MEANS[tissue] - MEANS[0]
    features = np.maximum(clear + rng.normal(0.0, 0.4, (count, 8)), 0.0)
    images = rng.normal(0.0, 1.0, (count, 3))
    blank = np.zeros(SHAPE, np.uint8)
    made = KeptDate(
        features.astype(np.float16), images.astype(np.float16), blank, brain, scanner, False,
        BASE.backbone_sha256,
    )  # fmt: skip
    return KeptDate(**{**vars(made), "labels": made.found(teacher())})


def write(path: Path, dates: list[KeptDate]) -> None:
    """As `glioloop.evidence_patients.kept_dates` keeps them."""
    arrays = {f"{n}/{k}": v for n, d in enumerate(dates) for k, v in to_arrays(d).items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    path.write_bytes(buffer.getvalue())
