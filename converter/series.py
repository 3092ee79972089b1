"""Files to series: which instances belong together, read from headers alone.

Nothing is dropped silently. What cannot be read is a `Refusal` with its reason; what is no MR image
(a segmentation, a report, a Secondary Capture that says Modality MR) is a `Series` like any other,
and it is `converter.identify` that says why it is no candidate.
"""

from __future__ import annotations

import filecmp
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset

from converter.files import READ_ERRORS, find_files, is_uid, read_file
from converter.frames import Traits, read_frames
from study.errors import RefusedError

logger = logging.getLogger(__name__)

MIN_STACK = 3
"""Fewest images that make a stack."""

NEEDED_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

UNREADABLE = "unreadable"
"""Stands for a value whose bytes are none of its kind: neither a number nor a UID."""


@dataclass(frozen=True)
class Instance:
    """One file of a series: what splitting and choosing look at, and where the file lies.

    Parameters
    ----------
    frames
        How many frames the object has; 1 for a classic image.
    kept
        Numbers, from 1, of the frames that belong to this part of the series
        (`converter.parts.split`); empty for all.
    each
        What tells the frames of an enhanced image apart: one for each that is kept; else empty.
    defect
        Why the file cannot be used though it belongs to the series, which is held because of it;
        empty for a whole file.
    """

    path: Path = field(repr=False)
    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None = None
    image_type: tuple[str, ...] = ()
    echo_time: float | None = None
    b_value: float | None = None
    orientation: tuple[float, ...] | None = None
    position: tuple[float, ...] | None = None
    frames: int = 1
    kept: tuple[int, ...] = ()
    each: tuple[Traits, ...] = field(default=(), repr=False)
    defect: str = ""

    @property
    def images(self) -> int:
        """How many images it gives to its series."""
        return len(self.kept) or self.frames


@dataclass(frozen=True, eq=False)
class Series:
    """Instances with one (0020,000E) *Series Instance UID*, or the part of it that is one stack.

    Parameters
    ----------
    series_uid, study_uid
        (0020,000E) *Series Instance UID* and (0020,000D) *Study Instance UID*.
    instances
        In order of (0020,0013) *Instance Number*.
    header
        The first instance without its pixels, and without what it says of frames of other parts.
    part
        Empty for a whole series; else what sets this part apart, such as ``"echo 90 ms"``.
    """

    series_uid: str
    study_uid: str
    instances: tuple[Instance, ...]
    header: Dataset = field(repr=False)
    part: str = ""

    @property
    def slices(self) -> int:
        """How many images there are: instances, or frames of multi-frame instances."""
        return sum(instance.images for instance in self.instances)


@dataclass(frozen=True)
class Refusal:
    """A file that is no part of any series, and why."""

    path: Path = field(repr=False)
    reason: str


@dataclass(frozen=True)
class Scan:
    """What lies in a set of files: every file is in ``series`` or in ``refused``."""

    series: tuple[Series, ...]
    refused: tuple[Refusal, ...]


def scan(paths: Iterable[Path]) -> Scan:
    """Read headers and group them by (0020,000E) *Series Instance UID*.

    Parameters
    ----------
    paths
        Files, or folders that are searched for files.

    Returns
    -------
    Scan
        Series in order of (0020,0011) *Series Number*, and the files that were refused: no regular
        file, not DICOM, without UIDs, a second file with the SOP Instance UID of another one, a
        series that claims two studies or two patients. A broken file that names its series stays in
        it, with its `Instance.defect`, so that the series is held and not one slice shorter.
    """
    refused: list[Refusal] = []
    members: dict[str, _Member] = {}
    for path, unfit in find_files(paths):
        try:
            if unfit:
                raise RefusedError(unfit)
            member = _read_member(path)
            uid = member.instance.sop_instance_uid
            if uid in members:
                members[uid], how = _beside_twin(members[uid], path)
                raise RefusedError(f"SOP Instance UID {uid} occurs in a second file, {how}")
        except RefusedError as error:
            refused.append(Refusal(path, str(error)))
        else:
            members[uid] = member
    together: dict[str, list[_Member]] = {}
    for member in members.values():
        together.setdefault(member.series_uid, []).append(member)
    series = []
    for series_uid, group in together.items():
        reason = _mixture(series_uid, group)
        if reason:
            refused.extend(Refusal(member.instance.path, reason) for member in group)
        else:
            series.append(_series(series_uid, group))
    series.sort(key=lambda found: found[0])
    for refusal in refused:
        logger.warning("a file was refused: %s", refusal.reason)
    return Scan(tuple(one for _, one in series), tuple(refused))


def read_series(paths: Iterable[Path]) -> list[Series]:
    """Series in a set of files, of which every one must be readable; see `scan`.

    Raises
    ------
    RefusedError
        If any file is refused; the message counts them and gives the first reasons.
    """
    found = scan(paths)
    if found.refused:
        reasons = "; ".join(sorted({refusal.reason for refusal in found.refused})[:3])
        raise RefusedError(f"{len(found.refused)} file(s) cannot be used: {reasons}")
    return list(found.series)


def missing_slices(series: Series) -> int:
    """How many slices a stack lacks between its ends, as its positions tell.

    A slice is missed where two neighbours are farther apart than one and a half times the median
    distance. Multi-frame images and positions that are not known miss nothing here.
    """
    known = [i for i in series.instances if i.position and i.orientation]
    if len(known) < MIN_STACK:
        return 0
    directions = np.array(known[0].orientation)
    normal = np.cross(directions[:3], directions[3:])
    steps = np.diff(np.sort([np.dot(i.position or (), normal) for i in known]))
    spacing = float(np.median(steps))
    if spacing <= 0.0:
        return 0
    return int(sum(round(float(step) / spacing) - 1 for step in steps if step > 1.5 * spacing))


@dataclass(frozen=True)
class _Member:
    """A file on its way into a series; whatever reading its header can raise has been raised."""

    instance: Instance
    header: Dataset
    series_uid: str
    study_uid: str
    patient: str
    series_number: float


def _read_member(path: Path) -> _Member:
    """Read what makes a file part of a series."""
    reading = read_file(path)
    header = reading.header
    uids: dict[str, str] = {}
    for keyword in NEEDED_UIDS:
        uids[keyword] = str(_value(header, keyword) or "")
    lacking = [keyword for keyword, uid in uids.items() if not uid]
    if lacking:
        raise RefusedError(f"without {', '.join(lacking)}")
    malformed = [keyword for keyword, uid in uids.items() if not is_uid(uid)]
    if malformed:
        raise RefusedError(f"{', '.join(malformed)} is no UID")
    return _Member(
        instance=_instance(path, header, reading.defect),
        header=header,
        series_uid=uids["SeriesInstanceUID"],
        study_uid=uids["StudyInstanceUID"],
        patient=str(_value(header, "PatientID") or "").strip(),
        series_number=_number(_value(header, "SeriesNumber")) or 0.0,
    )


def _beside_twin(first: _Member, path: Path) -> tuple[_Member, str]:
    """A member whose SOP Instance UID a second file has, too, and how the two differ.

    Where they do, nobody knows which one is meant: the member cannot be used.
    """
    if filecmp.cmp(first.instance.path, path, shallow=False):
        return first, "a copy of the first"
    defect = first.instance.defect or "a second file has this SOP Instance UID and other bytes"
    spoilt = replace(first, instance=replace(first.instance, defect=defect))
    return spoilt, "with other bytes than the first"


def _series(series_uid: str, members: list[_Member]) -> tuple[tuple[float, str], Series]:
    """A series from its members, and its place among others."""
    members = sorted(
        members,
        key=lambda m: (m.instance.instance_number or 0, m.instance.sop_instance_uid),
    )
    # The header of a damaged file may be cut short: it speaks for the series where no other does.
    spokesman = next((m for m in members if not m.instance.defect), members[0])
    instances = tuple(member.instance for member in members)
    one = Series(series_uid, spokesman.study_uid, instances, spokesman.header)
    return (spokesman.series_number, series_uid), one


def _mixture(series_uid: str, members: Sequence[_Member]) -> str:
    """Why a series cannot be one series, or nothing."""
    studies = {member.study_uid for member in members}
    if len(studies) > 1:
        return f"series {series_uid} claims {len(studies)} studies: {', '.join(sorted(studies))}"
    patients = {member.patient for member in members}
    if len(patients) > 1:
        return f"series {series_uid} holds images of {len(patients)} patients"
    return ""


def _instance(path: Path, header: Dataset, defect: str) -> Instance:
    """What is kept of one header."""
    image_type = _value(header, "ImageType") or ()
    named = [image_type] if isinstance(image_type, str) else image_type
    frames = _value(header, "NumberOfFrames")
    count = _integer(frames)
    if frames not in (None, "") and (count is None or count < 1):
        defect = defect or "(0028,0008) Number of Frames is no positive number"
    each = read_frames(header).traits
    return Instance(
        path=path,
        sop_instance_uid=str(header.SOPInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        instance_number=_integer(_value(header, "InstanceNumber")),
        image_type=tuple(str(value) for value in named) if isinstance(named, Sequence) else (),
        echo_time=_number(_value(header, "EchoTime")),
        b_value=_number(_value(header, "DiffusionBValue")),
        orientation=_numbers(_value(header, "ImageOrientationPatient"), 6),
        position=_numbers(_value(header, "ImagePositionPatient"), 3),
        frames=max(count or 1, 1),
        each=each if len(each) == count else (),
        defect=defect,
    )


def _value(header: Dataset, keyword: str) -> object:
    """Value of an attribute; a text that is no number where its bytes are none of its kind."""
    try:
        return header.get(keyword)
    except READ_ERRORS:
        return UNREADABLE


def _number(value: object) -> float | None:
    """A finite number, or None for what is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _integer(value: object) -> int | None:
    """A whole number, or None."""
    number = _number(value)
    return None if number is None else int(number)


def _numbers(values: object, count: int) -> tuple[float, ...] | None:
    """So many finite numbers, or None."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        return None
    found = [_number(value) for value in values]
    return tuple(n for n in found if n is not None) if None not in found else None
