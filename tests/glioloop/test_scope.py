"""Which studies are worked on: each rule for it, and against it."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation

from converter.evidence import Evidence, Fired
from converter.rules import load
from glioloop.scope import OTHER_REGION, outside
from glioloop.settings_studies import Scope


@disable_value_validation()
def header(**attributes: Any) -> Dataset:
    """A header; its values need not be valid, as those of real ones."""
    made = Dataset()
    for keyword, value in {"Modality": "MR", **attributes}.items():
        setattr(made, keyword, value)
    return made


def coded(keyword: str, value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99SITE", "a procedure"
    return header(**{keyword: [item]})


def test_a_study_of_which_nothing_is_said_is_in_scope() -> None:
    assert outside(Scope(), [header()], {"SCANNER"}) == ""


def test_a_study_without_mr_is_none_of_ours() -> None:
    assert outside(Scope(), [header(Modality="CT"), header(Modality="SR")], {"A"}) == "no MR series"


@pytest.mark.parametrize(
    "description",
    [
        "MRT Kniegelenk links",
        "MR KNEE LT W/O CONTRAST",
        "MRI lumbar spine",
        "LWS nativ",
        "IRM du genou droit",
        "RM rachide lombare",
        "RM de rodilla",
        "MR knä höger",
        "MRI PROSTATE",
        "Abdomen^Leber",
    ],
)
def test_a_study_of_another_region_is_out_of_scope(description: str) -> None:
    said = outside(Scope(), [header(StudyDescription=description)], {"A"})
    assert said == "its StudyDescription names another region (scope.other_regions) and no head"


@pytest.mark.parametrize(
    "description",
    [
        "MRT Schädel und HWS",
        "MRI BRAIN AND CERVICAL SPINE",
        "MRT Schaedel, Hals",
        "MR CNS and spine",
        "MR GBM FU + cervical spine",
        "MR pituitary and neck",
        "MR HEAD/NECK",
        "IRM cérébrale et rachis",
        "RM encéfalo y columna",
        "Tumorprotokoll Kontrolle",
        "Handgefertigtes Protokoll",
        "",
    ],
)
def test_a_study_that_names_a_head_or_nothing_is_in_scope(description: str) -> None:
    assert outside(Scope(), [header(StudyDescription=description)], {"A"}) == ""


def test_a_body_part_that_is_stated_counts_more_than_one_that_is_not() -> None:
    knee = [header(BodyPartExamined="KNEE"), header(BodyPartExamined="KNEE"), header()]
    assert "BodyPartExamined" in outside(Scope(), knee, {"A"})
    # One series among many that state nothing does not speak for them.
    assert outside(Scope(), [header(BodyPartExamined="NECK"), header(), header()], {"A"}) == ""
    assert outside(Scope(), [*knee, header(BodyPartExamined="BRAIN")], {"A"}) == ""
    # What is no MR image does not speak for the study.
    assert "BodyPartExamined" in outside(
        Scope(), [*knee, header(Modality="SR", BodyPartExamined="BRAIN")], {"A"}
    )


def test_a_sender_who_is_not_listed_is_out_of_scope() -> None:
    rules = Scope(calling_aes=("NEURO",))
    assert outside(rules, [header()], {"NEURO", "PACS"}) == ""
    assert "scope.calling_aes" in outside(rules, [header()], {"PACS"})


def test_descriptions_fit_the_sites_patterns_in_any_case() -> None:
    rules = Scope(study_descriptions=("*tumor*", "GLIOMA?"))
    assert outside(rules, [header(StudyDescription="Brain TUMOR follow-up")], {"A"}) == ""
    assert outside(rules, [header(StudyDescription="glioma2")], {"A"}) == ""
    said = outside(rules, [header(StudyDescription="glioma study")], {"A"})
    assert said == "its StudyDescription fits no pattern of scope.study_descriptions"


@pytest.mark.parametrize("keyword", ["ProcedureCodeSequence", "RequestedProcedureCodeSequence"])
def test_procedure_codes_fit_the_sites_patterns(keyword: str) -> None:
    rules = Scope(procedure_codes=("MRHEAD*",))
    assert outside(rules, [coded(keyword, "MRHEAD2")], {"A"}) == ""
    assert "procedure codes" in outside(rules, [coded(keyword, "MRKNEE")], {"A"})
    assert "procedure codes" in outside(rules, [header()], {"A"})


@pytest.mark.parametrize(
    ("attributes", "fits"),
    [
        ({"PatientAge": "018Y"}, True),
        ({"PatientAge": "017Y"}, False),
        ({"PatientAge": "200M"}, False),
        ({"PatientAge": "003D"}, False),
        ({"PatientBirthDate": "20000615", "StudyDate": "20180616"}, True),
        ({"PatientBirthDate": "20000615", "StudyDate": "20180101"}, False),
        ({"PatientBirthDate": "18500101", "StudyDate": "20180101"}, True),
        ({"PatientBirthDate": "20250101", "StudyDate": "20180101"}, True),
        ({"PatientAge": "old", "PatientBirthDate": "00000000", "StudyDate": "20180101"}, True),
        ({}, True),
    ],
)
def test_the_age_fits_or_is_not_known(attributes: dict[str, str], fits: bool) -> None:
    said = outside(Scope(least_age_years=18), [header(**attributes)], {"A"})
    assert (said == "") is fits
    assert outside(Scope(), [header(**attributes)], {"A"}) == ""


def test_a_code_that_an_anonymiser_spoilt_is_none() -> None:
    spoilt = header()
    spoilt.add_new("ProcedureCodeSequence", "LO", "ANONYMIZED")
    assert outside(Scope(), [spoilt], {"A"}) == ""
    assert "procedure codes" in outside(Scope(procedure_codes=("MR*",)), [spoilt], {"A"})


def one(about: str, what: str, sequence: str = "T2") -> Evidence:
    return Evidence("1.2", "", 1, "", sequence, rules=(Fired(about, what),))


def test_a_study_whose_every_series_is_excluded_is_none_of_ours() -> None:
    diffusion = one("veto", "diffusion ('dwi')", "OTHER")
    spine = one("unfit", "another body region ('spine')")
    assert outside(Scope(), [header()], {"A"}, [diffusion, spine]) == (
        "each of its 2 series is excluded by a rule for series"
    )


@pytest.mark.parametrize(
    "candidate",
    [
        Evidence("1.3", "", 2, "axial", "OTHER"),  # nobody knows what it is: it is said
        one("unfit", "3 slices; 10 are needed"),
        one("FLAIR", "name ('flair')", "FLAIR"),
    ],
)
def test_one_series_that_may_be_ours_keeps_the_study_in_scope(candidate: Evidence) -> None:
    diffusion = one("veto", "diffusion ('dwi')", "OTHER")
    assert outside(Scope(), [header()], {"A"}, [diffusion, candidate]) == ""


def test_the_rules_for_series_still_call_other_regions_so() -> None:
    assert OTHER_REGION in {rule.name for rule in load().unfit}
