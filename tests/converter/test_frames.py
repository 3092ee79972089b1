"""Frames of multi-frame images, and what identification sees of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage

from converter.attributes import Attributes, of_series
from converter.frames import read_frames
from converter.identify import weigh
from converter.series import Instance, Series


def item(**attributes) -> Sequence:
    inner = Dataset()
    for keyword, value in attributes.items():
        setattr(inner, keyword, value)
    return Sequence([inner])


def enhanced(
    heights: list[float], b_values: list[float] | None = None, **attributes: object
) -> Dataset:
    """An enhanced image; its frames lie at these heights."""
    image = Dataset()
    image.SOPClassUID = EnhancedMRImageStorage
    image.Modality = "MR"
    image.NumberOfFrames = len(heights)
    shared = Dataset()
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    timing = {k: attributes.pop(k) for k in ("RepetitionTime",) if k in attributes}
    shared.MRTimingAndRelatedParametersSequence = item(**timing)
    if "EffectiveEchoTime" in attributes:
        shared.MREchoSequence = item(EffectiveEchoTime=attributes.pop("EffectiveEchoTime"))
    if "ContrastBolusAgentAdministered" in attributes:
        given = attributes.pop("ContrastBolusAgentAdministered")
        shared.ContrastBolusUsageSequence = item(ContrastBolusAgentAdministered=given)
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for place, height in enumerate(heights):
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=[0, 0, height])
        if b_values:
            frame.MRDiffusionSequence = item(DiffusionBValue=b_values[place])
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def attributes_of(image: Dataset) -> Attributes:
    uid = str(EnhancedMRImageStorage)
    instance = Instance(Path("one"), "1.1", uid, frames=int(image.NumberOfFrames))
    return of_series(Series("1.2", "1.3", (instance,), image))


STACK = [6.0 * place for place in range(20)]


def test_positions_orientations_and_weightings_of_all_frames_are_read():
    found = read_frames(enhanced([0, 5], [0.0, 1000.0]))
    assert found.positions == ((0.0, 0.0, 0.0), (0.0, 0.0, 5.0))
    assert found.orientations == ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0),) * 2
    assert (found.b_values, found.diffusion) == (frozenset({0.0, 1000.0}), True)


@pytest.mark.parametrize("vr", ["US", "SQ"])
def test_a_frame_type_that_is_no_text_is_none(vr):
    image = enhanced([0, 5])
    for frame in image.PerFrameFunctionalGroupsSequence:
        typed = Dataset()
        typed.add_new("FrameType", vr, 7 if vr == "US" else [Dataset()])
        frame.MRImageFrameTypeSequence = Sequence([typed])
    assert [one.image_type for one in read_frames(image).traits] == [(), ()]


def test_a_classic_image_has_no_frames():
    assert read_frames(Dataset()).positions == ()


def test_a_position_that_is_none_is_left_out():
    image = enhanced([0, 5])
    image.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = None
    assert len(read_frames(image).positions) == 1


def test_an_enhanced_image_is_measured_and_timed_like_a_classic_one():
    found = attributes_of(
        enhanced(STACK, EffectiveEchoTime=95.0, RepetitionTime=5000.0, EchoPulseSequence="SPIN")
    )
    assert (found.slices, found.images, found.coverage_mm, found.gaps) == (20, 20, 120.0, 0)
    assert found.numbers["EchoTime"] == 95.0
    (evidence,) = weigh([found])
    assert (evidence.sequence, evidence.fit) == ("T2", True)


def test_a_slab_of_frames_does_not_cover_the_head():
    (found,) = weigh([attributes_of(enhanced([float(z) for z in range(20)]))])
    assert "covers 20 mm; 80 mm are needed" in found.against()


def test_frames_repeated_at_each_place_are_no_stack():
    (found,) = weigh([attributes_of(enhanced(STACK * 3, SeriesDescription="T1 +C"))])
    assert (found.sequence, found.fit) == ("T1GD", False)
    assert found.against() == "60 images at 20 places: repeated in time, or mixed"


def test_diffusion_in_any_frame_is_no_t2():
    image = enhanced(STACK, [0.0] * 19 + [1000.0], EffectiveEchoTime=95.0, RepetitionTime=5000.0)
    (found,) = weigh([attributes_of(image)])
    assert (found.sequence, found.rules[0].what) == (
        "OTHER",
        "diffusion weighting (DiffusionDirectionality DIRECTIONAL)",
    )


@pytest.mark.parametrize(("given", "expected"), [("YES", "T1GD"), ("NO", "T1")])
def test_contrast_is_told_by_its_usage(given: str, expected: str):
    one = enhanced(STACK, SeriesDescription="T1 ax", ContrastBolusAgentAdministered=given)
    other = enhanced(STACK, SeriesDescription="T2 ax")
    evidence = weigh([attributes_of(one), attributes_of(other)])
    assert evidence[0].sequence == expected
