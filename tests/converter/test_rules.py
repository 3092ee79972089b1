"""Rules as data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from converter.attributes import Attributes
from converter.identify import weigh
from converter.rules import Rule, load
from study.errors import RefusedError

PLAIN = Attributes(
    series_uid="1.2.3",
    part="",
    study="1.2",
    description="",
    protocol="",
    codes={"ImageType": ("ORIGINAL", "PRIMARY"), "ScanningSequence": ("SE", "IR")},
    numbers={"EchoTime": 90.0, "InversionTime": 0.0},
    patterns={"SequenceName": "*tir2d1_16"},
)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"text": ("flair",)}, "r ('flair')"),
        ({"text": ("t1",)}, None),
        ({"text": ("flair",), "unless_text": ("ax",)}, None),
        ({"text": ("flair",), "also_text": ("ax", "cor")}, "r ('flair', 'ax')"),
        ({"text": ("flair",), "also_text": ("cor",)}, None),
        ({"codes": {"ImageType": ["PRIMARY"]}}, "r (ImageType PRIMARY)"),
        ({"codes": {"ImageType": ["PRIM"]}}, None),
        ({"not_codes": {"ImageType": ["DERIVED"]}}, "r (ImageType ORIGINAL)"),
        ({"not_codes": {"ImageType": ["ORIGINAL"]}}, None),
        ({"not_codes": {"Modality": ["MR"]}}, None),
        ({"pattern": {"SequenceName": r"\btir2d"}}, "r (SequenceName *tir2d1_16)"),
        ({"pattern": {"SequenceName": "spc"}}, None),
        ({"family": {"any": ["IR"]}}, "r"),
        ({"family": {"any": ["SE"], "none": ["IR"]}}, None),
        ({"range": {"EchoTime": [70, 120]}}, "r (EchoTime 90)"),
        ({"range": {"EchoTime": [0, 40]}}, None),
        ({"range": {"RepetitionTime": [0, 9000]}}, None),
        ({"absent": ("InversionTime",)}, "r"),
        ({"absent": ("EchoTime",)}, None),
        ({"text": ("flair",), "range": {"EchoTime": [0, 40]}}, None),
    ],
)
def test_a_rule_fires_when_all_its_conditions_hold(conditions, expected):
    assert Rule("r", **conditions).fires(PLAIN, ("ax", "flair")) == expected


def test_a_sites_rules_come_first_and_its_numbers_replace_ours(tmp_path: Path):
    site = tmp_path / "site.yaml"
    site.write_text(
        "names: {replace: {hirn: brain}}\n"
        "vetoes: [{name: our phantom, text: [phantom]}]\n"
        "classes: {FLAIR: {rules: [{name: our name for it, weight: 5, text: [wasserfrei]}]}}\n"
        "stack: {min_slices: 15}\n",
        encoding="utf-8",
    )
    rules = load(site)
    assert rules.vetoes[0].name == "our phantom"
    assert len(rules.vetoes) == len(load().vetoes) + 1
    assert rules.min_slices == 15
    assert rules.min_coverage_mm == load().min_coverage_mm
    described = Attributes("1", "", "1", description="Wasserfrei ax", protocol="")
    assert weigh([described])[0].sequence == "OTHER"
    assert weigh([described], rules)[0].sequence == "FLAIR"


SITE = """
overrides:
  - name: the old scanner in the basement
    match: {StationName: "MRC25*", SeriesDescription: "*tumor prot 3"}
    class: T1GD
  - name: planning copies
    match: {SeriesDescription: "FLAIR plan"}
    class: OTHER
  - name: before contrast, whatever it is called
    match: {ProtocolName: "T1 1st"}
    class: T1
"""


def described(description: str, **labels: str) -> Attributes:
    labels = {"SeriesDescription": description} | labels
    protocol = labels.get("ProtocolName", "")
    return Attributes("1", "", "1", description, protocol, labels=labels, slices=24, images=24)


def test_a_sites_overrides_decide_before_everything_else(tmp_path: Path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    rules = load(site)
    study = [
        described("DWI Tumor prot 3", StationName="mrc25231"),
        described("DWI Tumor prot 3", StationName="MRX1"),
        described("FLAIR plan"),
        described("T1 post", ProtocolName="T1 1st"),
        described("FLAIR"),
    ]
    found = weigh(study, rules)
    assert [one.sequence for one in found] == ["T1GD", "OTHER", "OTHER", "T1", "FLAIR"]
    assert [one.fit for one in found] == [True, False, False, True, True]
    assert found[0].by_site() == (
        "the old scanner in the basement (StationName MRC25*, SeriesDescription *tumor prot 3)"
    )
    assert found[2].why().startswith("planning copies")
    assert not any(one.held for one in found)
    assert weigh(study)[0].sequence == "OTHER"


def test_an_override_makes_no_whole_stack_of_a_few_slices(tmp_path: Path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    (found,) = weigh([replace(described("x", ProtocolName="T1 1st"), slices=3)], load(site))
    assert (found.sequence, found.fit, found.against()) == (
        "T1",
        False,
        "3 slices; 10 are needed; 24 images at 3 places: repeated in time, or mixed",
    )


def test_a_series_that_the_site_calls_t1gd_tells_when_contrast_was_given(tmp_path: Path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    known = replace(described("tumor prot 3", StationName="MRC25"), time=100.0)
    later = replace(described("T1 cor"), time=400.0)
    assert [one.sequence for one in weigh([known, later], load(site))] == ["T1GD", "T1GD"]
    assert weigh([later, known])[0].sequence == "T1"


@pytest.mark.parametrize(
    "text",
    [
        "vetoes: [{nome: typo}]",
        "vetoes: [{name: unclosed, pattern: {SequenceName: '('}}]",
        "margin: much",
        "- a list",
        "preferences: [prettiest]",
        "overides: []",
        "overrides: [{name: a, match: {SeriesDescription: x}, class: DWI}]",
        "overrides: [{name: a, match: {PatientName: x}, class: T2}]",
        "overrides: [{name: a, match: {}, class: T2}]",
        "overrides: [{name: a, class: T2}]",
        "overrides: [{name: a, match: {SeriesDescription: x}, class: T2, weight: 3}]",
    ],
)
def test_a_file_that_is_no_rule_set_is_refused(tmp_path: Path, text):
    site = tmp_path / "site.yaml"
    site.write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError, match="no rule set"):
        load(site)


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path):
    site = tmp_path / "site.yaml"
    site.write_text("{", encoding="utf-8")
    with pytest.raises(RefusedError, match="not YAML"):
        load(site)
