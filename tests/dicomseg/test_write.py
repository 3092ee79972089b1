from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomseg.identity import Predecessor, ResultIdentity
from dicomseg.read import Original, read_seg
from dicomseg.validate import validate_seg
from dicomseg.write import write_seg
from study.errors import RefusedError
from study.tissue import Tissue
from study.volume import Geometry, Volume

NewSeries = Callable[..., object]


def parsed(encoded: bytes) -> Dataset:
    return dcmread(BytesIO(encoded))


def errors_of_dciodvfy(path: Path) -> list[str]:
    """Lines that Debian's dicom3tools call errors."""
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]


ORIENTATIONS = ["axial", "sagittal", "coronal", "oblique"]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_our_reader_gives_back_exactly_the_labels(orientation, ascending, new_series, identity):
    """Labels to bytes to masks is the identity, without resampling."""
    series = new_series(orientation, ascending=ascending)
    encoded = write_seg(series.labels, series.instances, identity)
    validate_seg(encoded, series.labels)
    read = read_seg(encoded, series.labels.geometry, original=Original(series.labels.array))
    assert not read.resampled
    assert read.unchanged
    np.testing.assert_array_equal(read.labels(), series.labels.array)


def test_dciodvfy_finds_no_error(series, identity, tmp_path):
    """A result, an adapted one that names its predecessor, and one without tumour."""
    before = Predecessor("1.2.3", "1.2.4", "1.2.5", "1.2.840.10008.5.1.4.1.1.66.4")
    adapted = replace(identity, head_version="patient-v2", predecessor=before)
    nothing = series.labels.with_array(np.zeros_like(series.labels.array))
    correction = replace(identity, kind="correction 1", algorithm_type="MANUAL", creator="Doe^Jo")
    for labels, who in [
        (series.labels, identity),
        (series.labels, adapted),
        (nothing, identity),
        (series.labels, correction),
    ]:
        path = tmp_path / "seg.dcm"
        path.write_bytes(write_seg(labels, series.instances, who))
        assert errors_of_dciodvfy(path) == []


def test_dciodvfy_can_find_errors(series, identity, tmp_path):
    """The check above can fail."""
    ds = parsed(write_seg(series.labels, series.instances, identity))
    del ds.SegmentSequence
    ds.save_as(tmp_path / "seg.dcm")
    assert errors_of_dciodvfy(tmp_path / "seg.dcm") != []


def test_the_same_arguments_give_the_same_bytes(series, identity):
    """Nothing comes from the clock or from chance, nor from the order of the sources."""
    first = write_seg(series.labels, series.instances, identity)
    assert write_seg(series.labels, list(reversed(series.instances)), identity) == first


def test_header_of_a_result(series, identity):
    """Codes, labels, colours, names and times as the conformance statement says."""
    ds = parsed(write_seg(series.labels, series.instances, replace(identity, head_version="v2")))
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert (ds.SegmentationType, ds.SegmentsOverlap, ds.ContentLabel) == (
        "BINARY",
        "NO",
        "GLIOMA_SEG",
    )
    assert ds.SeriesDescription == "Glioloop 00112233"
    assert (ds.SeriesDate, ds.SeriesTime) == ("20260103", "093005")
    assert (ds.ContentDate, ds.ContentTime) == ("20260103", "093005")
    assert (ds.PatientName, ds.PatientID) == ("Tester^Müller", "PAT-0001")
    assert (ds.AccessionNumber, ds.SpecificCharacterSet) == ("ACC42", "ISO_IR 100")
    assert ds.FrameOfReferenceUID == "1.2.826.0.1.3680043.8.498.3"
    assert len(ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 7
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SpacingBetweenSlices) == 6.5
    assert float(measures.SliceThickness) == 5.0
    segments = [
        (
            s.SegmentNumber,
            s.SegmentLabel,
            s.SegmentedPropertyTypeCodeSequence[0].CodeValue,
            list(s.RecommendedDisplayCIELabValue),
        )
        for s in ds.SegmentSequence
    ]
    assert segments == [
        (1, "Necrosis", "6574001", [30127, 32191, 22265]),
        (2, "Edema", "79654002", [58401, 29472, 52287]),
        (3, "Enhancing Lesion", "C113842", [35515, 44016, 49158]),
    ]
    third = ds.SegmentSequence[2]
    assert third.SegmentAlgorithmType == "AUTOMATIC"
    algorithm = third.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (
        "glioloop-base",
        "0.1.0 head v2",
    )
    assert third.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert third.AnatomicRegionSequence[0].CodeValue == "12738006"
    assert third.TrackingID == "Glioloop 00112233445566778899aabbccddeeff Enhancing Lesion"
    assert len({s.TrackingUID for s in ds.SegmentSequence}) == 3


def test_each_frame_refers_to_the_image_it_lies_on(series, identity):
    """Position of frame and of the image that it names are the same."""
    ds = parsed(write_seg(series.labels, series.instances, identity))
    where = {i.SOPInstanceUID: i.ImagePositionPatient for i in series.instances}
    for frame in ds.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, where[image], atol=1e-6)


def test_a_predecessor_is_named(series, identity):
    """Study, series and instance of what is superseded."""
    before = Predecessor("1.2.3", "1.2.4", "1.2.5", "1.2.840.10008.5.1.4.1.1.66.4")
    encoded = write_seg(series.labels, series.instances, replace(identity, predecessor=before))
    study = parsed(encoded).PredecessorDocumentsSequence[0]
    instance = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert study.StudyInstanceUID == "1.2.3"
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.4"
    assert instance.ReferencedSOPInstanceUID == "1.2.5"


def test_a_result_without_tumour_is_a_valid_segmentation(series, identity):
    """All frames are there, and empty."""
    nothing = series.labels.with_array(np.zeros_like(series.labels.array))
    encoded = write_seg(nothing, series.instances, identity)
    validate_seg(encoded, nothing)
    assert parsed(encoded).NumberOfFrames == 21
    assert not read_seg(encoded, nothing.geometry).labels().any()


def test_a_tissue_that_does_not_occur_keeps_its_segment(series, identity):
    """Three segments are described whatever occurs."""
    labels = series.labels.array.copy()
    labels[labels == 1] = 3
    encoded = write_seg(series.labels.with_array(labels), series.instances, identity)
    validate_seg(encoded, series.labels.with_array(labels))
    assert [s.SegmentLabel for s in parsed(encoded).SegmentSequence] == [
        "Necrosis",
        "Edema",
        "Enhancing Lesion",
    ]


def test_a_person_s_outline_of_one_tissue_speaks_of_that_alone(series, identity):
    """One segment, number 1; what it is is said by label and code."""
    labels = np.where(series.labels.array == 3, 3, 0).astype(np.uint8)
    only = series.labels.with_array(labels)
    person = replace(identity, kind="correction 1", algorithm_type="MANUAL")
    encoded = write_seg(only, series.instances, person, [Tissue.ENHANCING])
    validate_seg(encoded, only, [Tissue.ENHANCING])
    read = read_seg(encoded, only.geometry, original=Original(series.labels.array))
    assert read.outlined == {Tissue.ENHANCING}
    np.testing.assert_array_equal(read.labels(series.labels.array), series.labels.array)
    with pytest.raises(RefusedError, match="labels \\[1, 2\\] occur"):
        write_seg(series.labels, series.instances, person, [Tissue.ENHANCING])


def test_labels_with_reversed_axes_are_put_in_their_place(series, identity):
    """The same voxels named from the other end are the same Segmentation."""
    affine = series.labels.geometry.affine.copy()
    affine[:3, 3] = series.labels.geometry.world((6, 19, 0))
    affine[:3, :2] *= -1
    turned = Volume(
        np.ascontiguousarray(series.labels.array[::-1, ::-1]),
        Geometry((7, 20, 24), affine, series.labels.geometry.frame_of_reference_uid),
    )
    assert write_seg(turned, series.instances, identity) == write_seg(
        series.labels, series.instances, identity
    )


def test_a_slice_that_was_sent_twice_is_named_once(series, identity):
    """Two instances at one place are one slice."""
    twice = Dataset()
    twice.update(series.instances[3])
    twice.SOPInstanceUID = "1.2.3.4"
    encoded = write_seg(series.labels, [*series.instances, twice], identity)
    validate_seg(encoded, series.labels)
    assert len(parsed(encoded).ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 7


@pytest.mark.parametrize("orientation", ["axial", "oblique"])
def test_an_enhanced_source(orientation, new_series, enhanced, identity, tmp_path):
    """One multi-frame image, each frame of the result refers to the right one of its frames."""
    series = new_series(orientation)
    image = enhanced(series)
    encoded = write_seg(series.labels, [image], identity)
    validate_seg(encoded, series.labels)
    np.testing.assert_array_equal(
        read_seg(encoded, series.labels.geometry).labels(), series.labels.array
    )
    ds = parsed(encoded)
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == (4.5, 6.5)
    for frame in ds.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == image.SOPInstanceUID
        groups = image.PerFrameFunctionalGroupsSequence[int(source.ReferencedFrameNumber) - 1]
        np.testing.assert_allclose(
            frame.PlanePositionSequence[0].ImagePositionPatient,
            groups.PlanePositionSequence[0].ImagePositionPatient,
            atol=1e-6,
        )
    path = tmp_path / "seg.dcm"
    path.write_bytes(encoded)
    assert errors_of_dciodvfy(path) == []


def test_an_enhanced_source_without_places_is_refused(series, enhanced, identity):
    """Nor is one that shows a slice twice, nor are two of them."""
    image = enhanced(series)
    twice = enhanced(series)
    twice.PerFrameFunctionalGroupsSequence.append(twice.PerFrameFunctionalGroupsSequence[0])
    with pytest.raises(RefusedError, match="2 multi-frame images"):
        write_seg(series.labels, [image, image], identity)
    with pytest.raises(RefusedError, match="some slice more than once"):
        write_seg(series.labels, [twice], identity)
    del image.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence
    with pytest.raises(RefusedError, match="does not say where its frames lie"):
        write_seg(series.labels, [image], identity)


@pytest.mark.parametrize("thickness", [None, 3.25, 13.0])
def test_thickness_is_not_taken_for_the_distance_of_slices(thickness, series, identity):
    """Gaps and overlaps are common; without a thickness the distance is written."""
    for instance in series.instances:
        instance.SliceThickness = thickness
        instance.SpacingBetweenSlices = 3.25
    encoded = write_seg(series.labels, series.instances, identity)
    measures = parsed(encoded).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SpacingBetweenSlices) == 6.5
    assert float(measures.SliceThickness) == (thickness or 6.5)


def test_orientations_that_differ_in_the_last_digit_are_one(series, identity):
    """Scanners round each slice for itself."""
    series.instances[3].ImageOrientationPatient = [1, 0, 1e-9, 0, 1, 0]
    validate_seg(write_seg(series.labels, series.instances, identity), series.labels)


def test_tumour_in_one_slice_only(series, identity):
    """The only frame does not tell the distance of slices; the header does."""
    labels = np.zeros_like(series.labels.array)
    labels[3, 4:9, 5:9] = 3
    encoded = write_seg(series.labels.with_array(labels), series.instances, identity)
    validate_seg(encoded, series.labels.with_array(labels))
    assert parsed(encoded).NumberOfFrames == 1
    np.testing.assert_array_equal(read_seg(encoded, series.labels.geometry).labels(), labels)


def test_times_are_told_in_the_zone_of_the_source(series, identity):
    """09:30 UTC is 11:30 in a study of zone +0200."""
    series.instances[0].TimezoneOffsetFromUTC = "+0200"
    made = datetime(2026, 1, 3, 9, 30, tzinfo=timezone.utc)  # noqa: UP017
    ds = parsed(write_seg(series.labels, series.instances, replace(identity, created=made)))
    assert (ds.ContentTime, ds.TimezoneOffsetFromUTC) == ("113000", "+0200")
    east = made.astimezone(timezone(timedelta(hours=5)))
    again = parsed(write_seg(series.labels, series.instances, replace(identity, created=east)))
    assert again.ContentTime == "113000"


def test_another_frame_of_reference_is_refused(series, identity):
    """Labels in one frame of reference are not written into another."""
    geometry = replace(series.labels.geometry, frame_of_reference_uid="1.2.3")
    with pytest.raises(RefusedError, match=r"labels lie in frame of reference 1\.2\.3"):
        write_seg(Volume(series.labels.array, geometry), series.instances, identity)


def test_a_missing_frame_of_reference_is_refused(series, identity):
    """Empty UIDs are not equal."""
    for instance in series.instances:
        instance.FrameOfReferenceUID = ""
    geometry = replace(series.labels.geometry, frame_of_reference_uid="")
    with pytest.raises(RefusedError, match="without UID"):
        write_seg(Volume(series.labels.array, geometry), series.instances, identity)


def shifted(geometry: Geometry, mm: tuple[float, float, float]) -> Geometry:
    affine = geometry.affine.copy()
    affine[:3, 3] += mm
    return replace(geometry, affine=affine)


@pytest.mark.parametrize("mm", [(0.35, 0, 0), (0, 0, 3.0), (0.7, 0, 0), (0, 0, 6.5)])
def test_another_grid_is_refused(mm, series, identity):
    """Half a voxel or a whole one aside is another grid."""
    moved = Volume(series.labels.array, shifted(series.labels.geometry, mm))
    with pytest.raises(RefusedError, match="do not lie on the 7 slices of 20x24"):
        write_seg(moved, series.instances, identity)


def test_a_missing_slice_is_refused(series, identity):
    """Six of seven instances are not the series."""
    with pytest.raises(RefusedError, match="do not lie on the 6 slices"):
        write_seg(series.labels, series.instances[:3] + series.instances[4:], identity)


def test_two_series_are_refused(series, identity):
    """Instances of different series are never mixed."""
    series.instances[2].SeriesInstanceUID = "1.2.3"
    with pytest.raises(RefusedError, match="SeriesInstanceUID"):
        write_seg(series.labels, series.instances, identity)


def test_no_source_is_refused(series, identity):
    """There is no grid without a series."""
    with pytest.raises(RefusedError, match="none is given"):
        write_seg(series.labels, [], identity)


def test_foreign_numbers_are_refused(series, identity):
    """A label map is declared where data comes in, not here."""
    labels = series.labels.array.copy()
    labels[0, 0, 0] = 4
    with pytest.raises(RefusedError, match=r"labels \[0, 1, 2, 3, 4\] are not all tissues"):
        write_seg(series.labels.with_array(labels), series.instances, identity)


def test_a_result_id_that_is_no_hash_is_refused():
    """Result ids are shown and compared as hexadecimal digits."""
    with pytest.raises(RefusedError, match="8 to 64 digits"):
        ResultIdentity("Müller", "m", "1", datetime(2026, 1, 1))  # noqa: DTZ001
