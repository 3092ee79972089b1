"""Series that are several stacks in one: dual echoes, magnitude and phase, b = 0 and b = 1000.

A part of a classic series is some of its files. A part of an enhanced multi-frame image is some of
its frames, and such frames are named as DICOMweb names them (PS3.18 section 10.1):
``<instance>/frames/1,2,3``, counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset

from converter.files import read_file
from converter.frames import PER_FRAME, Traits
from converter.series import MIN_STACK, Instance, Series, read_series
from study.errors import FailedError

ORIENTATION_TOLERANCE = 1e-3
"""Direction cosines closer than this are one orientation: 0.13 mm at 128 mm from the centre."""

ECHO_TOLERANCE_MS = 2.0
"""Echo times closer than this are one echo; scanners round them differently from slice to slice."""

FRAMES = re.compile(r"(?P<name>.+)/frames/(?P<numbers>[1-9][0-9]*(,[1-9][0-9]*)*)", re.DOTALL)
"""An instance, or its file, and the frames of it that are meant."""


@dataclass(frozen=True, eq=False)
class _Image:
    """An instance without frames, or one frame of one that has them."""

    instance: Instance
    frame: int
    traits: Traits


def split(series: Series) -> tuple[Series, ...]:
    """Parts of a series that mixes echoes, image types, b-values or orientations.

    A part with fewer than `MIN_STACK` images is no stack but a stray: then that property does not
    split, and `converter.volume.to_volume` refuses the mixture with its numbers.

    Returns
    -------
    tuple of Series
        The series itself where there is nothing to split.
    """
    images = _images(series)
    parts = [_Part("", images)]
    for name, values in (
        ("image type", [" ".join(i.traits.image_type) for i in images]),
        ("echo (ms)", _bins([i.traits.echo_time for i in images], ECHO_TOLERANCE_MS)),
        ("b-value", _bins([i.traits.b_value for i in images], 1.0)),
        ("orientation", _orientations([i.traits.orientation for i in images])),
    ):
        label = dict(zip(images, values, strict=True))
        parts = [piece for part in parts for piece in _split_by(part, name, label)]
    if len(parts) == 1:
        return (series,)
    return tuple(_part_of(series, part) for part in parts)


def headers_of(series: Series) -> list[Dataset]:
    """Headers of a series' instances, in its order, without pixels.

    One of which only some frames belong to the series says so as PS3.3 section C.12.3 describes an
    extract: it keeps the functional groups of these, and (0008,1164) *Frame Extraction Sequence*
    names them. It keeps its (0008,0018) *SOP Instance UID*, to which results refer.

    Raises
    ------
    RefusedError
        If a file cannot be read.
    """
    return [_extract(read_file(i.path).header, i) for i in series.instances]


def references(series: Series) -> list[str]:
    """What is chosen of a series: SOP Instance UIDs, with ``/frames/...`` where not all are."""
    return [name_frames(i.sop_instance_uid, i.kept) for i in series.instances]


def name_frames(name: str, numbers: Sequence[int]) -> str:
    """An instance (or its file) and the frames of it that are meant; all where there are none."""
    return f"{name}/frames/{','.join(map(str, numbers))}" if numbers else name


def named_frames(reference: str) -> tuple[str, tuple[int, ...]]:
    """What `name_frames` was given."""
    found = FRAMES.fullmatch(reference)
    if found is None:
        return reference, ()
    return found["name"], tuple(map(int, found["numbers"].split(",")))


def read_part(files: Sequence[str]) -> Series:
    """The series, or the part of one, of exactly these files.

    Parameters
    ----------
    files
        Paths, with ``/frames/...`` where not all frames are meant.

    Raises
    ------
    RefusedError
        If a file cannot be used.
    FailedError
        If they are not one series any more, or lack a frame that is meant.
    """
    kept = {Path(path): numbers for path, numbers in map(named_frames, files)}
    found = read_series(kept)
    if len(found) != 1 or len(found[0].instances) != len(files):
        raise FailedError(f"the {len(files)} files of a chosen series are no longer one series")
    (series,) = found
    if not any(kept.values()):
        return series
    for instance in series.instances:
        if max(kept[instance.path], default=0) > len(instance.each):
            raise FailedError(
                f"SOP Instance UID {instance.sop_instance_uid} describes {len(instance.each)}"
                f" frames; frame {max(kept[instance.path])} was chosen of it"
            )
    instances = tuple(_keep(i, kept[i.path]) if kept[i.path] else i for i in series.instances)
    return _with_header(replace(series, instances=instances))


@dataclass(frozen=True)
class _Part:
    """Images of one stack, and what sets them apart."""

    said: str
    images: list[_Image]


def _images(series: Series) -> list[_Image]:
    """The images of a series in the order of its files and their frames."""
    found = []
    for one in series.instances:
        if one.each:
            numbers = one.kept or range(1, one.frames + 1)
            found += [_Image(one, n, each) for n, each in zip(numbers, one.each, strict=True)]
        else:
            whole = Traits(one.image_type, one.echo_time, one.b_value, one.orientation)
            found.append(_Image(one, 1, whole))
    return found


def _split_by(part: _Part, name: str, label: Mapping[_Image, str]) -> list[_Part]:
    """Parts of a part by the label of each image."""
    groups: dict[str, list[_Image]] = {}
    for image in part.images:
        groups.setdefault(label[image], []).append(image)
    if len(groups) < 2 or min(len(group) for group in groups.values()) < MIN_STACK:
        return [part]
    return [
        _Part(", ".join(filter(None, (part.said, f"{name} {value}"))), group)
        for value, group in groups.items()
    ]


def _part_of(series: Series, part: _Part) -> Series:
    """The images of a part as a series."""
    frames: dict[str, list[int]] = {}
    for image in part.images:
        frames.setdefault(image.instance.sop_instance_uid, []).append(image.frame)
    instances = tuple(
        _keep(one, frames[one.sop_instance_uid])
        for one in series.instances
        if one.sop_instance_uid in frames
    )
    said = ", ".join(filter(None, (series.part, part.said)))
    return _with_header(replace(series, instances=instances, part=said))


def _keep(instance: Instance, numbers: Sequence[int]) -> Instance:
    """An instance of which only these frames belong to a series."""
    if not instance.each or len(numbers) == instance.images:
        return instance
    place = {n: k for k, n in enumerate(instance.kept or range(1, instance.frames + 1))}
    each = tuple(instance.each[place[n]] for n in numbers)
    return replace(instance, kept=tuple(numbers), each=each)


def _with_header(series: Series) -> Series:
    """A part of a series with the header of its own first whole file."""
    instances = series.instances
    spokesman = next((one for one in instances if not one.defect), instances[0])
    return replace(series, header=_extract(read_file(spokesman.path).header, spokesman))


def _extract(header: Dataset, instance: Instance) -> Dataset:
    """A header that speaks of the frames that are kept alone; see `headers_of`."""
    if not instance.kept:
        return header
    named = Dataset()
    named.MultiFrameSourceSOPInstanceUID = instance.sop_instance_uid
    named.SimpleFrameList = list(instance.kept)
    header.FrameExtractionSequence = [named]
    groups = header[PER_FRAME].value
    setattr(header, PER_FRAME, [groups[number - 1] for number in instance.kept])
    header.NumberOfFrames = len(instance.kept)
    types = {one.image_type for one in instance.each}
    if len(types) == 1 and all(types):
        # What was MIXED over all frames is known of these.
        header.ImageType = list(*types)
    return header


def _bins(values: Sequence[float | None], tolerance: float) -> list[str]:
    """Names of groups of numbers in which neighbours differ by no more than the tolerance."""
    known = sorted({value for value in values if value is not None})
    names: dict[float, str] = {}
    for before, value in zip([None, *known], known, strict=False):
        same = before is not None and value - before <= tolerance
        names[value] = names[before] if before is not None and same else f"{value:g}"
    return ["none" if value is None else names[value] for value in values]


def _orientations(found: Sequence[tuple[float, ...] | None]) -> list[str]:
    """Name of each image's orientation: the first one that is as good as the same.

    Where an image has none, all are of one name: it is damaged, and its neighbours are no stack
    without it.
    """
    known: list[tuple[float, ...]] = []
    names = []
    for at in found:
        if at is None:
            return [""] * len(found)
        alike = (k for k in known if np.allclose(k, at, rtol=0, atol=ORIENTATION_TOLERANCE))
        first = next(alike, None)
        if first is None:
            known.append(at)
            first = at
        names.append(" ".join(f"{cosine:.3f}" for cosine in first))
    return names
