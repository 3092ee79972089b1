"""How right identification is, with what is held beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.accuracy import OfClass, OfRole, measure
from converter.table import identify_table, read_table
from study.errors import RefusedError

ROWS = """StudyID,SeriesDescription,label
1,FLAIR,FLAIR
1,T1 post,T1GD
1,T2,T2
2,FLAIR,FLAIR
2,AX T1,T1GD
2,T2,t2
3,FLAIR,T1GD
3,T2,T2
3,nameless,FLAIR
4,DWI,OTHER
4,T1 pre,T1
4,T1,
"""


def found(tmp_path: Path, text: str = ROWS):
    path = tmp_path / "series.csv"
    path.write_text(text, encoding="utf-8")
    table = read_table(path)
    return measure(identify_table(table.series), table.column("label"))


def test_shares_are_counted_by_hand(tmp_path: Path):
    told = found(tmp_path)
    assert (told.series, told.right, told.held) == (11, 8 / 11, 1 / 11)
    assert told.classes == (
        OfClass("FLAIR", truth=3, found=3, precision=2 / 3, recall=2 / 3, held=0.0),
        OfClass("T1GD", truth=3, found=1, precision=1.0, recall=1 / 3, held=1 / 3),
        OfClass("T1", truth=1, found=2, precision=0.5, recall=1.0, held=0.0),
        OfClass("T2", truth=3, found=3, precision=1.0, recall=1.0, held=0.0),
        OfClass("OTHER", truth=1, found=2, precision=0.5, recall=1.0, held=0.0),
    )


def test_studies_are_right_held_or_wrong(tmp_path: Path):
    told = found(tmp_path)
    assert told.studies == 3
    assert told.roles == (
        OfRole("FLAIR", right=2, held=0, wrong=1),
        OfRole("T1GD", right=1, held=2, wrong=0),
        OfRole("T2", right=3, held=0, wrong=0),
        OfRole("all", right=1, held=1, wrong=1),
    )
    assert told.as_json()["roles"][3] == {"name": "all", "right": 1, "held": 1, "wrong": 1}


def test_a_class_that_does_not_occur_has_no_shares(tmp_path: Path):
    told = found(tmp_path, "StudyID,SeriesDescription,label\n1,DWI,OTHER\n")
    assert told.classes[0] == OfClass("FLAIR", 0, 0, None, None, None)
    assert told.studies == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("StudyID,SeriesDescription,label\n1,DWI,DWI\n", "one of FLAIR, T1GD, T1, T2, OTHER, not"),
        ("StudyID,SeriesDescription,label\n1,DWI,\n", "the column of the truth is empty"),
    ],
)
def test_a_truth_that_is_none_is_refused(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(RefusedError, match=sentence):
        found(tmp_path, text)
