from __future__ import annotations

from datetime import datetime

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from dicomseg.facts import read_facts
from dicomseg.opening import open_seg
from dicomseg.write import write_seg
from study.errors import RefusedError


@pytest.fixture
def encoded(series, identity):
    return write_seg(series.labels, series.instances, identity)


def test_facts_of_our_own_result(encoded, series):
    """What was written is what is read."""
    facts = read_facts(encoded)
    assert facts.study_uid == "1.2.826.0.1.3680043.8.498.1"
    assert facts.referenced_series == ("1.2.826.0.1.3680043.8.498.2",)
    assert facts.descriptions[0] == "Glioloop 00112233"
    assert facts.made == datetime(2026, 1, 3, 9, 30, 5)  # noqa: DTZ001
    assert (facts.rows, facts.columns, len(facts.frames)) == (20, 24, 9)
    assert [s.label for s in facts.segments] == ["Necrosis", "Edema", "Enhancing Lesion"]
    assert facts.slice_spacing == 6.5
    assert {i.SOPInstanceUID for i in series.instances} <= facts.referenced_instances


def test_facts_do_not_show_the_patient(encoded):
    """Facts end in logs."""
    shown = repr(read_facts(encoded))
    assert "PAT-0001" not in shown
    assert "19610504" not in shown
    assert "Tester" not in shown


def nest(ds: Dataset, levels: int) -> None:
    for _ in range(levels):
        inner, ds = ds, Dataset()
        ds.ReferencedSeriesSequence = Sequence([inner])


def many_large_frames(ds: Dataset) -> None:
    ds.Rows = ds.Columns = 2048
    ds.PerFrameFunctionalGroupsSequence = list(ds.PerFrameFunctionalGroupsSequence) * 500
    ds.NumberOfFrames = 4500


BROKEN = {
    "no segments": (lambda ds: ds.__delattr__("SegmentSequence"), "describes 0 segments"),
    "no segment number": (
        lambda ds: ds.SegmentSequence[0].__delattr__("SegmentNumber"),
        r"no \*Segment Number\*",
    ),
    "two segments of one number": (
        lambda ds: setattr(ds.SegmentSequence[1], "SegmentNumber", 1),
        r"one \*Segment Number\*",
    ),
    "no type": (lambda ds: ds.__delattr__("SegmentationType"), "is missing"),
    "an unknown type": (lambda ds: setattr(ds, "SegmentationType", "SURFACE"), "is SURFACE"),
    "fewer frames declared": (
        lambda ds: setattr(ds, "NumberOfFrames", 1),
        "declares 1 frames and describes 9",
    ),
    "no frames declared": (
        lambda ds: ds.__delattr__("NumberOfFrames"),
        "declares 1 frames and describes 9",
    ),
    "a billion frames": (lambda ds: setattr(ds, "NumberOfFrames", 10**9), "1 to 20000 is read"),
    "negative frames": (lambda ds: setattr(ds, "NumberOfFrames", -1), "is -1"),
    "frames of an unknown segment": (
        lambda ds: setattr(
            ds.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0],
            "ReferencedSegmentNumber",
            99,
        ),
        r"show segments \[99\]",
    ),
    "frames of no segment": (
        lambda ds: ds.PerFrameFunctionalGroupsSequence[3].__delattr__(
            "SegmentIdentificationSequence"
        ),
        "which segment it shows",
    ),
    "huge rows": (lambda ds: setattr(ds, "Rows", 65535), r"\*Rows\* is 65535"),
    "no columns": (lambda ds: setattr(ds, "Columns", 0), r"\*Columns\* is 0"),
    "too many pixels": (many_large_frames, "18874368000 pixels; at most 1073741824"),
    "another class": (
        lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"),
        "a Segmentation is needed",
    ),
    "a position that is no position": (
        lambda ds: setattr(
            ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0],
            "ImagePositionPatient",
            [1, 2],
        ),
        "3 plain numbers",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_headers_that_contradict_themselves_are_refused(case, encoded, edit_seg):
    """Several of these the library would silently accept."""
    edit, match = BROKEN[case]
    with pytest.raises(RefusedError, match=match):
        read_facts(edit_seg(encoded, edit))


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1", b"\x00" * 500])
def test_what_is_no_dicom_file_is_refused(data):
    """Nothing is forced to be DICOM."""
    with pytest.raises(RefusedError, match="no DICOM Part 10 file"):
        open_seg(data)


def test_a_truncated_file_is_refused_or_its_header_read(encoded):
    """Cut anywhere, it is refused with one of our errors or read; nothing else is raised."""
    refused = 0
    for length in range(132, len(encoded), 257):
        try:
            read_facts(encoded[:length])
        except RefusedError:
            refused += 1
    assert refused > 20


def test_deep_nesting_is_refused(encoded, edit_seg):
    """A sequence in a sequence, a thousand deep, written by hand."""
    item = b""
    for _ in range(2000):
        # (0040,A730) SQ of undefined length, one item of undefined length, both delimited.
        item = (
            b"\x40\x00\x30\xa7SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
            + item
            + b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
        )

    def cut(ds: Dataset) -> None:
        for tag in [t for t in ds.keys() if t > 0x0040A730]:  # noqa: SIM118
            del ds[tag]

    with pytest.raises(RefusedError, match="cannot be parsed as DICOM"):
        open_seg(edit_seg(encoded, cut) + item)


def test_a_file_deflated_as_a_whole_is_refused(encoded, edit_seg):
    """It would be inflated before anything can be checked."""

    def rename(ds: Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"

    with pytest.raises(RefusedError, match=r"deflated as a whole|cannot be parsed"):
        open_seg(edit_seg(encoded, rename))
