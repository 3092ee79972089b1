"""Whether a T1 was acquired after contrast: words, then the header, then time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.attributes import Attributes
from converter.identify import weigh

MR = "1.2.840.10008.5.1.4.1.1.4"


def series(description: str, time: float | None = None, agent: str = "", **more) -> Attributes:
    codes = {"SOPClassUID": (MR,), "Modality": ("MR",)}
    codes |= {"ContrastBolusAgent": (agent,)} if agent else {}
    codes |= more.pop("codes", {})
    return Attributes(
        series_uid=description or "nameless",
        part="",
        study="1",
        description=description,
        protocol=more.pop("protocol", ""),
        codes=codes,
        time=time,
        normal=(0.0, 0.0, 1.0),
        **more,
    )


def told(*study: Attributes) -> list[tuple[str, bool]]:
    return [(one.sequence, one.contrast_known) for one in weigh(study)]


def reasons(*study: Attributes) -> list[str]:
    return [rule.what for one in weigh(study) for rule in one.rules if rule.about == "contrast"]


def test_words_decide_against_the_header():
    assert told(series("T1 pre", agent="GADOVIST"), series("T1 post")) == [
        ("T1", True),
        ("T1GD", True),
    ]


def test_the_protocol_is_asked_where_the_description_says_nothing():
    found = told(series("T1", protocol="T1 AX +C"), series("FLAIR", protocol="FLAIR"))
    assert found[0] == ("T1GD", True)


def test_the_protocol_of_a_whole_study_says_nothing():
    study = [series("T1", protocol="BRAIN POST"), series("FLAIR", protocol="BRAIN POST")]
    assert told(*study)[0] == ("T1", False)


def test_the_header_decides_where_words_do_not():
    study = [series("T1 AX", agent="DOTAREM 14ML"), series("FLAIR"), series("T2")]
    assert told(*study)[0] == ("T1GD", True)


def test_an_agent_in_every_header_tells_nothing():
    study = [series(name, agent="DOTAREM") for name in ("localizer", "T2", "T1 AX")]
    assert told(*study)[2] == ("T1", False)
    assert reasons(*study)[0] == (
        "the header names ContrastBolusAgent,"
        " but so does the header of every other series of the study"
    )


def test_a_captured_mask_without_the_agent_does_not_make_it_telling():
    capture = series("Mask", codes={"SOPClassUID": ("1.2.840.10008.5.1.4.1.1.7",)})
    study = [*(series(name, agent="DOTAREM") for name in ("T2", "T1 AX")), capture]
    assert told(*study)[1] == ("T1", False)


def test_an_agent_in_the_header_of_a_series_named_pre_tells_nothing():
    study = [series("T1 pre", agent="DOTAREM"), series("T1 AX", agent="DOTAREM"), series("T2")]
    assert told(*study)[:2] == [("T1", True), ("T1", False)]


def test_words_for_no_agent_are_no_agent():
    study = [series("T1 AX", agent="NONE"), series("T2")]
    assert told(*study)[0] == ("T1", False)


def test_a_t1_after_a_series_with_contrast_has_contrast_and_one_before_has_none():
    study = [
        series("T1 tra", time=0),
        series("AXIAL PERFUSION", time=600),
        series("T1 sag", time=900),
    ]
    assert told(*study)[0] == ("T1", True)
    assert told(*study)[2] == ("T1GD", True)


def test_perfusion_without_contrast_tells_nothing():
    study = [series("ASL perfusion", time=600), series("T1 sag", time=900)]
    assert told(*study)[1] == ("T1", False)


def test_the_later_of_two_twins_has_contrast():
    study = [series("t1_tra", time=0), series("FLAIR", time=200), series("t1_tra", time=900)]
    assert [told(*study)[0], told(*study)[2]] == [("T1", True), ("T1GD", True)]
    assert reasons(*study)[1] == "acquired 15 min after the same sequence"


def test_a_repetition_at_once_is_no_twin():
    study = [series("t1_tra", time=0), series("t1_tra", time=120)]
    assert told(*study) == [("T1", False), ("T1", False)]


def test_series_of_other_timing_are_no_twins():
    one = series("t1", time=0, numbers={"RepetitionTime": 500.0})
    two = series("t1", time=900, numbers={"RepetitionTime": 700.0})
    assert told(one, two) == [("T1", False), ("T1", False)]


def test_contrast_makes_no_t1_of_flair_or_t2():
    study = [series("FLAIR post gd", agent="GD"), series("T2 post", agent="GD"), series("T1")]
    assert [sequence for sequence, _ in told(*study)][:2] == ["FLAIR", "T2"]


def test_an_agent_in_all_but_the_localizer_tells_nothing():
    study = [series("localizer"), series("T2", agent="DOTAREM"), series("T1 AX", agent="DOTAREM")]
    assert told(*study)[2] == ("T1", False)


@pytest.mark.parametrize(
    "value", ["NONE", "0", "0.00", "without", "PRE CONTRAST", "OHNE KM", "SIN CONTRASTE", "NATIV"]
)
def test_an_agent_that_denies_itself_is_none(value: str):
    assert told(series("T1 AX", agent=value), series("T2"))[0] == ("T1", False)


@pytest.mark.parametrize("value", ["11 ML OMNISCAN", "DOTAREM 14ML", "GADOVIST", "YES"])
def test_an_agent_in_one_series_alone_tells(value: str):
    assert told(series("T1 AX", agent=value), series("T2"))[0] == ("T1GD", True)


def test_what_came_before_the_study_says_nothing_of_contrast():
    assert told(series("T1 post surgery")) == [("T1", False)]
    assert told(series("T1 pre RT"), series("T1 post op")) == [("T1", False), ("T1", False)]


def test_twins_are_known_in_a_table_too():
    study = [replace(series("T1 ax", time=time), normal=None) for time in (0.0, 900.0)]
    assert told(*study) == [("T1", True), ("T1GD", True)]


def test_one_of_unknown_orientation_is_no_twin():
    study = [replace(series("T1 ax", time=0.0), normal=None), series("T1 ax", time=900.0)]
    assert told(*study) == [("T1", False), ("T1", False)]
