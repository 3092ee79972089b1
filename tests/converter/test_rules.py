"""Rules as data."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    "text",
    [
        "vetoes: [{nome: typo}]",
        "vetoes: [{name: unclosed, pattern: {SequenceName: '('}}]",
        "margin: much",
        "- a list",
        "preferences: [prettiest]",
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
