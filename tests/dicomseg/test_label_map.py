"""Results as Label Map Segmentations: another object of the same outline."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from dicomseg.content import content_digest
from dicomseg.encode import encode_seg
from dicomseg.facts import read_facts
from dicomseg.identity import LABEL_MAP_KIND, is_own_result
from dicomseg.read import read_seg
from dicomseg.recognise import Kind, known_result, recognise
from dicomseg.write import write_seg
from study.errors import FailedError
from study.tissue import Tissue

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"


def label_map(series, identity, labels=None, **changed) -> bytes:
    named = replace(identity, kind=LABEL_MAP_KIND, series_number=906, **changed)
    return encode_seg(labels or series.labels, series.instances, named, encoding="LABELMAP")


@pytest.mark.parametrize("orientation", ["axial", "sagittal", "coronal", "oblique"])
@pytest.mark.parametrize("ascending", [True, False])
def test_its_masks_are_those_of_the_binary_one(orientation, ascending, new_series, identity):
    """Read back by our own reader, voxel by voxel."""
    series = new_series(orientation, ascending=ascending)
    found = read_seg(label_map(series, identity), series.labels.geometry)
    np.testing.assert_array_equal(found.labels(), series.labels.array)
    assert found.outlined == {Tissue.NECROSIS, Tissue.EDEMA, Tissue.ENHANCING}


def test_it_is_another_object_with_the_same_segments(series, identity):
    """Another SOP class, instance and series; the same labels, codes, colours and tracking."""
    binary = dcmread(BytesIO(write_seg(series.labels, series.instances, identity)))
    other = dcmread(BytesIO(label_map(series, identity)))
    assert other.SOPClassUID == LABEL_MAP_STORAGE
    assert other.SegmentationType == "LABELMAP"
    assert other.SOPInstanceUID != binary.SOPInstanceUID
    assert other.SeriesInstanceUID != binary.SeriesInstanceUID
    assert other.FrameOfReferenceUID == binary.FrameOfReferenceUID
    background, *described = other.SegmentSequence
    assert background.SegmentNumber == 0
    for ours, theirs in zip(described, binary.SegmentSequence, strict=True):
        for keyword in ("SegmentNumber", "SegmentLabel", "TrackingUID", "TrackingID"):
            assert ours[keyword].value == theirs[keyword].value
        assert list(ours.RecommendedDisplayCIELabValue) == list(
            theirs.RecommendedDisplayCIELabValue
        )


def test_the_same_arguments_make_the_same_bytes(series, identity):
    """What is made again is what was delivered."""
    assert label_map(series, identity) == label_map(series, identity)


def test_no_tumour_is_a_valid_label_map(series, identity):
    """Every slice is there, empty."""
    nothing = series.labels.with_array(np.zeros_like(series.labels.array))
    encoded = label_map(series, identity, nothing)
    assert read_facts(encoded).sop_class_uid == LABEL_MAP_STORAGE
    assert not dcmread(BytesIO(encoded)).pixel_array.any()


def test_a_label_map_that_differs_is_found(series, identity, monkeypatch):
    """It is read back before it is given out."""
    monkeypatch.setattr(
        "dicomseg.encode.write_seg",
        lambda labels, *given: write_seg(
            labels.with_array(np.where(labels.array == 3, 2, labels.array)), *given
        ),
    )
    with pytest.raises(FailedError, match="voxels of the encoded Segmentation differ"):
        label_map(series, identity)


@pytest.fixture
def known(series, identity):
    """A result that was delivered in both encodings."""
    return known_result(
        write_seg(series.labels, series.instances, identity),
        copies=[label_map(series, identity)],
        result_id=identity.result_id,
        patient="a",
        created=0.0,
    )


def recognised(encoded, results):
    facts = read_facts(encoded)
    return recognise(facts, content_digest(encoded), results, patient="a", at_learn=False)


def test_our_own_label_map_that_comes_back_is_an_echo(series, identity, known):
    """Known by its UID and what it shows; without the result, it is still a network's own."""
    encoded = label_map(series, identity)
    assert recognised(encoded, [known]).kind is Kind.ECHO
    facts = read_facts(encoded)
    assert is_own_result(facts.sop_instance_uid, [s.tracking_id for s in facts.segments])
    assert recognised(encoded, []).reason.startswith("it is a network's result")


def test_other_pixels_under_its_uid_are_a_conflict(series, identity, known):
    """The same SOP Instance UID with another outline."""
    array = series.labels.array.copy()
    array[2, 10, 10] = 3
    found = recognised(label_map(series, identity, series.labels.with_array(array)), [known])
    assert (found.kind, found.signal) == (Kind.HELD, 0)


def test_a_correction_of_the_label_map_is_one_of_the_result(series, identity, known):
    """By its predecessor, or by the series that it was saved into."""
    (uid,) = known.copies
    (series_uid,) = known.copy_series
    corrected = dcmread(BytesIO(label_map(series, identity)))
    for segment in corrected.SegmentSequence:
        for keyword in ("TrackingUID", "TrackingID"):
            if keyword in segment:
                del segment[keyword]
    corrected.SOPInstanceUID = "1.2.3.4"
    corrected.SeriesDescription = corrected.ContentDescription = "mine"
    buffer = BytesIO()
    corrected.save_as(buffer)
    found = recognised(buffer.getvalue(), [known])
    assert (found.kind, found.signal, found.result_id) == (
        Kind.CORRECTION, 3, identity.result_id,
    )  # fmt: skip
    assert corrected.SeriesInstanceUID == series_uid
    assert uid != corrected.SOPInstanceUID
