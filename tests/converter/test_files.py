"""Files that are no DICOM, no whole DICOM, or no files: each is refused with its reason."""

from __future__ import annotations

import errno
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from converter import files
from converter.files import is_uid
from converter.series import Scan, read_series, scan
from converter.volume import to_volume
from study.errors import HeldError, RefusedError


def reasons(found: Scan) -> list[str]:
    return [refusal.reason for refusal in found.refused]


@pytest.mark.filterwarnings("ignore")  # pydicom tells odd values
def test_a_file_cut_anywhere_is_refused_or_holds_its_series(dicom):
    """At every third length: it never makes a shorter series, a darker slice, a wrong volume."""
    paths = dicom.series(np.ones((4, 4, 4), np.uint16), PatientName="SECRET^NAME")
    whole = paths[3].read_bytes()
    said = set()
    for length in range(1, len(whole), 3):
        paths[3].write_bytes(whole[:length])
        with pytest.raises(RefusedError) as caught:
            [to_volume(series) for series in read_series(paths)]
        assert "SECRET" not in str(caught.value)
        said.add(str(caught.value))
    assert sum("truncated" in reason for reason in said) > 10
    paths[3].write_bytes(whole)
    assert to_volume(*read_series(paths)).array.shape == (4, 4, 4)


@pytest.mark.parametrize("lacking", [1, 2, 15, 16, 31, 32])
def test_pixels_cut_short_hold_the_series_with_the_lengths(dicom, lacking):
    """The value's length points behind the end of the file, which pydicom does not mind."""
    paths = dicom.series(np.ones((4, 4, 4), np.uint16))
    whole = paths[3].read_bytes()
    paths[3].write_bytes(whole[:-lacking])
    assert len(dcmread(paths[3]).PixelData) == 32 - lacking
    (series,) = read_series(paths)
    assert series.slices == 4
    with pytest.raises(HeldError, match=r"has 1 file\(s\) that cannot be used") as caught:
        to_volume(series)
    assert (
        f"{series.series_uid}.4: it is truncated: (7FE0,0010) ends at byte {len(whole)},"
        f" the file at byte {len(whole) - lacking}"
    ) in str(caught.value)


def test_what_follows_the_pixels_must_be_dicom(dicom):
    paths = dicom.series(np.ones((3, 4, 4), np.uint16))
    whole = paths[0].read_bytes()
    paths[0].write_bytes(whole + bytes(100))
    assert to_volume(*read_series(paths)).array.shape == (3, 4, 4)  # zeros are padding
    paths[0].write_bytes(whole + b"garbage that is longer than an element")
    with pytest.raises(HeldError, match=r"it is truncated|nothing that is DICOM follows"):
        to_volume(*read_series(paths))


def nested(depth: int) -> bytes:
    """An explicit-VR sequence of undefined length in a sequence in a sequence."""
    open_one = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
    open_one += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    close_one = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return open_one * depth + close_one * depth


def before_pixels(path: Path, inserted: bytes) -> None:
    """Insert bytes before (7FE0,0010) Pixel Data."""
    whole = path.read_bytes()
    at = whole.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    path.write_bytes(whole[:at] + inserted + whole[at:])


def test_sequences_nested_beyond_reading_hold_the_series(dicom):
    paths = dicom.series(np.ones((3, 4, 4), np.uint16))
    before_pixels(paths[1], nested(20))
    assert to_volume(*read_series(paths)).array.shape == (3, 4, 4)
    before_pixels(paths[1], nested(5000))
    with pytest.raises(HeldError, match=r"cannot be read to the end \(RecursionError\)"):
        to_volume(*read_series(paths))


def test_files_that_are_no_images_are_refused_each_with_its_reason(dicom):
    paths = dicom.series(np.ones((3, 4, 4), np.uint16))
    (dicom.folder / "a-notes.txt").write_text("no DICOM, and SECRET")
    (dicom.folder / "b-empty.dcm").touch()
    os.mkfifo(dicom.folder / "c-pipe.dcm")
    directory = dcmread(paths[0])
    del directory.SOPClassUID
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.save_as(dicom.folder / "d-DICOMDIR")
    found = scan([dicom.folder])
    assert [series.slices for series in found.series] == [3]
    assert {refusal.path.name: refusal.reason for refusal in found.refused} == {
        "a-notes.txt": "not readable as DICOM (InvalidDicomError)",
        "b-empty.dcm": "an empty file",
        "c-pipe.dcm": "no regular file (a pipe, a socket or a device)",
        "d-DICOMDIR": "a DICOMDIR: it is an index; the files that it lists are read without it",
    }


def test_a_named_pipe_that_is_asked_for_by_name_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert reasons(scan([tmp_path / "pipe"])) == ["no regular file (a pipe, a socket or a device)"]


def test_a_symbolic_link_does_not_lead_out_of_a_folder(dicom, tmp_path):
    paths = dicom.series(np.ones((4, 4, 4), np.uint16))
    outside = tmp_path / "outside"
    outside.mkdir()
    paths[3].rename(outside / "4.dcm")
    (dicom.folder / "9-file").symlink_to(outside / "4.dcm")
    (dicom.folder / "9-folder").symlink_to(outside)
    (dicom.folder / "9-loop").symlink_to(dicom.folder)
    found = scan([dicom.folder])
    assert [series.slices for series in found.series] == [3]
    assert [(refusal.path.name, refusal.reason[:29]) for refusal in found.refused] == [
        ("9-file", "a symbolic link out of the fo"),
        ("9-folder", "a symbolic link out of the fo"),
        ("9-loop", "a symbolic link to another fo"),
    ]


def test_a_symbolic_link_that_is_named_is_followed(dicom, tmp_path):
    paths = dicom.series(np.ones((3, 4, 4), np.uint16))
    (tmp_path / "folder").symlink_to(dicom.folder)
    (tmp_path / "file").symlink_to(paths[0])
    assert [series.slices for series in read_series([tmp_path / "folder"])] == [3]
    assert [series.slices for series in read_series([tmp_path / "file"])] == [1]


def test_nothing_is_inflated(dicom):
    """A small file can inflate to any size: here one element of 64 MiB, in 64 KiB."""
    (path,) = dicom.series(np.ones((1, 4, 4), np.uint16))
    image = dcmread(path)
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    image.save_as(path)
    whole = path.read_bytes()
    start = 144 + struct.unpack("<L", whole[140:144])[0]
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = packer.compress(struct.pack("<HH2sHL", 8, 8, b"UN", 0, 2**26) + bytes(2**26))
    path.write_bytes(whole[:start] + bomb + packer.flush())
    assert path.stat().st_size < 2**17
    assert reasons(scan([path])) == ["in Deflated Explicit VR Little Endian, which is not accepted"]


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("SOPInstanceUID", None, "without SOPInstanceUID"),
        ("StudyInstanceUID", "SECRET", "StudyInstanceUID is no UID"),
        ("SeriesInstanceUID", "1." * 40 + "1", "SeriesInstanceUID is no UID"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_uid_that_is_none_is_refused_and_not_quoted(dicom, keyword, value, reason):
    def spoil(image: Dataset, k: int) -> None:
        image.add_new(keyword, "UI", value)

    paths = dicom.series(np.ones((1, 4, 4), np.uint16))
    image = dcmread(paths[0])
    spoil(image, 0)
    image.save_as(paths[0])
    assert reasons(scan(paths)) == [reason]


@pytest.mark.parametrize(
    ("text", "answer"),
    [("1.2.840", True), ("1.02.3", True), ("", False), ("1..2", False), ("1.2.a", False)],
)
def test_uids_are_digits_and_dots(text, answer):
    assert is_uid(text) is answer


@pytest.mark.parametrize("text", [b"-1", b"1e9x", b"many", b"0 "])
@pytest.mark.filterwarnings("ignore")
def test_a_number_of_frames_that_is_none_holds_the_series(dicom, text):
    paths = dicom.series(np.ones((3, 4, 4), np.uint16), NumberOfFrames=11111111)
    whole = paths[1].read_bytes()
    for path in paths:
        content = whole if path == paths[1] else path.read_bytes()
        value = text.ljust(8) if path == paths[1] else b"1".ljust(8)
        path.write_bytes(content.replace(b"11111111", value))
    with pytest.raises(HeldError, match=r"\(0028,0008\) Number of Frames is no positive number"):
        to_volume(*read_series(paths))


@pytest.mark.parametrize("reader", ["_open", "dcmread"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOLCK])
def test_what_the_machine_lacks_is_no_fault_of_the_file(dicom, monkeypatch, reader, number):
    (path,) = dicom.series(np.ones((1, 4, 4), np.uint16))
    monkeypatch.setattr(files, reader, raising(OSError(number, os.strerror(number))))
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
        files.read_file(path)
    assert caught.value.errno == number


def test_a_file_that_may_not_be_opened_is_refused(dicom, monkeypatch):
    (path,) = dicom.series(np.ones((1, 4, 4), np.uint16))
    monkeypatch.setattr(files, "_open", raising(OSError(errno.EACCES, "Permission denied")))
    with pytest.raises(RefusedError, match=r"not readable as DICOM \(PermissionError\)"):
        files.read_file(path)


def raising(error: Exception):
    """A function that raises an error."""

    def call(*_given, **_named):
        raise error

    return call
