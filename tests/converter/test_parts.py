"""Series that mix stacks, and the parts they are split into."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset

from converter.attributes import of_series
from converter.identify import identify
from converter.parts import (
    headers_of,
    name_frames,
    named_frames,
    read_part,
    references,
    split,
)
from converter.series import Series, read_series
from converter.volume import to_volume
from study.errors import FailedError, HeldError
from study.tissue import Role

STACKS = np.arange(16, dtype=np.uint16)[:, None, None] * np.ones((1, 2, 2), np.uint16)
"""Frame k holds k."""


def mixed(dicom, **of_frame) -> Series:
    """Two stacks of eight slices in one enhanced image, frames in turn; values of each stack."""

    def place(k: int) -> dict[str, object]:
        said = {keyword: values[k % 2] for keyword, values in of_frame.items()}
        return {"ImagePositionPatient": [0.0, 0.0, 2.0 * (k // 2)]} | said

    (series,) = read_series(dicom.enhanced(STACKS, place, SeriesDescription="PD T2 ax"))
    return series


def test_a_uniform_series_is_not_split(dicom):
    (series,) = read_series(dicom.series(EchoTime=90))
    assert split(series) == (series,)


def test_two_echoes_are_split(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.EchoTime = 12.0 if k % 2 else 90.0

    (series,) = read_series(dicom.series(change=spoil))
    early, late = sorted(split(series), key=lambda part: float(part.header.EchoTime))
    assert (early.part, late.part) == ("echo (ms) 12", "echo (ms) 90")
    assert [i.instance_number for i in late.instances] == list(range(1, 20, 2))
    assert early.header.EchoTime == 12


def test_a_damaged_file_is_split_with_its_part(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.EchoTime = 12.0 if k < 4 else 90.0

    paths = dicom.series(np.ones((8, 2, 2), np.uint16), change=spoil)
    paths[0].write_bytes(paths[0].read_bytes()[:-2])
    (series,) = read_series(paths)
    early, late = split(series)
    assert (early.part, early.header.EchoTime) == ("echo (ms) 12", 12)
    assert to_volume(late).array.shape == (4, 2, 2)
    with pytest.raises(HeldError, match=r"echo \(ms\) 12\) has 1 file\(s\) that cannot be used"):
        to_volume(early)


def test_echo_times_that_are_only_rounded_differently_are_one_echo(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.EchoTime = 90.0 if k % 2 else 90.4

    (series,) = read_series(dicom.series(change=spoil))
    assert len(split(series)) == 1


def test_image_types_b_values_and_orientations_are_split(dicom):
    def types(image: Dataset, k: int) -> None:
        image.ImageType = ["ORIGINAL", "PRIMARY", "M" if k < 10 else "P"]

    def b_values(image: Dataset, k: int) -> None:
        image.DiffusionBValue = 0.0 if k < 10 else 1000.0

    def orientations(image: Dataset, k: int) -> None:
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0] if k < 10 else [1, 0, 0, 0, 0, -1]

    for change in (types, b_values, orientations):
        (series,) = read_series(dicom.series(change=change))
        assert [part.slices for part in split(series)] == [10, 10]


def test_a_stray_image_does_not_split_a_series(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0] if k else [1, 0, 0, 0, 0, -1]

    (series,) = read_series(dicom.series(change=spoil))
    assert split(series) == (series,)


@pytest.mark.parametrize(
    ("keyword", "values", "said"),
    [
        ("EffectiveEchoTime", (12.0, 90.0), ("echo (ms) 12", "echo (ms) 90")),
        ("DiffusionBValue", (0.0, 1000.0), ("b-value 0", "b-value 1000")),
        (
            "FrameType",
            (["ORIGINAL", "PRIMARY", "M", "NONE"], ["DERIVED", "PRIMARY", "P", "NONE"]),
            ("image type ORIGINAL PRIMARY M NONE", "image type DERIVED PRIMARY P NONE"),
        ),
    ],
)
def test_frames_of_one_object_are_split(dicom, keyword, values, said):
    one, two = split(mixed(dicom, **{keyword: values}))
    assert (one.part, two.part) == said
    assert (one.slices, two.slices) == (8, 8)
    assert one.instances[0].kept == (1, 3, 5, 7, 9, 11, 13, 15)
    assert to_volume(one).array[:, 0, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert to_volume(two).array[:, 0, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]


def test_orientations_of_one_object_are_split(dicom):
    def place(k: int) -> dict[str, object]:
        if k < 8:
            return {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        at = [0.0, 3.0 * (k - 8), 0.0]
        return {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "ImagePositionPatient": at}

    (series,) = read_series(dicom.enhanced(STACKS, place))
    axial, coronal = split(series)
    assert to_volume(axial).array[:, 0, 0].tolist() == list(range(8))
    assert to_volume(coronal).geometry.spacing == pytest.approx((3.0, 1.0, 1.0))
    assert to_volume(coronal).array[:, 0, 0].tolist() == list(range(8, 16))


def test_two_properties_split_one_after_the_other(dicom):
    def place(k: int) -> dict[str, object]:
        return {
            "ImagePositionPatient": [0.0, 0.0, 2.0 * (k // 4)],
            "EffectiveEchoTime": (12.0, 90.0)[k % 2],
            "FrameType": ["ORIGINAL", "PRIMARY", "MP"[k // 2 % 2], "NONE"],
        }

    (series,) = read_series(dicom.enhanced(STACKS, place))
    parts = split(series)
    assert [part.instances[0].kept for part in parts] == [
        (1, 5, 9, 13),
        (2, 6, 10, 14),
        (3, 7, 11, 15),
        (4, 8, 12, 16),
    ]
    assert parts[3].part == "image type ORIGINAL PRIMARY P NONE, echo (ms) 90"


def test_a_uniform_enhanced_image_is_not_split(dicom):
    series = mixed(dicom, EffectiveEchoTime=(90.0, 90.4))
    assert split(series) == (series,)
    with pytest.raises(HeldError, match="16 slices at 8 positions"):
        to_volume(series)


def test_frames_without_orientation_are_no_stack_and_hold_the_others(dicom):
    at = [1, 0, 0, 0, 1, 0]
    (series,) = read_series(
        dicom.enhanced(STACKS, lambda k: {"ImageOrientationPatient": None if k % 2 else at})
    )
    assert split(series) == (series,)
    with pytest.raises(HeldError, match="ImageOrientationPatient is missing"):
        to_volume(series)


def test_frames_that_are_not_all_described_are_not_split(dicom):
    def cut(image: Dataset) -> None:
        del image.PerFrameFunctionalGroupsSequence[-1]

    (series,) = read_series(
        dicom.enhanced(STACKS, lambda k: {"EffectiveEchoTime": 12.0 + 80 * (k % 2)}, cut)
    )
    assert split(series) == (series,)
    with pytest.raises(HeldError, match="describes 15 frames and holds 16"):
        to_volume(series)


def test_the_header_of_a_part_speaks_of_its_frames(dicom):
    types = (["ORIGINAL", "PRIMARY", "M", "NONE"], ["DERIVED", "PRIMARY", "P", "NONE"])
    _, phase = split(mixed(dicom, FrameType=types, EffectiveEchoTime=(12.0, 90.0)))
    (header,) = headers_of(phase)
    for told in (phase.header, header):
        assert told.NumberOfFrames == len(told.PerFrameFunctionalGroupsSequence) == 8
        assert list(told.ImageType) == types[1]
        (extract,) = told.FrameExtractionSequence
        assert list(extract.SimpleFrameList) == [2, 4, 6, 8, 10, 12, 14, 16]
        assert extract.MultiFrameSourceSOPInstanceUID == told.SOPInstanceUID
    known = of_series(phase)
    assert known.numbers["EchoTime"] == 90.0
    assert (known.images, known.slices, known.coverage_mm) == (8, 8, 16.0)


def test_the_late_echo_of_a_dual_echo_object_is_the_t2(dicom):
    def place(k: int) -> dict[str, object]:
        at = [0.0, 0.0, 6.0 * (k // 2)]
        return {"ImagePositionPatient": at, "EffectiveEchoTime": (12.0, 90.0)[k % 2]}

    dicom.enhanced(
        np.zeros((40, 2, 2), np.uint16), place, SeriesDescription="PD T2 ax", RepetitionTime=3000
    )
    found = identify(read_series([dicom.folder]))
    assert found.chosen[Role.T2].part == "echo (ms) 90"
    assert found.chosen[Role.T2].slices == 20


def test_a_part_is_named_by_its_frames_and_found_again(dicom):
    series = mixed(dicom, EffectiveEchoTime=(12.0, 90.0))
    _, late = split(series)
    (named,) = references(late)
    assert named == f"{series.instances[0].sop_instance_uid}/frames/2,4,6,8,10,12,14,16"
    assert references(series) == [series.instances[0].sop_instance_uid]
    again = read_part([name_frames(str(series.instances[0].path), late.instances[0].kept)])
    assert again.instances == late.instances
    assert again.header.NumberOfFrames == 8
    assert to_volume(again).array[:, 0, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]


def test_a_classic_part_is_named_by_its_files(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.EchoTime = 12.0 if k % 2 else 90.0

    (series,) = read_series(dicom.series(change=spoil))
    late, _ = split(series)
    assert references(late) == [i.sop_instance_uid for i in series.instances[::2]]
    assert read_part([str(i.path) for i in late.instances]).slices == 10


def test_a_part_that_is_there_no_more_is_our_failure(dicom):
    series = mixed(dicom, EffectiveEchoTime=(12.0, 90.0))
    path = str(series.instances[0].path)
    with pytest.raises(FailedError, match="describes 16 frames; frame 17 was chosen"):
        read_part([f"{path}/frames/1,2,17"])
    with pytest.raises(FailedError, match="the 2 files of a chosen series"):
        read_part([path, str(dicom.series()[0])])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1.2.3", ("1.2.3", ())),
        ("1.2.3/frames/7", ("1.2.3", (7,))),
        ("/in/frames/1/a.dcm", ("/in/frames/1/a.dcm", ())),
        ("/in/frames/1/a.dcm/frames/1,2", ("/in/frames/1/a.dcm", (1, 2))),
        ("1.2.3/frames/", ("1.2.3/frames/", ())),
        ("1.2.3/frames/0", ("1.2.3/frames/0", ())),
    ],
)
def test_frames_in_names(text, meant):
    assert named_frames(text) == meant
    assert name_frames(*meant) == text
