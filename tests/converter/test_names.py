"""Words of series names, and which sequence a name speaks of."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import pytest

from converter.accuracy import measure
from converter.attributes import of_row
from converter.identify import weigh
from converter.names import first_match, without, words
from converter.rules import load
from converter.table import identify_table, read_table

VOCABULARY = load().vocabulary


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("T1_SE_TRA +C", "t1 se tra + c"),
        ("t1tra", "t1 tra"),
        ("BRAINSTRYKERT1SAGGAD", "brain stryker t1 sag gad"),
        ("T1AXgado", "t1 ax gado"),
        ("T1 SE CORC", "t1 se cor c"),
        ("Ax T2* GRE", "ax t2star gre"),
        ("T1 w/o contrast", "t1 noncontrast"),
        ("T1-GD", "t1 gd"),
        ("T1 -GD", "t1 minus gd"),
        ("Après GADO", "apres gado"),
        ("sT2W/FLAIR", "t2w flair"),
        ("eT1W_SE", "t1w se"),
        ("GAMMATUMORFLAIRAX", "gamma tumor flair ax"),
        ("RETROORBITT2LATEECHO", "retro orbit t2 late echo"),
        ("PART1", "part1"),
        ("LEFT2", "left2"),
        ("T1 Gd-", "t1 gd minus"),
        ("T1 (-)", "t1 minus"),
        ("pre-Gd T1", "pre gd t1"),
        ("T1 før kontrast", "t1 for kontrast"),
        ("T1 AKSİYEL", "t1 aksiyel"),
        ("T1造影", "t1 造影"),
        ("Т2 аксиальная", "t2 аксиальная"),
        ("t1 post op", "t1 postop"),
        ("space", "space"),
        ("supremacy", "supremacy"),
        ("compressed", "compressed"),
        ("face", "face"),
        ("", ""),
    ],
)
def test_words_of_a_name(name, expected):
    assert " ".join(words(name, VOCABULARY)) == expected


def test_phrases_match_whole_words_only():
    assert first_match(("t1", "space"), ("pace",)) is None
    assert first_match(("dark", "fluid"), ("dark fluid",)) == "dark fluid"
    assert first_match(("dark", "blue", "fluid"), ("dark fluid",)) is None
    assert first_match(("diffusion",), ("diff",)) is None
    assert first_match(("diffusion",), ("diffus*",)) == "diffus*"


def test_phrases_are_removed_longest_first():
    assert without(
        ("mr", "w", "without", "contrast", "t1"), ("w without", "w without contrast")
    ) == (
        "mr",
        "t1",
    )


def sequence_of(name: str) -> str:
    return weigh([of_row({"SeriesDescription": name}, 1)])[0].sequence


def hand_written() -> dict[str, list[tuple[str, str]]]:
    """Class and name of each series of the list beside this file, by its headings."""
    found: dict[str, list[tuple[str, str]]] = {}
    text = (Path(__file__).parent / "series_names.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("## "):
            found[line.removeprefix("## ")] = []
        elif line and not line.startswith("#"):
            sequence, name = line.split("|", 1)
            list(found.values())[-1].append((sequence, name))
    return found


@pytest.mark.parametrize("heading", hand_written())
def test_a_name_alone_tells_the_sequence(heading):
    cases = hand_written()[heading]
    told = [(sequence_of(name), name) for _, name in cases]
    assert [one for one in told if one not in cases] == []
    assert len(cases) >= 7


def test_a_t1_of_which_nothing_speaks_of_contrast_says_so():
    (found,) = weigh([of_row({"SeriesDescription": "AX T1"}, 1)])
    assert not found.contrast_known
    assert found.rules[-1].what == "nothing tells whether contrast was given"


def test_the_names_of_a_real_archive(real_data, capsys):
    """TCGA-GBM, adjudicated labels; the rules were written on these names."""
    table = read_table(real_data / "series_names" / "tcga_gbm_series_dev.csv")
    found = identify_table(table.series)
    truth = table.column("adjudicated_label")
    accuracy = measure(found, truth)
    flair = next(one for one in accuracy.classes if one.name == "FLAIR")
    whole = next(one for one in accuracy.roles if one.name == "all")
    with capsys.disabled():
        sys.stdout.write(
            f"\n{accuracy.series} names: {accuracy.right:.1%} right;"
            f" FLAIR precision {flair.precision:.4f}, {flair.held:.1%} held;"
            f" of {accuracy.studies} studies {whole.held} held, {whole.wrong} wrong\n"
        )
    called_flair = [
        label for label, one in zip(truth, found.evidence, strict=True) if one.sequence == "FLAIR"
    ]
    assert accuracy.right >= 0.97
    assert flair.precision >= 0.995
    assert not {"T1", "T1GD"} & set(called_flair)
    assert whole.held <= 0.03 * accuracy.studies
    assert whole.wrong == 0


@pytest.mark.parametrize("half", [0, 1])
def test_both_halves_of_the_archive_are_as_right(real_data, half):
    """Studies are told apart by a hash: what holds in one half holds in the other."""
    table = read_table(real_data / "series_names" / "tcga_gbm_series_dev.csv")
    chosen = [sha256(one.study.encode()).digest()[0] % 2 == half for one in table.series]
    found = identify_table([one for one, c in zip(table.series, chosen, strict=True) if c])
    labels = table.column("adjudicated_label")
    accuracy = measure(found, [label for label, c in zip(labels, chosen, strict=True) if c])
    assert accuracy.series > 800
    assert accuracy.right >= 0.97
