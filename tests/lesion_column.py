"""A lesion that tests make: a column of 20 blocks, 2 features, and a base head that knows it."""

from __future__ import annotations

import numpy as np

from engine.head import Head
from engine.sampling import FeatureSample
from study.tissue import Tissue

ENHANCING = frozenset({Tissue.ENHANCING})
BASE = Head(
    np.array([[0, 0, 1], [0, 4, 0], [4, 0, 0], [4, 4, 0]], np.float32),
    np.array([3, 0, 0, -4], np.float32),
    "h",
)
"""Feature 0 speaks for edema, 0 and 1 together for enhancing tumour, but not enough."""


def lesion(
    seed: int = 0,
    blocks: int = 20,
    outlined: frozenset[Tissue] = ENHANCING,
    shift: float = 0.0,
    per_block: int = 60,
) -> FeatureSample:
    """Noisy features; background, edema and enhancing tumour in each block."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.repeat([0, 2, 3], per_block // 3), blocks)
    clean = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0]], float)[truth]
    clean[truth == 3, 1] -= shift
    features = np.maximum(clean + rng.normal(scale=0.15, size=clean.shape), 0).astype(np.float16)
    target = np.where(np.isin(truth, [int(t) for t in outlined]), truth, 0).astype(np.uint8)
    found = BASE.apply(features).argmax(axis=1)
    wrong = (target != found) & ((target > 0) | np.isin(found, [int(t) for t in outlined]))
    return FeatureSample(
        features=features,
        target=target,
        weight=np.where(truth == 0, 50, 1).astype(np.float32),
        block=np.repeat(np.arange(blocks), len(truth) // blocks).astype(np.int16),
        changed=wrong,
        outlined=outlined,
        backbone_sha256="h",
    )


def dice_of_enhancing(head: Head, sample: FeatureSample) -> float:
    found = head.apply(sample.features).argmax(axis=1) == 3
    told = sample.target == 3
    return 2 * float((found & told).sum()) / float(found.sum() + told.sum())
