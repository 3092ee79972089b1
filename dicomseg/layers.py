"""Files of one series that outline a tumour together: some viewers save one for each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from dicomseg.facts import ReferencedImages, SegFacts, SegmentFacts, facts_of
from dicomseg.file_grid import stack_of
from dicomseg.mapping import Mapped, map_segments, mapped_tissues
from dicomseg.masks import draw, onto_reference, without_overlap
from dicomseg.opening import open_seg
from study.errors import HeldError, RefusedError
from study.tissue import Tissue
from study.volume import Geometry

Decisions = Mapping[str, Tissue | None]
"""What a person said a segment is: its label to a tissue, or to None for none of ours."""


@dataclass(frozen=True, eq=False)
class File:
    """A file that was opened, and nothing of its pixels decoded."""

    dataset: Dataset
    facts: SegFacts
    overrides: Decisions


def open_file(data: Path | bytes, overrides: Decisions, images: ReferencedImages | None) -> File:
    """Open a file, and check its header.

    Parameters
    ----------
    data
        The file.
    overrides
        A person's decisions about it.
    images
        Planes of known images, as for `dicomseg.facts.facts_of`.

    Raises
    ------
    RefusedError
        If it is damaged or contradicts itself, or a decision is about no segment of it.
    """
    dataset = open_seg(data)
    facts = facts_of(dataset, images)
    unknown = set(overrides) - {segment.label for segment in facts.segments}
    if unknown:
        raise RefusedError(f"no segment is labelled {sorted(unknown)}")
    return File(dataset, facts, overrides)


@dataclass(frozen=True, eq=False)
class Joined:
    """What files outline together; no voxel is in two masks."""

    mapped: tuple[Mapped, ...]
    masks: dict[Tissue, npt.NDArray[np.bool_]]
    layers: dict[Tissue, SegFacts]
    """Tissues that only older files outline, and the header of that file."""
    overlap: int
    """Voxels that were in several segments of one file."""
    resampled: bool


def join(
    files: Sequence[File],
    original: Sequence[SegmentFacts],
    reference: Geometry,
    same_frames: frozenset[str],
) -> Joined:
    """The first file, and of each other what shares no tissue, and no voxel, with newer ones.

    Parameters
    ----------
    files
        The newest first. One whose writer saves everything ends them.
    original
        Segments of the result that they correct.
    reference
        The grid that they are read onto.
    same_frames
        Frames of reference that are known to be in register with its own.

    Raises
    ------
    RefusedError, HeldError
        As `dicomseg.read.read_seg`.
    """
    joined = Joined((), {}, {}, 0, resampled=False)
    layers = takewhile(lambda file: not saves_everything(file.facts), files[1:])
    for number, file in enumerate((files[0], *layers)):
        found = map_segments(file.facts.segments, original, file.overrides)
        tissues = mapped_tissues(found)
        if tissues & joined.masks.keys():
            continue
        drawn, moved = _draw(file, found, reference, same_frames)
        own, overlap = without_overlap(drawn)
        newer = np.any([np.zeros(reference.shape, np.bool_), *joined.masks.values()], axis=0)
        masks = {**joined.masks, **{tissue: mask & ~newer for tissue, mask in own.items()}}
        joined = Joined(
            joined.mapped + found,
            dict(sorted(masks.items())),
            {**joined.layers, **(dict.fromkeys(tissues, file.facts) if number else {})},
            joined.overlap + overlap,
            joined.resampled or moved,
        )
    return joined


def _draw(
    file: File,
    mapped: tuple[Mapped, ...],
    reference: Geometry,
    same_frames: frozenset[str],
) -> tuple[dict[Tissue, npt.NDArray[np.bool_]], bool]:
    """Masks of a file on the reference, and whether they had to be resampled for that."""
    facts = file.facts
    # A file that cannot be read is no question for a person.
    stack = stack_of(facts, reference)
    if facts.frame_of_reference_uid not in {reference.frame_of_reference_uid, *same_frames}:
        raise HeldError(
            f"it lies in frame of reference {facts.frame_of_reference_uid or 'without UID'}, the "
            f"result in {reference.frame_of_reference_uid}; a person must say whether they agree"
        )
    return onto_reference(draw(file.dataset, facts, stack, mapped), stack.geometry, reference)


def saves_everything(facts: SegFacts) -> bool:
    """Whether the writer of a file is known to save the whole outline each time.

    OHIF and others do that save with dcmjs. It calls every *Manufacturer* ``Unspecified``: C-STORE
    does not transmit the file meta information, where the writer itself is named.
    """
    return facts.software.startswith(("dcmjs", "OHIF")) or facts.manufacturer == "Unspecified"
