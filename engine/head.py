"""The last layer of the network: about a hundred numbers, one set for each patient."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.intensities import terms
from study.errors import RefusedError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Head:
    """A 1x1x1 convolution from the features of one backbone, and the images, to logits.

    Parameters
    ----------
    weight
        ``(classes, features)`` float32.
    bias
        ``(classes,)`` float32.
    backbone_sha256
        Hash of the backbone whose features it was made for; with any other it means nothing.
    image_weight
        ``(classes, terms)`` float32 of `engine.intensities.terms`; None for a head that sees
        features alone, as every base head does.

    Raises
    ------
    RefusedError
        If the shapes do not fit one another, or a number is not finite.
    """

    weight: Floats
    bias: Floats
    backbone_sha256: str
    image_weight: Floats | None = None

    def __post_init__(self) -> None:
        weight = np.array(self.weight, np.float32)
        bias = np.array(self.bias, np.float32)
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or len(bias) < 2:
            raise RefusedError(
                f"a head has (classes, features) weights and (classes,) biases,"
                f" not {weight.shape} and {bias.shape}"
            )
        arrays = {"weight": weight, "bias": bias}
        if self.image_weight is not None:
            arrays["image_weight"] = np.array(self.image_weight, np.float32)
            if (shape := arrays["image_weight"].shape)[:1] != bias.shape or len(shape) != 2:
                raise RefusedError(f"a head of {len(bias)} classes has no image weights {shape}")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise RefusedError("a head has only finite numbers; this one has NaN or infinity")
        for name, array in arrays.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def apply(
        self,
        features: npt.NDArray[np.floating],
        images: npt.NDArray[np.floating] | None = None,
    ) -> Floats:
        """Logits.

        Parameters
        ----------
        features
            ``(n, features)`` of single voxels, or ``(N, features, ...)`` of whole patches.
        images
            ``(n, C)`` or ``(N, C, ...)``, the normalised images there; not looked at by a head
            that sees features alone.

        Returns
        -------
        numpy.ndarray
            float32 of the same shape with classes on axis 1.

        Raises
        ------
        RefusedError
            If axis 1 does not hold as many features or images as the head has weights for.
        """
        logits = self.of_features(features)
        if self.image_weight is not None:
            if images is None:
                raise RefusedError("this head sees the images too: it needs them with the features")
            logits += self.of_images(images)
        return logits

    def of_features(self, features: npt.NDArray[np.floating]) -> Floats:
        """Logits as far as features make them, as `apply`: with biases, without images."""
        logits = _linear(self.weight, features, "features")
        logits += self.bias.reshape(-1, *[1] * (features.ndim - 2))
        return logits

    def of_images(self, images: npt.NDArray[np.floating]) -> Floats:
        """What images add to the logits, as for `apply`; a head that does not see them refuses."""
        if self.image_weight is None:
            raise RefusedError("this head sees features alone")
        return _linear(self.image_weight, terms(images), "terms of the images")

    def beside(self, other: Head) -> Head:
        """Both as one head, whose classes are this one's and then the other's.

        Raises
        ------
        RefusedError
            If they belong to different backbones.
        """
        other.check_backbone(self.backbone_sha256)
        seen = [h.image_weight for h in (self, other) if h.image_weight is not None]
        images = None
        if seen:
            blind = np.zeros_like(seen[0])
            images = np.concatenate(
                [blind if h.image_weight is None else h.image_weight for h in (self, other)]
            )
        return Head(
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.bias, other.bias]),
            self.backbone_sha256,
            images,
        )

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
        if self.image_weight is not None:
            values["image_weight"] = self.image_weight.tolist()
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
            images = values.get("image_weight")
            return cls(
                np.asarray(weight, np.float32),
                np.asarray(bias, np.float32),
                str(values["backbone_sha256"]),
                None if images is None else np.asarray(images, np.float32),
            )
        except RefusedError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise RefusedError(f"this text is no head: {error!r}") from error


def _linear(weight: Floats, inputs: npt.NDArray[np.floating], what: str) -> Floats:
    """``(N, inputs, ...)`` to ``(N, classes, ...)``."""
    classes, wanted = weight.shape
    if inputs.ndim < 2 or inputs.shape[1] != wanted:
        raise RefusedError(
            f"this head takes {wanted} {what} on axis 1, the array's shape is {inputs.shape}"
        )
    given = inputs.astype(np.float32, copy=False)
    if inputs.ndim == 2:
        rows: Floats = given @ weight.T
        return rows
    flat = given.reshape(inputs.shape[0], wanted, -1)
    logits: Floats = np.matmul(weight, flat)
    return logits.reshape(inputs.shape[0], classes, *inputs.shape[2:])
