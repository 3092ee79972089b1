"""Which series of a study is given to the network."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from converter.identify import identify
from converter.series import read_series, scan
from study.errors import RefusedError
from study.tissue import Role

SLICES = np.zeros((20, 4, 4), np.uint16)
THICK = (0.0, 0.0, 6.0)


def study(dicom, *descriptions: str, **attributes):
    """Series of 20 slices of 6 mm with these descriptions."""
    for description in descriptions:
        dicom.series(SLICES, step=THICK, SeriesDescription=description, **attributes)
    return read_series([dicom.folder])


def names(found) -> dict[str, str]:
    return {role.value: s.header.SeriesDescription for role, s in found.chosen.items()}


def test_the_three_roles_are_chosen_by_name(dicom):
    found = identify(study(dicom, "localizer", "T1pre", "T2_reg", "FLAIR_reg", "T1post"))
    assert names(found) == {"FLAIR": "FLAIR_reg", "T1GD": "T1post", "T2": "T2_reg"}
    assert (found.missing, found.ambiguous, found.explain()) == ((), {}, "")


def test_a_missing_sequence_is_said(dicom):
    found = identify(study(dicom, "T1post", "FLAIR"))
    assert found.missing == (Role.T2,)
    assert found.explain() == (
        "T2 is missing: none of 2 series is one."
        " Send it, or name a series with T2=<SeriesInstanceUID>."
    )


def test_a_series_with_too_few_slices_is_said_and_not_chosen(dicom):
    study(dicom, "T1post", "FLAIR")
    dicom.series(SLICES[:9], step=(0, 0, 12), SeriesDescription="T2")
    found = identify(read_series([dicom.folder]))
    assert found.missing == (Role.T2,)
    assert "was left out: 9 slices; 10 are needed." in found.explain()


def test_a_slab_that_does_not_cover_the_head_is_not_chosen(dicom):
    study(dicom, "T1post", "FLAIR")
    dicom.series(SLICES, step=(0, 0, 1), SeriesDescription="T2")
    found = identify(read_series([dicom.folder]))
    assert "covers 20 mm; 80 mm are needed" in found.explain()


def test_only_t1_without_contrast_is_said(dicom):
    found = identify(study(dicom, "T1pre", "FLAIR", "T2"))
    assert found.missing == (Role.T1GD,)
    assert "T1 without contrast: series 1 (1.2.826.0.1.3680043.10.999.1.1)." in found.explain()


def test_a_t1_of_unknown_contrast_is_ambiguous(dicom):
    found = identify(study(dicom, "AX T1", "FLAIR", "T2"))
    assert [one.number for one in found.ambiguous[Role.T1GD]] == [1]
    assert found.explain() == (
        "T1GD is ambiguous: nothing tells whether contrast was given in series 1"
        " (1.2.826.0.1.3680043.10.999.1.1); name it with T1GD=<SeriesInstanceUID>."
    )


def test_a_class_in_doubt_is_ambiguous(dicom):
    found = identify(study(dicom, "T1 T2", "FLAIR", "T1 post"))
    assert Role.T2 not in found.chosen
    assert found.evidence[0].certain is False


def test_a_person_decides_over_everything(dicom):
    series = study(dicom, "AX T1", "FLAIR", "T2", "T1 post")
    found = identify(series, {Role.T1GD: series[0].series_uid})
    assert names(found)["T1GD"] == "AX T1"
    assert found.evidence[0].rules[-1].what == "chosen by a person"


def test_an_override_that_names_nothing_is_refused(dicom):
    with pytest.raises(RefusedError, match=r"T2=1\.9 names no series"):
        identify(study(dicom, "FLAIR"), {Role.T2: "1.9"})


def test_two_studies_are_refused(dicom):
    study(dicom, "FLAIR")
    dicom.series(SLICES, SeriesDescription="T2", StudyInstanceUID="1.2.3")
    with pytest.raises(RefusedError, match="series of 2 studies are mixed"):
        identify(read_series([dicom.folder]))


def test_a_secondary_capture_of_modality_mr_is_not_taken(dicom):
    study(dicom, "T1post", "T2")
    dicom.series(
        SLICES, step=THICK, SeriesDescription="FLAIR", SOPClassUID=SecondaryCaptureImageStorage
    )
    found = identify(read_series([dicom.folder]))
    assert found.missing == (Role.FLAIR,)
    assert found.evidence[2].rules[0].what.startswith("no MR image")


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned-in annotation"),
        ({"ImageType": ["DERIVED", "PRIMARY", "ADC"]}, "image type of another kind"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "PROJECTION IMAGE"]}, "image type of another kind"),
        ({"ScanningSequence": ["SE", "EP"]}, "echo planar imaging"),
        ({"DiffusionBValue": 1000.0}, "diffusion weighting"),
        ({"SequenceName": "*swi3d1r"}, "sequence of another kind"),
        ({"Modality": "CT"}, "modality is not MR"),
    ],
)
def test_what_its_header_betrays_is_no_candidate_whatever_its_name(dicom, attributes, why):
    found = identify(study(dicom, "FLAIR", **attributes))
    assert found.evidence[0].sequence == "OTHER"
    assert why in found.evidence[0].against()


def test_another_body_region_is_known_but_not_chosen(dicom):
    found = identify(study(dicom, "T2 tse sag", BodyPartExamined="LSPINE"))
    assert (found.evidence[0].sequence, found.evidence[0].fit) == ("T2", False)


def test_without_any_name_physics_tells(dicom):
    flair = {"ScanningSequence": ["SE", "IR"], "EchoTime": 394, "RepetitionTime": 6000}
    study(dicom, "", InversionTime=2200, **flair)
    study(dicom, "", ScanningSequence="SE", EchoTime=100, RepetitionTime=4452)
    study(dicom, "", ScanningSequence="SE", EchoTime=10, RepetitionTime=500)
    study(dicom, "", ScanningSequence="GR", EchoTime=3.1, RepetitionTime=8.9)
    study(dicom, "", ScanningSequence=["SE", "IR"], EchoTime=23, InversionTime=860)
    evidence = identify(read_series([dicom.folder])).evidence
    assert [one.sequence for one in evidence] == ["FLAIR", "T2", "T1", "T1", "T1"]


def test_a_flair_by_name_with_the_echo_of_t1_is_no_flair(dicom):
    found = identify(study(dicom, "AX FLAIR", ScanningSequence=["SE", "IR"], EchoTime=21))
    assert found.evidence[0].sequence != "FLAIR"


def test_of_several_the_original_then_3d_then_finer_is_chosen(dicom):
    study(dicom, "FLAIR derived", ImageType=["DERIVED", "SECONDARY"], MRAcquisitionType="3D")
    study(dicom, "FLAIR 2d", MRAcquisitionType="2D")
    dicom.series(
        np.zeros((40, 4, 4), np.uint16),
        step=(0, 0, 3),
        SeriesDescription="FLAIR fine",
        MRAcquisitionType="2D",
    )
    assert names(identify(read_series([dicom.folder])))["FLAIR"] == "FLAIR fine"
    study(dicom, "FLAIR 3d", MRAcquisitionType="3D")
    assert names(identify(read_series([dicom.folder])))["FLAIR"] == "FLAIR 3d"


def test_of_repetitions_the_latest_complete_one_is_chosen(dicom):
    study(dicom, "T2 first", AcquisitionTime="100000")
    study(dicom, "T2 second", AcquisitionTime="100500")
    dicom.series(
        SLICES[:14], step=THICK, SeriesDescription="T2 broken off", AcquisitionTime="101000"
    )
    assert names(identify(read_series([dicom.folder])))["T2"] == "T2 second"


def test_the_t2_echo_of_a_dual_echo_series_is_chosen(dicom):
    def echoes(image: Dataset, k: int) -> None:
        image.EchoTime = 12.0 if k < 20 else 95.0
        image.ImagePositionPatient = [0, 0, 6.0 * (k % 20)]

    dicom.series(
        np.zeros((40, 4, 4), np.uint16),
        change=echoes,
        SeriesDescription="PD T2 tse",
        ScanningSequence="SE",
        RepetitionTime=4000,
    )
    found = identify(read_series([dicom.folder]))
    assert found.chosen[Role.T2].part == "echo (ms) 95"
    assert found.chosen[Role.T2].slices == 20


def test_the_decision_is_told_in_plain_values(dicom):
    told = identify(study(dicom, "FLAIR", "T2", "DWI")).as_json()
    assert told["missing"] == ["T1GD"]
    assert [one["role"] for one in told["series"]] == ["FLAIR", "T2", None]
    assert [one["sequence"] for one in told["series"]] == ["FLAIR", "T2", "OTHER"]
    assert told["series"][2]["rules"] == [
        {"about": "veto", "what": "diffusion ('dwi')", "weight": 0.0}
    ]


def test_no_explanation_holds_a_name_or_description(dicom):
    found = identify(study(dicom, "AX T1 DOE^JOHN", "FLAIR", PatientName="DOE^JOHN"))
    assert "DOE" not in found.explain().upper()


def test_what_came_near_is_named(dicom):
    found = identify(study(dicom, "t2_tirm_cor", "T2", "T1 post"))
    assert found.missing == (Role.FLAIR,)
    assert (
        "Perhaps, but too little tells: series 1 (1.2.826.0.1.3680043.10.999.1.1)."
        in found.explain()
    )


def test_images_repeated_at_each_place_are_no_stack(dicom):
    def dynamic(image: Dataset, k: int) -> None:
        image.ImagePositionPatient = [0, 0, 6.0 * (k % 20)]

    dicom.series(np.zeros((40, 4, 4), np.uint16), change=dynamic, SeriesDescription="T1 post")
    found = identify(read_series([dicom.folder]))
    assert Role.T1GD in found.missing
    assert "40 images at 20 places: repeated in time, or mixed" in found.explain()


def test_a_series_with_a_missing_slice_yields_to_a_whole_one(dicom):
    def hole(image: Dataset, k: int) -> None:
        image.ImagePositionPatient = [0, 0, 3.0 * (k + (k > 20))]

    dicom.series(
        np.zeros((40, 4, 4), np.uint16),
        change=hole,
        SeriesDescription="T2 fine",
        MRAcquisitionType="3D",
    )
    assert names(identify(read_series([dicom.folder])))["T2"] == "T2 fine"
    study(dicom, "T2 whole")
    assert names(identify(read_series([dicom.folder])))["T2"] == "T2 whole"


def test_the_part_without_diffusion_weighting_of_a_diffusion_series_is_no_t2(dicom):
    def weighted(image: Dataset, k: int) -> None:
        image.DiffusionBValue = 0.0 if k < 20 else 1000.0
        image.ImagePositionPatient = [0, 0, 6.0 * (k % 20)]

    dicom.series(
        np.zeros((40, 4, 4), np.uint16),
        change=weighted,
        ScanningSequence="SE",
        EchoTime=86,
        RepetitionTime=6500,
    )
    found = identify(read_series([dicom.folder]))
    assert [one.sequence for one in found.evidence] == ["OTHER", "OTHER"]
    assert found.missing == tuple(Role)


@pytest.mark.parametrize(
    "date",
    ["PGBM-001/19911119", "PGBM-001/19920402", "PGBM-003/19950329", "PGBM-003/19951017"],
)
def test_real_follow_ups_among_their_distractors(real_data, date):
    found = identify(read_series([real_data / "longitudinal" / date]))
    assert names(found) == {"FLAIR": "FLAIR_reg", "T1GD": "T1post", "T2": "T2_reg"}


def test_no_distractor_among_real_headers_of_many_vendors(real_data):
    """Diffusion, perfusion, SWI, angiography, localizers and maps are OTHER, and never chosen."""
    studies = defaultdict(list)
    for one in scan([real_data / "mr_headers"]).series:
        studies[one.study_uid].append(one)
    taken = set()
    for series in studies.values():
        found = identify(series)
        chosen = set(found.decision.chosen.values())
        for place, (part, one) in enumerate(zip(found.parts, found.evidence, strict=True)):
            if one.sequence != "OTHER" or place in chosen:
                taken.add(part.instances[0].path.name)
    assert len(taken) > 20
    traps = ("dti", "dwi", "diff", "epi", "fmri", "swi", "loc", "pilot", "angio", "adc", "field")
    assert not [name for name in taken if any(t in name.lower().split("_i")[0] for t in traps)]
