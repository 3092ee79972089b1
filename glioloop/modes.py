"""How thorough inference is: `fast`, `standard`, `quality`. docs/speed.md has what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.inference import PLAIN, Flips
from glioloop.mode_names import ModeName


@dataclass(frozen=True)
class Mode:
    """What a mode is made of; each part changes voxels.

    Parameters
    ----------
    fitted
        Whether patches are fitted to the brain: as few as cover it, of at most as many voxels as
        64x64x64. Otherwise they are of 64x64x64 voxels, on which networks are trained.
    overlap
        Least part of 64 voxels that neighbouring patches share.
    flips
        Mirrorings that are averaged over.
    """

    fitted: bool
    overlap: float
    flips: Flips


FITTED_VOXELS = 64**3
"""Of a fitted patch, at most."""

MODES: Mapping[ModeName, Mode] = {
    "fast": Mode(fitted=True, overlap=0.25, flips=PLAIN),
    "standard": Mode(fitted=False, overlap=0.25, flips=PLAIN),
    "quality": Mode(fitted=False, overlap=0.75, flips=PLAIN),
}
"""A brain in one piece would be quicker still, and is worse with networks that are trained on
patches: in each they see the zeros beyond its border. Mirroring takes twice as long and gained
nothing (docs/speed.md). Precision is no part of a mode: bf16 is used where the processor has it;
elsewhere it would be imitated, slowly."""
