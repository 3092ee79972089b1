"""What is kept of a segmented study, so that a correction can teach the patient's model."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.volume import Geometry


@dataclass(frozen=True, eq=False)
class Kept:
    """What adaptation needs of a segmented study. Nothing in it says who the patient is.

    Parameters
    ----------
    images
        ``(3, D, H, W)`` float16, normalised, in the order of `study.tissue.Role`.
    brain
        ``(D, H, W)`` bool.
    grid
        Grid of both.
    source
        Grid of the T1gd series.
    normalisation
        Name of the way the images were normalised; empty where it was not written down.
    """

    images: npt.NDArray[np.float16]
    brain: npt.NDArray[np.bool_]
    grid: Geometry
    source: Geometry
    normalisation: str = ""

    def fits(self, spacing_mm: float, normalisation: str) -> bool:
        """Whether a network that works on such voxels, normalised so, can be given the images."""
        named = self.normalisation in ("", normalisation)
        return named and bool(np.allclose(self.grid.spacing, spacing_mm, atol=1e-3))

    def to_bytes(self) -> bytes:
        """As a compressed npz file."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            images=self.images,
            brain=self.brain,
            grid=self.grid.affine,
            source=self.source.affine,
            source_shape=self.source.shape,
            frame_of_reference_uid=self.source.frame_of_reference_uid,
            normalisation=self.normalisation,
        )
        return buffer.getvalue()

    @classmethod
    def from_file(cls, path: Path) -> Kept:
        """Undo `to_bytes`; nothing is unpickled."""
        with np.load(path, allow_pickle=False) as file:
            frame = str(file["frame_of_reference_uid"])
            k, i, j = (int(n) for n in file["source_shape"])
            brain = file["brain"]
            return cls(
                images=file["images"],
                brain=brain,
                grid=Geometry(brain.shape, file["grid"], frame),
                source=Geometry((k, i, j), file["source"], frame),
                normalisation=str(file["normalisation"]) if "normalisation" in file else "",
            )
