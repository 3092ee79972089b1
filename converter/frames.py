"""What the frames of a multi-frame image say of one another, from their functional groups.

Enhanced MR (PS3.3 A.36) holds a whole series in one instance: positions, echoes, b-values and frame
types stand in (5200,9230) *Per-Frame Functional Groups Sequence*, one item for each frame, or in
(5200,9229) *Shared Functional Groups Sequence* for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydicom import Dataset

from converter.files import READ_ERRORS

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


@dataclass(frozen=True)
class Traits:
    """What tells the stacks of a mixed series apart, as one image or frame has it.

    Parameters
    ----------
    image_type
        (0008,0008) *Image Type*, or (0008,9007) *Frame Type*.
    echo_time
        (0018,0081) *Echo Time*, or (0018,9082) *Effective Echo Time*, in ms.
    b_value
        (0018,9087) *Diffusion b-value* in s/mm2.
    orientation
        (0020,0037) *Image Orientation (Patient)*.
    """

    image_type: tuple[str, ...] = ()
    echo_time: float | None = None
    b_value: float | None = None
    orientation: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Frames:
    """Properties of frames that a single stack has in common, or has one of for each slice.

    Parameters
    ----------
    positions, orientations
        (0020,0032) *Image Position (Patient)* and (0020,0037) *Image Orientation (Patient)* of each
        frame that has both.
    b_values
        Every (0018,9087) *Diffusion b-value*, in s/mm2.
    diffusion
        Whether any frame has a b-value above 0, or (0018,9075) *Diffusion Directionality* that is
        not NONE.
    traits
        What tells each frame from others, in their order.
    """

    positions: tuple[tuple[float, ...], ...] = ()
    orientations: tuple[tuple[float, ...], ...] = ()
    b_values: frozenset[float] = frozenset()
    diffusion: bool = False
    traits: tuple[Traits, ...] = ()


def sources(header: Dataset) -> Iterator[Dataset]:
    """The header and, for enhanced images, the macros of its first frame and of all frames."""
    yield header
    for keyword in (PER_FRAME, SHARED):
        for group in _items(header, keyword)[:1]:
            yield from _macros(group)


def value_of(source: Dataset, keyword: str) -> Any:
    """A value; None where it is missing, or cannot be read."""
    try:
        return source.get(keyword)
    except READ_ERRORS:
        return None


def read_frames(header: Dataset) -> Frames:
    """Properties of all frames; nothing for classic images."""
    groups = _items(header, PER_FRAME)
    shared = [macro for group in _items(header, SHARED)[:1] for macro in _macros(group)]
    positions, orientations, traits = [], [], []
    diffusion = False
    for group in groups:
        macros = [*_macros(group), *shared]
        position = _numbers(macros, "ImagePositionPatient", 3)
        orientation = _numbers(macros, "ImageOrientationPatient", 6)
        if position and orientation:
            positions.append(position)
            orientations.append(orientation)
        traits.append(
            Traits(
                _texts(macros, "FrameType"),
                next(iter(_numbers(macros, "EffectiveEchoTime", 1)), None),
                next(iter(_numbers(macros, "DiffusionBValue", 1)), None),
                orientation or None,
            )
        )
        directions = {str(value_of(macro, "DiffusionDirectionality") or "NONE") for macro in macros}
        diffusion = diffusion or directions != {"NONE"}
    b_values = frozenset(one.b_value for one in traits if one.b_value is not None)
    return Frames(
        tuple(positions),
        tuple(orientations),
        b_values,
        diffusion or any(b > 0 for b in b_values),
        tuple(traits),
    )


def _items(header: Dataset, keyword: str) -> Sequence[Dataset]:
    """Items of a sequence that may be missing or empty."""
    found = value_of(header, keyword)
    return found if isinstance(found, Sequence) and not isinstance(found, str) else []


def _macros(group: Dataset) -> Iterator[Dataset]:
    """The first item of each sequence of a functional group."""
    for tag in group.keys():  # noqa: SIM118 - iterating over the data set would read every value
        try:
            element = group[tag]
            items = element.value if element.VR == "SQ" else None
        except READ_ERRORS:
            continue
        if items:
            yield items[0]


def _texts(macros: Sequence[Dataset], keyword: str) -> tuple[str, ...]:
    """Values of the first macro that has them."""
    found = next((v for macro in macros if (v := value_of(macro, keyword))), ())
    values = [found] if isinstance(found, str) or not isinstance(found, Sequence) else found
    # Whatever else stands there, under another VR, is none.
    return tuple(values) if all(isinstance(value, str) for value in values) else ()


def _numbers(macros: Sequence[Dataset], keyword: str, count: int) -> tuple[float, ...]:
    """So many numbers from the first macro that has them; nothing where none has."""
    for macro in macros:
        value = value_of(macro, keyword)
        try:
            values = [] if value is None else [value] if count == 1 else list(value)
            numbers = tuple(float(one) for one in values)
        except READ_ERRORS:
            continue  # what cannot be read as numbers is not known
        if len(numbers) == count and all(map(isfinite, numbers)):
            return numbers
    return ()
