"""Identification on a table of series."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.table import read_table, weigh_table
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
    found = weigh_table(read_table(path))
    assert [one.sequence for one in found] == ["T1GD", "T1", "T2", "T2", "OTHER"]
    assert [one.series_uid for one in found] == [f"row {n}" for n in range(1, 6)]


def test_a_table_without_descriptions_is_refused(tmp_path: Path):
    with pytest.raises(RefusedError, match="SeriesDescription and one of StudyInstanceUID, Study"):
        read_table(table(tmp_path, "StudyID,Name\n1,FLAIR\n"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "series.csv"
    path.write_bytes(b"\xff\xfe\x00SeriesDescription")
    with pytest.raises(RefusedError, match="no table that can be read"):
        read_table(path)
