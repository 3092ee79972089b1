from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset
from seg_edits import drop_segment, rename

from dicomseg.facts import read_facts
from dicomseg.planes import plane_of
from dicomseg.read import Original, read_seg
from dicomseg.write import write_seg
from study.errors import HeldError, RefusedError
from study.tissue import Tissue
from study.volume import Geometry, Volume


@pytest.fixture
def encoded(series, identity):
    return write_seg(series.labels, series.instances, identity)


@pytest.fixture
def original(series, encoded):
    return Original(series.labels.array, read_facts(encoded).segments)


def test_renamed_segments_are_known_by_their_colour(encoded, series, edit_seg):
    """Colours are all that is left of them."""
    found = read_seg(edit_seg(encoded, rename("a", "b", "c")), series.labels.geometry)
    np.testing.assert_array_equal(found.labels(), series.labels.array)
    assert [m.by for m in found.mapped] == ["colour"] * 3


def test_an_unmapped_segment_is_held_if_it_shows_anything(encoded, series, edit_seg):
    """Nothing is guessed from its number."""

    def edit(ds: Dataset) -> None:
        rename("Necrosis", "Edema", "Segment 3")(ds)
        del ds.SegmentSequence[2].RecommendedDisplayCIELabValue

    with pytest.raises(HeldError, match=r"segment 3 is \(label 'Segment 3'\)"):
        read_seg(edit_seg(encoded, edit), series.labels.geometry)


def test_a_person_names_or_leaves_out_a_segment(encoded, series, edit_seg):
    """The same file, decided."""

    def edit(ds: Dataset) -> None:
        rename("Necrosis", "Edema", "Segment 3")(ds)
        del ds.SegmentSequence[2].RecommendedDisplayCIELabValue

    other, grid = edit_seg(encoded, edit), series.labels.geometry
    named = read_seg(other, grid, overrides={"Segment 3": Tissue.ENHANCING})
    np.testing.assert_array_equal(named.labels(), series.labels.array)
    without = read_seg(other, grid, overrides={"Segment 3": None})
    assert without.outlined == {Tissue.NECROSIS, Tissue.EDEMA}


def test_two_segments_of_one_tissue_are_united(encoded, series, edit_seg):
    """A lesion drawn in two parts."""
    other = edit_seg(encoded, rename("ET", "Edema", "Enhancing Lesion"))
    found = read_seg(other, series.labels.geometry)
    expected = np.where(series.labels.array == 1, 3, series.labels.array)
    np.testing.assert_array_equal(found.labels(), expected)


def test_frames_without_frame_content_are_read(encoded, series, edit_seg):
    """A viewer's default export has none, nor any dimension index."""

    def edit(ds: Dataset) -> None:
        for frame in ds.PerFrameFunctionalGroupsSequence:
            del frame.FrameContentSequence
        del ds.DimensionIndexSequence

    found = read_seg(edit_seg(encoded, edit), series.labels.geometry)
    np.testing.assert_array_equal(found.labels(), series.labels.array)


def test_frames_in_any_order_are_read(encoded, series, edit_seg):
    """Each frame says where it lies."""

    def edit(ds: Dataset) -> None:
        pixels = ds.pixel_array[::-1]
        ds.PerFrameFunctionalGroupsSequence = list(ds.PerFrameFunctionalGroupsSequence)[::-1]
        bits = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
        ds.PixelData = bits + b"\x00" * (len(bits) % 2)

    found = read_seg(edit_seg(encoded, edit), series.labels.geometry)
    np.testing.assert_array_equal(found.labels(), series.labels.array)


def test_frames_without_a_place_are_read_with_the_images_they_name(encoded, series, edit_seg):
    """Position, orientation and spacing come from the image."""

    def edit(ds: Dataset) -> None:
        for frame in ds.PerFrameFunctionalGroupsSequence:
            del frame.PlanePositionSequence
        del ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence

    other, grid = edit_seg(encoded, edit), series.labels.geometry
    with pytest.raises(RefusedError, match="9 of its 9 frames do not say where they lie"):
        read_seg(other, grid)
    images = {i.SOPInstanceUID: plane_of(i) for i in series.instances}
    found = read_seg(other, grid, images=images)
    np.testing.assert_array_equal(found.labels(), series.labels.array)


def test_a_finer_grid_is_resampled(new_series, identity):
    """The mask of twice as many rows and columns, brought back to ours."""
    coarse = new_series(shape=(5, 20, 24), spacing=(6.0, 1.0, 1.0))
    affine = coarse.labels.geometry.affine.copy()
    affine[:3, 1:3] /= 2
    affine[:3, 3] -= 0.25 * (coarse.labels.geometry.affine[:3, 1:3].sum(axis=1))
    fine = new_series(shape=(5, 40, 48), spacing=(6.0, 0.5, 0.5))
    for instance in fine.instances:
        at = int(instance.InstanceNumber) - 1
        instance.ImagePositionPatient = (affine[:3, 3] + at * affine[:3, 0]).round(6).tolist()
    doubled = np.repeat(np.repeat(coarse.labels.array, 2, axis=1), 2, axis=2)
    frame = coarse.labels.geometry.frame_of_reference_uid
    labels = Volume(doubled, Geometry((5, 40, 48), affine, frame))
    encoded = write_seg(labels, fine.instances, identity)
    found = read_seg(encoded, coarse.labels.geometry)
    assert found.resampled
    assert found.warnings == ("it lies on another grid than the result and was resampled",)
    np.testing.assert_array_equal(found.labels(), coarse.labels.array)


def test_overlaps_go_to_the_inner_tissue(series, foreign_seg):
    """Enhancing before necrosis before edema; how many is told."""
    masks = np.zeros((*series.labels.array.shape, 3), np.uint8)
    masks[2, 4:10, 4:10, 1] = 1
    masks[2, 5:8, 5:8, 0] = 1
    masks[2, 5, 5, 2] = 1
    found = read_seg(foreign_seg(series, "BINARY", array=masks), series.labels.geometry)
    labels = found.labels()
    assert (labels[2, 5, 5], labels[2, 6, 6], labels[2, 9, 9]) == (3, 1, 2)
    # Nine voxels of necrosis and one enhancing among them; 9 of the edema's.
    assert found.overlap_voxels == 10


@pytest.mark.parametrize(
    ("manufacturer", "absent", "outlined"),
    [
        ("QIICR", "erased if dropped", {1, 2, 3}),
        ("Elsewhere", "erased if dropped", {2, 3}),
        ("QIICR", "not outlined", {2, 3}),
        ("Elsewhere", "erased", {1, 2, 3}),
    ],
)
def test_a_tissue_that_is_absent(manufacturer, absent, outlined, encoded, series, original,
                                 edit_seg):  # fmt: skip
    """Erased only where the exporter is known to drop what is empty, or where that is said."""
    found = read_seg(
        edit_seg(encoded, drop_segment(1, manufacturer)),
        series.labels.geometry,
        original=original,
        absent=absent,
    )
    assert found.outlined == outlined
    assert not found.masks.get(Tissue.NECROSIS, np.zeros(1)).any()
    expected = series.labels.array.copy()
    if 1 in outlined:
        expected[expected == 1] = 0
    np.testing.assert_array_equal(found.labels(series.labels.array), expected)


def test_a_large_tissue_that_is_absent_was_rather_not_drawn(encoded, series, original, edit_seg):
    """Edema is most of the original: who sends the enhancing lesion alone did not erase it."""
    found = read_seg(edit_seg(encoded, drop_segment(2)), series.labels.geometry, original=original)
    assert found.outlined == {Tissue.NECROSIS, Tissue.ENHANCING}
    assert np.count_nonzero(found.labels(series.labels.array) == Tissue.EDEMA) == np.count_nonzero(
        series.labels.array == Tissue.EDEMA
    )


def test_a_listed_empty_segment_is_erased(encoded, series, original, edit_seg):
    """A file that lists the segment speaks of it."""
    labels = series.labels.array.copy()

    def edit(ds: Dataset) -> None:
        pixels = ds.pixel_array
        for at, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
            if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1:
                pixels[at] = 0
        bits = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
        ds.PixelData = bits + b"\x00" * (len(bits) % 2)

    found = read_seg(edit_seg(encoded, edit), series.labels.geometry, original=original)
    assert found.outlined == {1, 2, 3}
    assert not found.unchanged
    np.testing.assert_array_equal(found.labels(labels), np.where(labels == 1, 0, labels))


def test_another_frame_of_reference_is_held(encoded, series):
    """Unless it is known to be in register."""
    grid = replace(series.labels.geometry, frame_of_reference_uid="1.2.3")
    with pytest.raises(HeldError, match=r"the result in 1\.2\.3"):
        read_seg(encoded, grid)
    frames = frozenset({series.labels.geometry.frame_of_reference_uid})
    found = read_seg(encoded, grid, same_frames=frames)
    np.testing.assert_array_equal(found.labels(), series.labels.array)


def test_a_missing_frame_of_reference_is_held(encoded, series, edit_seg):
    """Empty is not equal to anything."""

    def edit(ds: Dataset) -> None:
        del ds.FrameOfReferenceUID

    with pytest.raises(HeldError, match="without UID"):
        read_seg(edit_seg(encoded, edit), series.labels.geometry)


def test_an_outline_elsewhere_is_held(encoded, series):
    """In the same frame of reference, but beside the grid."""
    affine = series.labels.geometry.affine.copy()
    affine[:3, 3] += (500.0, 0.0, 0.0)
    with pytest.raises(HeldError, match="only 0% of what it outlines"):
        read_seg(encoded, replace(series.labels.geometry, affine=affine))


def test_a_mirrored_correction_is_held_until_a_person_has_looked(series, identity, original):
    """Slices in reverse, and nothing in the file says so."""
    mirrored = series.labels.with_array(series.labels.array[:, :, ::-1].copy())
    encoded = write_seg(mirrored, series.instances, identity)
    with pytest.raises(HeldError, match="with its columns reversed"):
        read_seg(encoded, series.labels.geometry, original=original)
    found = read_seg(encoded, series.labels.geometry, original=original, suspicious=True)
    np.testing.assert_array_equal(found.labels(), mirrored.array)


def test_nothing_of_ours_is_held(encoded, series, edit_seg):
    """All segments are background or left out."""
    other = edit_seg(encoded, rename("a", "b", "c"))
    with pytest.raises(HeldError, match="none of its segments is one of ours"):
        read_seg(other, series.labels.geometry, overrides={"a": None, "b": None, "c": None})


def move_last_frame(mm):
    def edit(ds: Dataset) -> None:
        place = ds.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence[0]
        x, y, z = map(float, place.ImagePositionPatient)
        place.ImagePositionPatient = [x, y, round(z + mm, 4)]

    return edit


def test_a_plane_far_away_asks_for_no_memory(encoded, series, edit_seg):
    """Ten million slices of 480 pixels would be allocated otherwise."""
    with pytest.raises(RefusedError, match=r"spread over \d+ slices; at most 279620"):
        read_seg(edit_seg(encoded, move_last_frame(6.5e6)), series.labels.geometry)


def test_uneven_planes_are_refused(encoded, series, edit_seg):
    """A plane between two others."""
    with pytest.raises(RefusedError, match="uneven distances"):
        read_seg(edit_seg(encoded, move_last_frame(2.9)), series.labels.geometry)


def test_too_fine_voxels_are_refused(encoded, series, edit_seg):
    """A hundredth of a millimetre."""

    def edit(ds: Dataset) -> None:
        measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.PixelSpacing = [0.01, 0.01]

    with pytest.raises(RefusedError, match=r"0\.0100 mm apart; 0\.2 is the finest"):
        read_seg(edit_seg(encoded, edit), series.labels.geometry)


def test_pixels_of_an_unknown_segment_are_refused(series, foreign_seg, edit_seg):
    """In a label map the pixels themselves name segments."""

    def edit(ds: Dataset) -> None:
        ds.PixelData = b"\x07" + ds.PixelData[1:]

    encoded = edit_seg(foreign_seg(series, "LABELMAP"), edit)
    with pytest.raises(RefusedError, match=r"\[.*7\], not all are described"):
        read_seg(encoded, series.labels.geometry)


def test_a_decision_about_a_label_that_is_not_there_is_refused(encoded, series):
    """A typing error must not pass for a decision."""
    with pytest.raises(RefusedError, match=r"no segment is labelled \['Seg2'\]"):
        read_seg(encoded, series.labels.geometry, overrides={"Seg2": Tissue.EDEMA})


def test_all_that_nothing_names_is_asked_at_once(encoded, series, edit_seg):
    """In the order of their numbers, whichever frame comes first."""

    def edit(ds: Dataset) -> None:
        rename("Part 1", "Edema", "Part 3")(ds)
        for segment in ds.SegmentSequence:
            del segment.RecommendedDisplayCIELabValue

    with pytest.raises(HeldError, match=r"segments 1 \(label 'Part 1'\), 3 \(label 'Part 3'\) are"):
        read_seg(edit_seg(encoded, edit), series.labels.geometry)


def test_what_cannot_be_read_is_no_question_for_a_person(encoded, series, edit_seg):
    """It has no frame of reference, and its planes are no stack either."""

    def edit(ds: Dataset) -> None:
        move_last_frame(2.9)(ds)
        del ds.FrameOfReferenceUID

    with pytest.raises(RefusedError, match="uneven distances"):
        read_seg(edit_seg(encoded, edit), series.labels.geometry)
