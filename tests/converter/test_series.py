"""Grouping of files into series."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from converter.series import missing_slices, read_series, scan
from converter.volume import to_volume
from study.errors import HeldError, RefusedError


def test_files_are_grouped_by_series_and_ordered_by_instance_number(dicom):
    one, two = dicom.series(np.zeros((3, 2, 2), np.uint16)), dicom.series()
    found = read_series([*reversed(one), *reversed(two)])
    assert [s.series_uid[-2:] for s in found] == [".1", ".2"]
    assert [i.instance_number for i in found[0].instances] == [1, 2, 3]
    assert [s.slices for s in found] == [3, 20]
    assert [i.path for i in found[0].instances] == one


def test_a_folder_is_searched_for_files(dicom):
    dicom.series()
    assert len(read_series([dicom.folder])) == 1


def test_headers_are_read_without_their_pixels(dicom):
    assert "PixelData" not in read_series(dicom.series())[0].header


def test_a_file_that_is_no_dicom_is_refused_with_its_reason(dicom):
    paths = dicom.series()
    (dicom.folder / "notes.txt").write_text("no DICOM")
    found = scan([dicom.folder])
    assert [len(s.instances) for s in found.series] == [len(paths)]
    assert [r.path.name for r in found.refused] == ["notes.txt"]
    assert "InvalidDicomError" in found.refused[0].reason
    with pytest.raises(RefusedError, match=r"1 file\(s\) cannot be used.*InvalidDicomError"):
        read_series([dicom.folder])


def test_a_truncated_header_is_refused_not_dropped(dicom):
    paths = dicom.series()
    whole = paths[3].read_bytes()
    paths[3].write_bytes(whole[:300])
    found = scan(paths)
    assert sum(len(s.instances) for s in found.series) + len(found.refused) == 20
    assert [r.path for r in found.refused] == [paths[3]]


def test_a_missing_file_is_refused(tmp_path: Path):
    found = scan([tmp_path / "gone.dcm"])
    assert "FileNotFoundError" in found.refused[0].reason


def test_a_header_without_series_uid_is_refused(dicom):
    def spoil(image: Dataset, k: int) -> None:
        if k == 0:
            del image.SeriesInstanceUID

    found = scan(dicom.series(change=spoil))
    assert len(found.refused) == 1
    assert found.refused[0].reason == "without SeriesInstanceUID"


def test_a_second_file_of_one_sop_instance_is_refused(dicom):
    def spoil(image: Dataset, k: int) -> None:
        if k == 5:
            image.SOPInstanceUID = image.SOPInstanceUID.replace(".6", ".1")

    found = scan(dicom.series(change=spoil))
    assert len(found.series[0].instances) == 19
    assert "occurs in a second file, with other bytes" in found.refused[0].reason
    with pytest.raises(HeldError, match=r"\.1: a second file has this SOP Instance UID and other"):
        to_volume(found.series[0])


def test_a_copy_of_a_file_is_refused_and_harms_nothing(dicom):
    paths = dicom.series(np.ones((4, 2, 2), np.uint16))
    shutil.copy(paths[2], dicom.folder / "copy.dcm")
    found = scan([dicom.folder])
    assert [refusal.path.name for refusal in found.refused] == ["copy.dcm"]
    assert "occurs in a second file, a copy of the first" in found.refused[0].reason
    assert to_volume(found.series[0]).array.shape == (4, 2, 2)


def test_two_patients_in_one_folder_are_told_apart_by_their_studies(dicom):
    dicom.series(PatientID="SECRET-A", StudyInstanceUID="1.2.3")
    dicom.series(PatientID="SECRET-B", StudyInstanceUID="1.2.4")
    found = scan([dicom.folder])
    assert [series.study_uid for series in found.series] == ["1.2.3", "1.2.4"]
    assert found.refused == ()


def test_values_that_cannot_be_read_are_not_known_and_do_not_stop_the_others(dicom):
    paths = dicom.series(np.ones((4, 2, 2), np.uint16), EchoTime=7777)
    for path in paths[1:3]:
        whole = path.read_bytes()
        assert whole.count(b"7777") == 1
        path.write_bytes(whole.replace(b"7777", b"SE^T"))
    (series,) = read_series(paths)
    assert series.slices == 4
    assert [i.echo_time for i in series.instances] == [7777.0, None, None, 7777.0]


def test_a_series_of_two_patients_is_refused_without_naming_them(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.PatientID = "SECRET-A" if k < 10 else "SECRET-B"

    found = scan(dicom.series(change=spoil))
    assert not found.series
    assert len(found.refused) == 20
    assert "holds images of 2 patients" in found.refused[0].reason
    assert "SECRET" not in " ".join(r.reason for r in found.refused)


def test_a_series_that_claims_two_studies_is_refused(dicom):
    def spoil(image: Dataset, k: int) -> None:
        image.StudyInstanceUID = f"1.2.3.{k % 2}"

    assert (
        "claims 2 studies: 1.2.3.0, 1.2.3.1" in scan(dicom.series(change=spoil)).refused[0].reason
    )


def test_objects_that_are_no_mr_image_are_series_too(dicom):
    found = read_series(dicom.series(SOPClassUID=SecondaryCaptureImageStorage))
    assert found[0].instances[0].sop_class_uid == "1.2.840.10008.5.1.4.1.1.7"


def test_a_whole_stack_misses_no_slice_whatever_its_order(dicom):
    paths = dicom.series(np.zeros((8, 2, 2), np.uint16), step=(0.0, 0.0, -4.0))
    assert missing_slices(read_series(paths)[0]) == 0


def test_slices_that_did_not_come_are_counted(dicom):
    paths = dicom.series(np.zeros((12, 2, 2), np.uint16), step=(0.0, 1.0, 4.0))
    without = [path for k, path in enumerate(paths) if k not in (3, 7, 8)]
    assert missing_slices(read_series(without)[0]) == 3


def test_a_stack_too_short_to_tell_misses_nothing(dicom):
    assert missing_slices(read_series(dicom.series(np.zeros((2, 2, 2), np.uint16)))[0]) == 0
