"""What generated cases say about a base head: a prior for fitting, and cases to replay.

How far each number of the head may move is measured, not chosen: by the curvature of the loss on
generated cases (Fisher information; Kirkpatrick et al. 2017, arXiv:1612.00796). And a sample of
those cases is kept, on which no patient's head may be much worse than the base head. Both lie
beside the weights, and belong to them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engine.gate import judge
from engine.head import Head
from engine.sampling import FeatureSample
from study.errors import RefusedError
from study.tissue import TUMOUR_TISSUES

PRIOR_FILE = "prior.safetensors"
_HEADER_BYTES = 8
"""Of the header's length, at the beginning of a safetensors file."""
_KEPT = ("features", "images", "target", "weight", "block")


@dataclass(frozen=True, eq=False)
class Prior:
    """What was measured on generated cases.

    Parameters
    ----------
    fisher
        ``(K, P)`` float32 diagonal of the Fisher information of the base head's features, the
        images' terms and biases, summed over the cases; 1 is the loss of all their tumour voxels
        together. So a prior of strength 1 counts as much as a correction (`engine.fitting`).
    replay
        A sample of the cases' voxels with what is true there; a block is a case.
    record
        How it was made: seeds, cases, anatomies.
    """

    fisher: npt.NDArray[np.float32]
    replay: FeatureSample
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def backbone_sha256(self) -> str:
        """The backbone whose features these are."""
        return self.replay.backbone_sha256

    def dice_of(self, head: Head) -> dict[str, float]:
        """Dice of a head with the truth of the replay set, by name of each class and region."""
        logits = head.apply(self.replay.features, self.replay.images).T.astype(np.float64)
        truth = np.eye(len(logits))[:, self.replay.target]
        return dict(judge([self.replay], truth, logits, 0.0, converged=True).dice)

    def save(self, folder: Path) -> Path:
        """Write it beside a model's weights, whole or not at all; the file is returned."""
        tensors = {"fisher": np.asarray(self.fisher, np.float32)}
        tensors |= {name: getattr(self.replay, name) for name in _KEPT}
        facts = {
            "backbone_sha256": self.backbone_sha256,
            "sha256": _sha256(tensors),
            "record": json.dumps(dict(self.record)),
        }
        path = folder / PRIOR_FILE
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_bytes(save(tensors, facts))
        partial.replace(path)
        return path


def load_prior(folder: Path, backbone_sha256: str) -> Prior | None:
    """Read what `Prior.save` wrote; None for a model without a prior.

    Parameters
    ----------
    folder
        Of the model.
    backbone_sha256
        The model's: a prior of another one means nothing.

    Raises
    ------
    RefusedError
        If the file is damaged, or belongs to another backbone.
    """
    path = folder / PRIOR_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    again = "measure it again (`glioloop prior`)"
    try:
        tensors = load(content)
        size = int.from_bytes(content[:_HEADER_BYTES], "little")
        facts = json.loads(content[_HEADER_BYTES : _HEADER_BYTES + size])["__metadata__"]
        if facts["sha256"] != _sha256(tensors):
            raise RefusedError(f"the prior of the model was changed: {again}")
        if facts["backbone_sha256"] != backbone_sha256:
            raise RefusedError(
                f"the prior belongs to backbone {facts['backbone_sha256'][:12]}, the model has"
                f" {backbone_sha256[:12]}: {again}"
            )
        kept = {name: tensors[name] for name in _KEPT}
        replay = replay_of(kept, backbone_sha256)
        return Prior(tensors["fisher"], replay, json.loads(facts["record"]))
    except (SafetensorError, ValueError, KeyError) as error:
        raise RefusedError(f"the prior of the model is damaged: {again}: {error!r}") from error


def replay_of(kept: Mapping[str, npt.NDArray[Any]], backbone_sha256: str) -> FeatureSample:
    """A replay set of arrays, each as in `engine.sampling.FeatureSample`."""
    return FeatureSample(
        **kept,
        changed=np.zeros(len(kept["target"]), bool),
        outlined=frozenset(TUMOUR_TISSUES),
        backbone_sha256=backbone_sha256,
    )


def information(
    logits: npt.NDArray[np.floating], inputs: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Diagonal of the Fisher information of a linear layer, summed over voxels.

    Parameters
    ----------
    logits
        ``(n, K)`` of the base head.
    inputs
        ``(n, P)`` that the layer takes, a column of ones for the biases too.

    Returns
    -------
    numpy.ndarray
        ``(K, P)``: the sum of p (1 - p) x^2, where p is the probability of a class.
    """
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = odds / odds.sum(axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = (probability * (1.0 - probability)).T.astype(
        np.float64
    ) @ inputs.astype(np.float64) ** 2
    return found


def _sha256(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """Hash of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
