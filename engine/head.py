"""The last layer of the network: about a hundred numbers, one set for each patient."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.errors import RefusedError


@dataclass(frozen=True, eq=False)
class Head:
    """A 1x1x1 convolution from the features of one backbone to logits.

    Parameters
    ----------
    weight
        ``(classes, features)`` float32.
    bias
        ``(classes,)`` float32.
    backbone_sha256
        Hash of the backbone whose features it was made for; with any other it means nothing.

    Raises
    ------
    RefusedError
        If the shapes do not fit one another, or a number is not finite.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    backbone_sha256: str

    def __post_init__(self) -> None:
        weight = np.array(self.weight, np.float32)
        bias = np.array(self.bias, np.float32)
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or len(bias) < 2:
            raise RefusedError(
                f"a head has (classes, features) weights and (classes,) biases,"
                f" not {weight.shape} and {bias.shape}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise RefusedError("a head has only finite numbers; this one has NaN or infinity")
        for name, array in (("weight", weight), ("bias", bias)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def apply(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Logits of features.

        Parameters
        ----------
        features
            ``(n, features)`` of single voxels, or ``(N, features, ...)`` of whole patches.

        Returns
        -------
        numpy.ndarray
            float32 of the same shape with classes on axis 1.

        Raises
        ------
        RefusedError
            If axis 1 does not hold as many features as the head has weights.
        """
        classes, wanted = self.weight.shape
        if features.ndim < 2 or features.shape[1] != wanted:
            raise RefusedError(
                f"this head takes {wanted} features on axis 1, the array's shape is"
                f" {features.shape}"
            )
        outer, inner = features.shape[0], features.shape[2:]
        if not inner:
            rows: npt.NDArray[np.float32] = features.astype(np.float32, copy=False) @ self.weight.T
            rows += self.bias
            return rows
        flat = features.astype(np.float32, copy=False).reshape(outer, wanted, -1)
        logits: npt.NDArray[np.float32] = np.matmul(self.weight, flat)
        logits += self.bias[:, None]
        return logits.reshape(outer, classes, *inner)

    def check_backbone(self, backbone_sha256: str) -> None:
        """Refuse to work with any backbone but the head's own.

        Raises
        ------
        RefusedError
            If the hashes differ.
        """
        if backbone_sha256 != self.backbone_sha256:
            raise RefusedError(
                f"this head belongs to backbone {self.backbone_sha256[:12]}, the one in use is"
                f" {backbone_sha256[:12]}: use the head's own backbone, or refit the head from"
                f" its kept corrections"
            )

    def to_json(self) -> str:
        """Text that `from_json` turns into the same head, bit for bit."""
        values = {
            "backbone_sha256": self.backbone_sha256,
            "weight": self.weight.tolist(),
            "bias": self.bias.tolist(),
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Head:
        """Undo `to_json`.

        Raises
        ------
        RefusedError
            If the text is no head.
        """
        try:
            values = json.loads(text)
            weight, bias = values["weight"], values["bias"]
            return cls(
                np.asarray(weight, np.float32),
                np.asarray(bias, np.float32),
                str(values["backbone_sha256"]),
            )
        except RefusedError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise RefusedError(f"this text is no head: {error!r}") from error
