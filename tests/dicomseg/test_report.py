from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicomseg.delivered import delivered_in_layers, measure_delivered
from dicomseg.identity import Predecessor, ResultIdentity, tracking_uid
from dicomseg.lesions import Measurements
from dicomseg.measure import Volumes
from dicomseg.read import read_seg
from dicomseg.report import Report, measure_seg, validate_report, write_report, write_text_report
from dicomseg.trend_change import Earlier
from dicomseg.write import write_seg
from study.errors import FailedError, RefusedError
from study.tissue import Role, Tissue

VOLUME, LONG, SHORT = "118565006", "103339001", "103340004"
EARLIER = (
    Earlier("20250501", "1.2.5", "1.2.51", {"enhancing": 17.0, "core": 20.0, "whole": 25.0}),
    Earlier(
        "20250901",
        "1.2.9",
        "1.2.91",
        {"enhancing": 0.0, "core": 1.5, "whole": 8.0},
        corrected=True,
        seg_series_uid="1.2.92",
    ),
)


@dataclass(frozen=True)
class Case:
    """A Segmentation with the series it was made of."""

    seg: Dataset
    sources: dict[Role, list[Dataset]]
    identity: ResultIdentity

    def measured(self) -> Measurements:
        return measure_seg(self.seg, self.sources)

    def report(self, **told: Any) -> bytes:
        return write_report(self.seg, self.sources, self.identity, Report(self.measured(), **told))


def other_series(instances: list[Dataset], number: int) -> list[Dataset]:
    """The same slices under other UIDs."""
    found = []
    for instance in instances:
        copied = copy.deepcopy(instance)
        copied.SeriesInstanceUID = f"{instance.SeriesInstanceUID}.{number}"
        copied.SOPInstanceUID = f"{instance.SOPInstanceUID}.{number}"
        found.append(copied)
    return found


def make_case(series: Any, identity: ResultIdentity, labels: np.ndarray | None = None) -> Case:
    """A network's result on a series that is taken for T1gd."""
    array = series.labels.array if labels is None else labels
    seg = dcmread(BytesIO(write_seg(series.labels.with_array(array), series.instances, identity)))
    sources = {
        Role.T1GD: series.instances,
        Role.FLAIR: other_series(series.instances, 7),
        Role.T2: other_series(series.instances, 8),
    }
    named = replace(identity, kind="report", series_number=902)
    return Case(seg, sources, named)


@pytest.fixture
def tumour(new_series) -> Any:
    """Voxels of 5 x 1 x 0.5 mm. A box of 3 x 20 x 30 of them, 4.5 mL, enhances but for 100 that are
    necrotic, 0.25 mL; 200 beside it are edema, 0.5 mL.
    """
    series = new_series(shape=(8, 40, 48), spacing=(5.0, 1.0, 0.5))
    series.labels.array[:] = 0
    series.labels.array[2:5, 10:30, 8:38] = Tissue.ENHANCING
    series.labels.array[3, 15:25, 15:25] = Tissue.NECROSIS
    series.labels.array[5, 10:20, 10:30] = Tissue.EDEMA
    return series


@pytest.fixture
def case(tumour, identity) -> Case:
    return make_case(tumour, identity)


def content_of(encoded: bytes) -> Any:
    """The content tree as highdicom reads it."""
    return hd.sr.srread(BytesIO(encoded)).content


def values(group: Any) -> dict[str, float]:
    return {str(m.name.value): m.value for m in group.get_measurements()}


def groups_named(content: Any, part: str) -> list[Any]:
    """Groups without a region of their own, by a part of their tracking identifier."""
    return [g for g in content.get_image_measurement_groups() if part in g.tracking_identifier]


def errors_of_dciodvfy(path: Path) -> list[str]:
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False,
                         errors="replace")  # fmt: skip
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]


def items_of_tree(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence") or []:
        yield from items_of_tree(child)


def test_each_tissue_is_tied_to_its_segment(case):
    """Volumes by hand, segment number and tracking UID as in the Segmentation."""
    groups = content_of(case.report()).get_volumetric_roi_measurement_groups()
    assert [values(g)[VOLUME] for g in groups] == pytest.approx([0.25, 0.5, 4.25])
    for group, segment in zip(groups, case.seg.SegmentSequence, strict=True):
        assert group.tracking_uid == segment.TrackingUID
        assert group.tracking_identifier == segment.TrackingID
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == case.seg.SOPInstanceUID
        assert reference.referenced_segment_numbers == [segment.SegmentNumber]
        assert reference.source_series_for_segmentation.value == (
            case.sources[Role.T1GD][0].SeriesInstanceUID
        )
        code = segment.SegmentedPropertyTypeCodeSequence[0]
        assert (group.finding_type.value, group.finding_type.scheme_designator) == (
            code.CodeValue,
            code.CodingSchemeDesignator,
        )
        assert [site.value.value for site in group.finding_sites] == ["12738006"]


def test_regions_name_the_segments_that_they_are_made_of(case):
    """Core 4.25 + 0.25, whole 0.5 more."""
    content = content_of(case.report())
    (core,), (whole,) = groups_named(content, "Tumour core"), groups_named(content, "Whole tumour")
    assert values(core)[VOLUME] == pytest.approx(4.5)
    assert values(whole)[VOLUME] == pytest.approx(5.0)
    assert (core.finding_type.value, whole.finding_type.value) == ("CORE", "108369006")
    for group, numbers in [(core, [1, 3]), (whole, [1, 2, 3])]:
        sources = group.source_images
        assert {s.referenced_sop_instance_uid for s in sources} == {case.seg.SOPInstanceUID}
        assert [n for s in sources for n in s.referenced_segment_numbers] == numbers


def test_diameters_of_a_lesion_with_their_lines_on_the_image(case):
    """20 rows of 1 mm, and 30 columns of 0.5 mm of which the ends lie 29 apart: 24.703 mm.

    Across that, from one side to the other, are 15 mm x 24.703 / 20 = 18.527 mm.
    """
    content = content_of(case.report())
    (diameters,) = groups_named(content, "Enhancing Lesion 1 diameters")
    assert values(diameters) == {LONG: pytest.approx(24.70), SHORT: pytest.approx(18.53)}
    assert diameters.method.value == "C114879"
    long, short = diameters.get_measurements()
    (line,), (across,) = long.referenced_coordinates, short.referenced_coordinates
    # From the upper edge of row 10 in column 8 to the lower edge of row 29 in column 37.
    assert line.value.tolist() == [[8.5, 10.0], [37.5, 30.0]]
    # Its product with the other, in mm: rows of 1 mm and columns of 0.5 mm.
    step = np.diff(line.value, axis=0)[0] * (0.5, 1.0)
    other = np.diff(across.value, axis=0)[0] * (0.5, 1.0)
    assert float(step @ other) == pytest.approx(0.0, abs=0.02)
    assert float(np.linalg.norm(other)) == pytest.approx(18.527, abs=0.002)
    # Three slices are equal: the first of them.
    image = line.ContentSequence[0].ReferencedSOPSequence[0]
    assert image.ReferencedSOPInstanceUID == case.sources[Role.T1GD][2].SOPInstanceUID
    assert "ReferencedFrameNumber" not in image


def test_volume_and_product_of_a_lesion(case):
    """4.25 mL, and 24.703 x 18.527 = 457.7 square millimetres; measurable."""
    (lesion,) = [g for g in groups_named(content_of(case.report()), "Lesion 1")
                 if g.tracking_identifier.endswith("Lesion 1")]  # fmt: skip
    assert values(lesion) == {VOLUME: pytest.approx(4.25), "PRODUCT": pytest.approx(457.7)}
    assert lesion.source_images[0].referenced_segment_numbers == [3]
    (answer,) = lesion.get_qualitative_evaluations()[-1:]
    assert (answer[0].name.value, answer[0].value.meaning) == ("MEASURABLE", "Yes")


def test_lesions_are_numbered_and_tracked_apart(case, tumour, identity):
    """A second one of 100 voxels, 0.25 mL, is number 2, and not measurable."""
    labels = tumour.labels.array.copy()
    labels[7, 0:10, 0:10] = Tissue.ENHANCING
    content = content_of(make_case(tumour, identity, labels).report())
    groups = groups_named(content, "Enhancing Lesion")
    assert [values(g).get(VOLUME) for g in groups] == [
        pytest.approx(4.25), None, pytest.approx(0.25), None,
    ]  # fmt: skip
    assert len({g.tracking_uid for g in groups}) == 4
    assert groups[2].get_qualitative_evaluations()[-1][0].value.meaning == "No"


def test_change_against_first_best_and_last(case):
    """From 17 mL 12.75 less, three quarters; from none 4.25 more, and no percent."""
    content = content_of(case.report(earlier=EARLIER))
    since = groups_named(content, "Enhancing tumour: change since")
    assert [g.tracking_identifier.partition("change ")[2] for g in since] == [
        "since 2025-05-01 (first)",
        "since 2025-09-01 (best, last)",
    ]
    assert values(since[0]) == {"CHANGE": pytest.approx(-12.75), "RELCHANGE": pytest.approx(-75)}
    assert values(since[1]) == {"CHANGE": pytest.approx(4.25)}
    before = since[0][0].ContentSequence
    numbers = [i for i in before if i.ValueType == "NUM"]
    assert numbers[0].ContentSequence[0].value == 17.0
    assert numbers[0].ContentSequence[0].RelationshipType == "INFERRED FROM"
    assert [i.value.isoformat() for i in before if i.ValueType == "DATE"] == ["2025-05-01"]
    assert {"1.2.5", "1.2.51"} <= {str(i.value) for i in before if i.ValueType == "UIDREF"}
    core = groups_named(content, "Tumour core (necrosis, enhancing): change")
    assert values(core[1]) == {"CHANGE": pytest.approx(3.0), "RELCHANGE": pytest.approx(200.0)}
    whole = groups_named(content, "enhancing): change since 2025-09-01")
    assert values(whole[-1])["RELCHANGE"] == pytest.approx(-37.5)


def test_an_earlier_segmentation_whose_series_is_known_can_be_opened(case):
    """It is an image of the other study, and listed as evidence; the other is named by UID."""
    ds = dcmread(BytesIO(case.report(earlier=EARLIER)))
    (other,) = ds.PertinentOtherEvidenceSequence
    assert other.StudyInstanceUID == "1.2.9"
    reference = other.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert other.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.92"
    assert (reference.ReferencedSOPInstanceUID, reference.ReferencedSOPClassUID) == (
        "1.2.91",
        "1.2.840.10008.5.1.4.1.1.66.4",
    )
    comments = [i.TextValue for i in items_of_tree(ds) if i.get("ValueType") == "TEXT"]
    assert "The earlier outline of 2025-09-01 was corrected by a person." in comments


def test_an_earlier_label_map_is_named_by_its_uid(case):
    """DCMTK does not read documents that refer to an image of that class."""
    label_map = replace(EARLIER[1], seg_sop_class_uid="1.2.840.10008.5.1.4.1.1.66.7")
    ds = dcmread(BytesIO(case.report(earlier=(label_map,))))
    assert "PertinentOtherEvidenceSequence" not in ds
    assert "1.2.91" in [i.UID for i in items_of_tree(ds) if i.get("ValueType") == "UIDREF"]


def test_the_same_study_and_later_ones_are_not_compared(case):
    """The study is of 2 January 2026."""
    own = case.sources[Role.T1GD][0].StudyInstanceUID
    here = replace(EARLIER[0], study_uid=own)
    later = replace(EARLIER[0], date="20260301")
    assert case.report(earlier=(here, later)) == case.report()


def test_evidence_lists_all_that_is_referred_to(case):
    """Three series of eight images, and the Segmentation; nothing else of this study."""
    ds = dcmread(BytesIO(case.report()))
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    series = {s.SeriesInstanceUID: s.ReferencedSOPSequence for s in study.ReferencedSeriesSequence}
    assert sorted(len(instances) for instances in series.values()) == [1, 8, 8, 8]
    listed = {i.ReferencedSOPInstanceUID for items in series.values() for i in items}
    named = {
        reference.ReferencedSOPInstanceUID
        for item in items_of_tree(ds)
        for reference in item.get("ReferencedSOPSequence") or []
    }
    assert named == listed
    assert "PertinentOtherEvidenceSequence" not in ds


def test_the_library_says_which_series_had_which_role(case):
    """In the order of the network's channels."""
    ds = dcmread(BytesIO(case.report()))
    (library,) = [i for i in ds.ContentSequence
                  if i.ConceptNameCodeSequence[0].CodeMeaning == "Image Library"]  # fmt: skip
    found = [
        (
            next(i.TextValue for i in group.ContentSequence if i.ValueType == "TEXT"),
            next(i.UID for i in group.ContentSequence if i.ValueType == "UIDREF"),
        )
        for group in library.ContentSequence
    ]
    assert found == [(role.value, case.sources[role][0].SeriesInstanceUID) for role in Role]


def test_header_of_a_report(case):
    """Preliminary, unverified; order, character set and time zone of the study."""
    for instance in case.sources[Role.T1GD]:
        instance.TimezoneOffsetFromUTC = "+0200"
    before = Predecessor("1.2.3", "1.2.4", "1.2.5", "1.2.840.10008.5.1.4.1.1.88.33")
    identity = replace(
        case.identity,
        head_version="v2",
        predecessor=before,
        note="measurements",
        created=datetime(2026, 1, 3, 9, 30, tzinfo=timezone.utc),  # noqa: UP017
    )
    told = Report(case.measured())
    ds = dcmread(BytesIO(write_report(case.seg, case.sources, identity, told)))
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    assert (ds.Modality, ds.SeriesNumber, ds.InstanceNumber) == ("SR", 902, 1)
    assert ds.SeriesDescription == "Glioloop 00112233 measurements"
    assert (ds.SOPInstanceUID, ds.SeriesInstanceUID) == (identity.sop_instance_uid,
                                                         identity.series_uid)  # fmt: skip
    assert (ds.AccessionNumber, ds.SpecificCharacterSet) == ("ACC42", "ISO_IR 100")
    assert (ds.PatientName, ds.PatientID) == ("Tester^Müller", "PAT-0001")
    assert (ds.ContentDate, ds.ContentTime) == ("20260103", "113000")
    assert ds.TimezoneOffsetFromUTC == "+0200"
    instance = ds.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert instance.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.5"
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert ds.ConceptNameCodeSequence[0].CodeValue == "126000"
    texts = [i.TextValue for i in items_of_tree(ds) if i.get("ValueType") == "TEXT"]
    assert "glioloop-base 0.1.0 head v2" in texts
    assert any(t.startswith("Not for diagnosis. Preliminary and unverified") for t in texts)


def test_the_same_arguments_give_the_same_bytes(case):
    """Nothing comes from the clock or from chance, nor from the order of the images."""
    first = case.report(warnings=("Slices are 5 mm apart.",), earlier=EARLIER)
    turned = {role: series[::-1] for role, series in reversed(case.sources.items())}
    again = write_report(
        case.seg,
        turned,
        case.identity,
        Report(case.measured(), ("Slices are 5 mm apart.",), EARLIER[::-1]),
    )
    assert again == first


def test_warnings_and_what_is_too_small_are_told(tumour, identity):
    """One voxel of 2.5 cubic millimetres is no lesion."""
    labels = tumour.labels.array.copy()
    labels[7, 1, 1] = Tissue.ENHANCING
    told = make_case(tumour, identity, labels).report(warnings=("There was no T2.",))
    texts = [i.TextValue for i in items_of_tree(dcmread(BytesIO(told)))
             if i.get("ValueType") == "TEXT"]  # fmt: skip
    assert texts[-1] == "There was no T2."
    assert texts[-2].startswith("1 enhancing components below 0.1 mL or 2 voxels, 0.003 mL")


def test_a_result_without_tumour(tumour, identity, tmp_path):
    """Volumes of zero, no lesion, and valid."""
    case = make_case(tumour, identity, np.zeros_like(tumour.labels.array))
    encoded = case.report(earlier=EARLIER)
    content = content_of(encoded)
    groups = content.get_volumetric_roi_measurement_groups()
    assert [values(g)[VOLUME] for g in groups] == [0.0, 0.0, 0.0]
    assert groups_named(content, "Lesion 1") == []
    (whole, *_) = groups_named(content, "Whole tumour")
    assert values(whole)[VOLUME] == 0.0
    (tmp_path / "sr.dcm").write_bytes(encoded)
    assert errors_of_dciodvfy(tmp_path / "sr.dcm") == []


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_correction_of_another_tool(kind, tumour, identity, foreign_seg, tmp_path):
    """By another hand, without tracking: measured anew, its corrector an observer."""
    labels = tumour.labels.array.copy()
    labels[5] = 0
    labels[2, 10:30, 8:38] = 0
    seg = dcmread(BytesIO(foreign_seg(tumour, kind, array=labels)))
    manual = replace(identity, kind="report of correction 1", algorithm_type="MANUAL")
    case = Case(seg, {Role.T1GD: tumour.instances}, manual)
    encoded = case.report(corrected_by="Reader^Müller")
    content = content_of(encoded)
    groups = content.get_volumetric_roi_measurement_groups()
    # Two slices of 600 voxels are 3 mL, of them 0.25 mL necrosis.
    assert [values(g)[VOLUME] for g in groups] == pytest.approx([0.25, 0.0, 2.75])
    assert [g.tracking_uid for g in groups] == [
        tracking_uid(identity.result_id, tissue) for tissue in (1, 2, 3)
    ]
    device, person = content.get_observer_contexts()
    assert person.observer_identifying_attributes.name == "Reader^Müller"
    assert device.observer_identifying_attributes.manufacturer_name == "Glioloop"
    assert not any(i.name.value == "111001" for g in groups for i in g[0].ContentSequence)
    (tmp_path / "sr.dcm").write_bytes(encoded)
    # The tool of 2022 does not know that a Label Map Segmentation is a Segmentation.
    unknown = "Referenced SOP Class that is not segmentation - attribute <ReferencedSegmentNumber>"
    errors = errors_of_dciodvfy(tmp_path / "sr.dcm")
    assert [e for e in errors if kind == "BINARY" or unknown not in e] == []


def test_a_correction_that_drops_what_it_erased(tumour, identity):
    """Enhancing tumour alone is there, necrosis is known to be erased, edema is not spoken of."""
    only = np.where(tumour.labels.array == 3, 3, 0).astype(np.uint8)
    person = replace(identity, kind="correction 1", algorithm_type="MANUAL")
    seg = dcmread(
        BytesIO(
            write_seg(tumour.labels.with_array(only), tumour.instances, person, [Tissue.ENHANCING])
        )
    )
    sources = {Role.T1GD: tumour.instances}
    measured = measure_seg(seg, sources, [Tissue.NECROSIS, Tissue.ENHANCING])
    named = replace(person, kind="report of correction 1")
    content = content_of(write_report(seg, sources, named, Report(measured)))
    (segment,) = content.get_volumetric_roi_measurement_groups()
    assert segment.referenced_segment.referenced_segment_numbers == [1]
    (necrosis,) = groups_named(content, "Necrosis")
    assert values(necrosis)[VOLUME] == 0.0
    (core,) = groups_named(content, "Tumour core")
    assert values(core)[VOLUME] == pytest.approx(4.25)
    assert core.source_images[0].referenced_segment_numbers == [1]
    assert groups_named(content, "Whole tumour") == groups_named(content, "Edema") == []


@pytest.mark.parametrize("orientation", ["sagittal", "coronal", "oblique"])
def test_other_orientations_measure_the_same(orientation, new_series, identity):
    """Diameters are those of the acquisition's plane, and lie on its images."""
    series = new_series(orientation, ascending=False, shape=(8, 40, 48), spacing=(5.0, 1.0, 0.5))
    series.labels.array[:] = 0
    series.labels.array[2:5, 10:30, 8:38] = Tissue.ENHANCING
    content = content_of(make_case(series, identity).report())
    (diameters,) = groups_named(content, "Enhancing Lesion 1 diameters")
    assert values(diameters) == {LONG: pytest.approx(24.70), SHORT: pytest.approx(18.53)}
    (line,) = diameters.get_measurements()[0].referenced_coordinates
    assert line.value.tolist() == [[8.5, 10.0], [37.5, 30.0]]


def test_an_enhanced_source(tumour, enhanced, identity, tmp_path):
    """The line names the frame: slice 2 of 0 to 7 is the sixth frame from the other end."""
    image = enhanced(tumour)
    seg = dcmread(BytesIO(write_seg(tumour.labels, [image], identity)))
    case = Case(seg, {Role.T1GD: [image]}, replace(identity, kind="report"))
    encoded = case.report()
    (diameters,) = groups_named(content_of(encoded), "Enhancing Lesion 1 diameters")
    (line,) = diameters.get_measurements()[0].referenced_coordinates
    reference = line.ContentSequence[0].ReferencedSOPSequence[0]
    assert reference.ReferencedSOPInstanceUID == image.SOPInstanceUID
    # The first of three equal slices: frames of the Segmentation run as the stack, from its start.
    assert reference.ReferencedFrameNumber in {4, 5, 6}
    (tmp_path / "sr.dcm").write_bytes(encoded)
    assert errors_of_dciodvfy(tmp_path / "sr.dcm") == []


def test_without_images_in_its_plane_a_diameter_has_no_line(case):
    """The headers of the series lack positions: the length is told all the same."""
    measured = case.measured()
    for instance in case.sources[Role.T1GD]:
        del instance.ImagePositionPatient
    encoded = write_report(case.seg, case.sources, case.identity, Report(measured))
    (diameters,) = groups_named(content_of(encoded), "Enhancing Lesion 1 diameters")
    assert values(diameters) == {LONG: pytest.approx(24.70), SHORT: pytest.approx(18.53)}
    assert all(not m.referenced_coordinates for m in diameters.get_measurements())


def test_dciodvfy_and_dsrdump_find_nothing_wrong(case, tmp_path):
    """With everything that a report may tell."""
    path = tmp_path / "sr.dcm"
    path.write_bytes(
        case.report(warnings=("A warning.",), earlier=EARLIER, corrected_by="Reader^Jo")
    )
    assert errors_of_dciodvfy(path) == []
    run = subprocess.run(["dsrdump", str(path)], capture_output=True, check=True)
    assert run.stderr == b""
    assert run.returncode == 0
    assert b"Comprehensive SR Document" in run.stdout
    assert b'"Long axis")="24.7" (mm' in run.stdout


def test_the_documented_example_is_what_is_written(case, tmp_path):
    """docs/report.md shows this report as dsrdump prints it; of the library, one image a series."""
    path = tmp_path / "sr.dcm"
    path.write_bytes(case.report(warnings=("Slices are 5 mm apart.",), earlier=EARLIER[1:]))
    printed = subprocess.run(["dsrdump", path], capture_output=True, check=True).stdout
    lines: list[str] = []
    for line in printed.decode("latin-1").strip().splitlines():
        if not line.strip().startswith('<contains IMAGE:(,,"Source")') or line != lines[-1]:
            lines.append(line)
    documented = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    _, _, rest = documented.partition("<!-- dsrdump -->\n```\n")
    assert rest.partition("\n```\n")[0].splitlines() == lines


def test_dciodvfy_can_find_errors(case, tmp_path):
    """The check above can fail."""
    ds = dcmread(BytesIO(case.report()))
    del ds.CurrentRequestedProcedureEvidenceSequence, ds.ContentSequence[0].ValueType
    ds.save_as(tmp_path / "sr.dcm")
    assert errors_of_dciodvfy(tmp_path / "sr.dcm") != []


def test_dcmqi_reads_the_measurements(case, tmp_path):
    """Volumes and diameters in its JSON, with the Segmentation that they are of."""
    (tmp_path / "sr.dcm").write_bytes(case.report(earlier=EARLIER))
    reader = Path(sys.executable).parent / "tid1500reader"
    subprocess.run(
        [reader, "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", tmp_path / "sr.json"],
        capture_output=True,
        check=True,
    )
    read = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    found = {
        group["TrackingIdentifier"].removeprefix(f"Glioloop {case.identity.result_id} "): {
            item["quantity"]["CodeMeaning"]: float(item["value"])
            for item in group["measurementItems"]
        }
        for group in read
    }
    assert found["Necrosis"] == {"Volume": 0.25}
    assert found["Enhancing Lesion"] == {"Volume": 4.25}
    assert found["Whole tumour (necrosis, edema, enhancing)"] == {"Volume": 5.0}
    assert found["Enhancing Lesion 1 diameters"] == {"Long axis": 24.7, "Short axis": 18.53}
    assert read[0]["segmentationSOPInstanceUID"] == case.seg.SOPInstanceUID
    assert [group["ReferencedSegment"] for group in read[:3]] == [1, 2, 3]


def test_every_measurement_has_what_ohif_looks_for(case):
    """In groups without a region it reads the first child of each; diameters are lines alone."""
    ds = dcmread(BytesIO(case.report(earlier=EARLIER)))
    groups = [i for i in items_of_tree(ds)
              if i.get("ConceptNameCodeSequence")
              and i.ConceptNameCodeSequence[0].CodeMeaning == "Measurement Group"]  # fmt: skip
    uids = []
    for group in groups:
        numbers = [i for i in group.ContentSequence if i.ValueType == "NUM"]
        assert all(len(number.ContentSequence) == 1 for number in numbers)
        lines = [number.ContentSequence[0].ValueType == "SCOORD" for number in numbers]
        assert len(set(lines)) == 1
        uids.append(next(i.UID for i in group.ContentSequence if i.ValueType == "UIDREF"))
    # Groups of one tracking UID would be merged.
    assert len(set(uids)) == len(uids) == 13


def test_nothing_of_the_patient_is_in_the_content(case):
    """Header alone says whose it is."""
    ds = dcmread(BytesIO(case.report(earlier=EARLIER)))
    content = str(ds.ContentSequence)
    for word in ("Tester", "Müller", "PAT-0001", "19610504", "Referrer", "ACC42"):
        assert word not in content


def test_volumes_that_the_segmentation_does_not_hold_are_found(case):
    """Measured on something else."""
    measured = case.measured()
    wrong = {**measured.volumes.tissues, Tissue.EDEMA: 0.51}
    told = Report(replace(measured, volumes=Volumes(wrong, measured.volumes.regions)))
    with pytest.raises(FailedError, match=r"holds 0\.5000 mL of edema, the measurements say 0\.51"):
        write_report(case.seg, case.sources, case.identity, told)


def test_a_segment_may_not_be_passed_over(case):
    """Silence about edema would be read as none."""
    measured = measure_seg(case.seg, case.sources, [Tissue.NECROSIS, Tissue.ENHANCING])
    with pytest.raises(FailedError, match=r"has segments of \['edema'\]"):
        write_report(case.seg, case.sources, case.identity, Report(measured))


def test_what_does_not_read_back_is_found(case):
    """Another volume, and no report at all."""
    encoded, measured = case.report(), case.measured()
    other = Measurements(Volumes({Tissue.EDEMA: 0.6}, {}))
    with pytest.raises(FailedError, match=r"says 0\.5 mL of edema, not 0\.6"):
        validate_report(encoded, other)
    with pytest.raises(FailedError, match="cannot be read back"):
        validate_report(encoded[:400], measured)


def test_a_report_needs_a_kind_of_its_own(case, identity):
    """One UID for two objects would lose one of them."""
    with pytest.raises(RefusedError, match="would bear the UID of its Segmentation"):
        write_report(case.seg, case.sources, identity, Report(case.measured()))


def test_series_of_another_study_are_refused(case):
    """The report would be filed in the wrong study."""
    told = Report(case.measured())
    for instance in case.sources[Role.T1GD]:
        instance.StudyInstanceUID = "1.2.3"
    with pytest.raises(RefusedError, match=r"the series of 1\.2\.3"):
        write_report(case.seg, case.sources, case.identity, told)


def test_a_report_without_series_is_refused(case):
    """Whose would it be?"""
    with pytest.raises(RefusedError, match="none is given"):
        write_report(case.seg, {Role.T2: []}, case.identity, Report(case.measured()))


def test_a_report_of_text_says_why(series, identity, tmp_path):
    """Title, sentences, disclaimer; valid, and read by DCMTK."""
    named = replace(identity, kind="answer", series_number=903)
    sentences = ["Not segmented: no FLAIR among 14 series.", "Send one, or name it."]
    encoded = write_text_report(series.instances[0], named, sentences)
    assert write_text_report(series.instances[0], named, sentences) == encoded
    ds = dcmread(BytesIO(encoded))
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.11"
    assert ds.ConceptNameCodeSequence[0].CodeMeaning == "MRI Head Report"
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    assert (ds.AccessionNumber, ds.PatientName) == ("ACC42", "Tester^Müller")
    texts = [i.TextValue for i in items_of_tree(ds) if i.get("ValueType") == "TEXT"]
    assert texts[-3:-1] == sentences
    assert texts[-1].startswith("Not for diagnosis.")
    assert "CurrentRequestedProcedureEvidenceSequence" not in ds
    (tmp_path / "sr.dcm").write_bytes(encoded)
    assert errors_of_dciodvfy(tmp_path / "sr.dcm") == []
    run = subprocess.run(["dsrdump", tmp_path / "sr.dcm"], capture_output=True, check=True)
    assert run.stderr == b""
    assert b"Not segmented: no FLAIR" in run.stdout
    assert hd.sr.ContentSequence.from_sequence(ds.ContentSequence)


@pytest.mark.parametrize("sentences", [[], ["", "  "]])
def test_a_report_of_text_needs_text(sentences, series, identity):
    """An empty answer is none."""
    with pytest.raises(RefusedError, match="needs a sentence"):
        write_text_report(series.instances[0], replace(identity, kind="answer"), sentences)


def test_a_report_needs_a_study(series, identity):
    """It could be filed nowhere."""
    series.instances[0].StudyInstanceUID = ""
    with pytest.raises(RefusedError, match="StudyInstanceUID of its study"):
        write_text_report(series.instances[0], replace(identity, kind="answer"), ["Why."])


def test_layers_are_reported_together(tumour, identity):
    """Edema is in an older file: its volume is told, and which segment of which file it is."""
    files = []
    for number, tissues in enumerate(([Tissue.EDEMA], [Tissue.NECROSIS, Tissue.ENHANCING])):
        array = np.where(np.isin(tumour.labels.array, tissues), tumour.labels.array, 0)
        own = replace(identity, kind=f"layer {number}")
        labels = tumour.labels.with_array(array.astype(np.uint8))
        files.append(write_seg(labels, tumour.instances, own, tissues))
    older, newer = files
    grid = tumour.labels.geometry
    joined = delivered_in_layers(read_seg(newer, grid, layers=[(older, {})]), grid)
    assert joined is not None
    case = replace(make_case(tumour, identity), seg=dcmread(BytesIO(newer)))
    measured = measure_delivered(joined)
    told = Report(measured, joined=joined)
    encoded = write_report(case.seg, case.sources, case.identity, told)
    # As the fixture says; enhancing is 4.5 mL less the necrosis in it.
    assert dict(measured.volumes.tissues) == pytest.approx(
        {Tissue.NECROSIS: 0.25, Tissue.EDEMA: 0.5, Tissue.ENHANCING: 4.25}
    )
    files_of = {
        str(g.finding_type.meaning): g.referenced_segment.referenced_sop_instance_uid
        for g in content_of(encoded).get_volumetric_roi_measurement_groups()
    }
    uids = [dcmread(BytesIO(file)).SOPInstanceUID for file in (newer, older, newer)]
    assert list(files_of.values()) == uids
    evidence = str(dcmread(BytesIO(encoded)).CurrentRequestedProcedureEvidenceSequence)
    assert all(uid in evidence for uid in uids)


def test_one_file_has_no_layers(tumour, identity):
    encoded = write_seg(tumour.labels, tumour.instances, identity)
    grid = tumour.labels.geometry
    assert delivered_in_layers(read_seg(encoded, grid), grid) is None
