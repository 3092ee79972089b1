"""The grid on which the frames of a Segmentation lie, checked before it is allocated."""

from __future__ import annotations

import numpy as np

from dicomseg.facts import SegFacts
from dicomseg.planes import Stack, stack_planes
from study.errors import RefusedError
from study.volume import Geometry

MAX_VOXELS = 2**27
"""Largest grid, in voxels, that a file may ask for (that of 512 slices of 512x512)."""


FINEST_MM = 0.2
"""Finest spacing that a file may ask for."""


def stack_of(facts: SegFacts, reference: Geometry | None = None) -> Stack:
    """Grid of a Segmentation's frames.

    Raises
    ------
    RefusedError
        If a frame has no place, they form no regular stack, or one larger or finer than is read.
    """
    planes = [frame.plane for frame in facts.frames if frame.plane is not None]
    if len(planes) != len(facts.frames):
        raise RefusedError(
            f"{len(facts.frames) - len(planes)} of its {len(facts.frames)} frames do not say where "
            "they lie, nor on which known image they were drawn"
        )
    shape = (facts.rows, facts.columns)
    most = MAX_VOXELS // (facts.rows * facts.columns)
    hints = _spacing_hints(facts, reference)
    stack = stack_planes(planes, shape, facts.frame_of_reference_uid, hints, most)
    if min(stack.geometry.spacing) < FINEST_MM:
        raise RefusedError(
            f"its voxels are {min(stack.geometry.spacing):.4f} mm apart; {FINEST_MM} is the finest"
        )
    return stack


def _spacing_hints(facts: SegFacts, reference: Geometry | None) -> list[float]:
    """Distances between slices in the order in which they deserve trust.

    Frames without anything drawn are often left out, so that the smallest distance which occurs
    may be a multiple of the true one.
    """
    hints = [facts.slice_spacing] if facts.slice_spacing else []
    if reference is not None and facts.frames[0].plane is not None:
        normal = facts.frames[0].plane.normal
        along = np.abs(normal @ (reference.affine[:3, :3] / np.array(reference.spacing)))
        axis = int(np.argmax(along))
        if along[axis] > 0.999:
            hints.append(reference.spacing[axis])
    return hints + ([facts.slice_thickness] if facts.slice_thickness else [])
