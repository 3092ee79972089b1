"""Identification on a table of series."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.table import identify_table, read_table
from study.errors import RefusedError


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "series.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_keep_their_order_and_studies_their_context(tmp_path: Path):
    path = table(
        tmp_path,
        "StudyID,SeriesDescription,ContrastBolusAgent,EchoTime,ScanningSequence,Remark\n"
        "a,T1 AX,Dotarem,9,SE,the agent tells: T2 of this study has none\n"
        "b,T1 AX,Dotarem,9,SE,the agent tells nothing: T2 of this study has it\n"
        "a,T2 AX,,90,SE,\n"
        "b,T2 AX,Dotarem,90,SE,\n"
        "b,,Dotarem,394,SE\\IR,no name and no other timing\n",
    )
    found = identify_table(read_table(path).series)
    assert [one.sequence for one in found.evidence] == ["T1GD", "T1", "T2", "T2", "OTHER"]
    assert [one.series_uid for one in found.evidence] == [f"row {n}" for n in range(1, 6)]
    assert found.roles == ("T1GD", None, "T2", "T2", None)
    assert [study.study for study in found.studies] == ["a", "b"]


def test_each_study_has_its_decision_and_each_row_its_entry(tmp_path: Path):
    path = table(
        tmp_path, "StudyInstanceUID,SeriesDescription\n1.2,T1 AX\n1.3,FLAIR\n1.2,T2 AX\n1.2,FLAIR\n"
    )
    told = identify_table(read_table(path).series).as_json()
    assert [(one["row"], one["study"], one["role"]) for one in told["series"]] == [
        (1, "1.2", None),
        (2, "1.3", "FLAIR"),
        (3, "1.2", "T2"),
        (4, "1.2", "FLAIR"),
    ]
    assert told["studies"]["1.2"]["ambiguous"] == {"T1GD": ["row 1"]}
    assert told["studies"]["1.3"]["missing"] == ["T1GD", "T2"]


def test_rows_without_a_study_are_studies_of_their_own(tmp_path: Path):
    path = table(tmp_path, "StudyID,SeriesDescription\n,FLAIR\n,FLAIR\n")
    assert identify_table(read_table(path).series).roles == ("FLAIR", "FLAIR")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_byte_order_mark_are_read(tmp_path: Path, separator: str):
    rows = [["\ufeffStudyID", " SeriesDescription"], ["1", "FLAIR, ax"]]
    path = table(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert [one.description for one in read_table(path).series] == ["FLAIR, ax"]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("StudyID,Name\n1,FLAIR\n", "StudyID, Name"),
        ("Study,SeriesDescription\n1,FLAIR\n", "Study, SeriesDescription"),
        ("", r"\(none\)"),
    ],
)
def test_a_table_without_its_columns_is_refused(tmp_path: Path, text: str, columns: str):
    wanted = f"has the columns {columns}; SeriesDescription and one of StudyInstanceUID, StudyID"
    with pytest.raises(RefusedError, match=wanted):
        read_table(table(tmp_path, text))


def test_a_column_that_is_not_there_is_refused(tmp_path: Path):
    found = read_table(table(tmp_path, "StudyID,SeriesDescription,label\n1,FLAIR,FLAIR\n"))
    assert found.column("label") == ["FLAIR"]
    with pytest.raises(RefusedError, match="no column truth; it has StudyID, SeriesDescription"):
        found.column("truth")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "series.csv"
    path.write_bytes(b"\xff\xfe\x00SeriesDescription")
    with pytest.raises(RefusedError, match="no table that can be read as UTF-8"):
        read_table(path)


def test_a_folder_or_nothing_is_refused(tmp_path: Path):
    with pytest.raises(RefusedError, match="no table that can be read: Is a directory"):
        read_table(tmp_path)
    with pytest.raises(RefusedError, match="no table that can be read: No such file"):
        read_table(tmp_path / "nothing.csv")
