from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from dicomseg.content import content_digest
from dicomseg.write import write_seg


@pytest.fixture
def encoded(series, identity):
    return write_seg(series.labels, series.instances, identity)


def rewrite(ds: Dataset) -> None:
    """What an archive does: other bytes, other attributes, the same outline."""
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.InstitutionName = "Elsewhere"
    ds.SeriesDescription = "coerced"


def reorder(ds: Dataset) -> None:
    import numpy as np  # noqa: PLC0415

    pixels = ds.pixel_array[::-1]
    ds.PerFrameFunctionalGroupsSequence = list(ds.PerFrameFunctionalGroupsSequence)[::-1]
    bits = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    ds.PixelData = bits + b"\x00" * (len(bits) % 2)


@pytest.mark.parametrize("edit", [rewrite, reorder])
def test_another_encoding_has_the_same_digest(edit, encoded, edit_seg):
    """What is shown is the same."""
    assert content_digest(edit_seg(encoded, edit)) == content_digest(encoded)


def pixel(ds: Dataset) -> None:
    ds.PixelData = bytes([ds.PixelData[0] ^ 1]) + ds.PixelData[1:]


def label(ds: Dataset) -> None:
    ds.SegmentSequence[0].SegmentLabel = "Edema"


def place(ds: Dataset) -> None:
    plane = ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    plane.ImagePositionPatient = [0, 0, 0]


def frame_of_reference(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "1.2.3"


@pytest.mark.parametrize("edit", [pixel, label, place, frame_of_reference])
def test_another_outline_has_another_digest(edit, encoded, edit_seg):
    """One bit, one label, one position."""
    assert content_digest(edit_seg(encoded, edit)) != content_digest(encoded)
