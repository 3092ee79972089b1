"""Words of series names, and which sequence a name speaks of."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict

import pytest

from converter.attributes import of_row
from converter.identify import weigh
from converter.names import first_match, without, words
from converter.rules import load

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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # FLAIR, and what only sounds like it
        ("FLAIR_reg", "FLAIR"),
        ("Sag CUBE T2 FLAIR", "FLAIR"),
        ("t2_tirm_tra_dark-fluid", "FLAIR"),
        ("t2_spc_da-fl_sag_p2_iso_1.0", "FLAIR"),
        ("3D_Brain_VIEW_FLAIR_SHC", "FLAIR"),
        ("AX FLAIR gad", "FLAIR"),
        ("FLAIR ASSIALE", "FLAIR"),
        ("SAG T1 FLAIR", "T1"),
        ("AX T1 POST GD FLAIR", "T1GD"),
        ("T1_FLAIR_tra", "T1"),
        ("FLAIR lokalizer", "OTHER"),
        ("STIR cor", "OTHER"),
        # T2, and what only sounds like it
        ("T2_reg", "T2"),
        ("t2_tse_tra_p2", "T2"),
        ("PD+T2 tse", "T2"),
        ("sT2/TSE/T", "T2"),
        ("AX T2 FR-FSE", "T2"),
        ("t2_fl2d_tra_hemo", "OTHER"),
        ("AX T2*GRE", "OTHER"),
        ("GRE T2", "OTHER"),
        ("T2-weighted trace", "OTHER"),
        ("3-pl T2 FGRE", "OTHER"),
        # T1 before contrast
        ("T1pre", "T1"),
        ("T1pre_reg", "T1"),
        ("t1_mprage_sag nativ", "T1"),
        ("T1 TRA ohne KM", "T1"),
        ("AX T1 SANS INJ", "T1"),
        ("T1 SE senza mdc", "T1"),
        ("T1 cor utan gd", "T1"),
        ("T1 -Gd", "T1"),
        ("T1 w/o contrast", "T1"),
        ("BRAIN W WO CONTRAST T1 AX", "T1"),
        ("T1 AX POST OP", "T1"),
        # T1 after contrast
        ("T1post", "T1GD"),
        ("T1_MPRAGE_tra_iso_KM", "T1GD"),
        ("3D T1 BRAVO +C", "T1GD"),
        ("T1W_3D_TFE +GD", "T1GD"),
        ("T1 EG 3D INJ", "T1GD"),
        ("T1 ASSIALE MDC", "T1GD"),
        ("T1 sag +K", "T1GD"),
        ("T1 tra efter Gd", "T1GD"),
        ("T1CE", "T1GD"),
        ("BRAIN WWO T1 AX POST", "T1GD"),
        # other
        ("T1_POST_SUB", "OTHER"),
        ("3D DCE T1 MAPPING", "OTHER"),
        ("AXIAL PERFUSION", "OTHER"),
        ("ep2d_diff_3scan_trace_p2", "OTHER"),
        ("SWI_Images", "OTHER"),
        ("TOF 3D", "OTHER"),
        ("Mask_Tumor", "OTHER"),
        ("", "OTHER"),
    ],
)
def test_a_name_alone_tells_the_sequence(name, expected):
    assert sequence_of(name) == expected


def test_a_t1_of_which_nothing_speaks_of_contrast_says_so():
    (found,) = weigh([of_row({"SeriesDescription": "AX T1"}, 1)])
    assert not found.contrast_known
    assert found.rules[-1].what == "nothing tells whether contrast was given"


def test_the_names_of_a_real_archive(real_data, capsys):
    """TCGA-GBM, adjudicated labels; the rules were written on these names."""
    studies = defaultdict(list)
    with (real_data / "series_names" / "tcga_gbm_series_dev.csv").open(encoding="utf-8") as table:
        for number, row in enumerate(csv.DictReader(table), start=1):
            studies[row["StudyID"]].append((row["adjudicated_label"], of_row(row, number)))
    pairs = [
        (label, evidence.sequence)
        for study in studies.values()
        for (label, _), evidence in zip(study, weigh([a for _, a in study]), strict=True)
    ]
    right = sum(label == found for label, found in pairs) / len(pairs)
    called_flair = [label for label, found in pairs if found == "FLAIR"]
    precision = called_flair.count("FLAIR") / len(called_flair)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(pairs)} names: {right:.1%} right, FLAIR precision {precision:.4f}\n"
        )
    assert right >= 0.97
    assert precision >= 0.995
    assert not {"T1", "T1GD"} & set(called_flair)
