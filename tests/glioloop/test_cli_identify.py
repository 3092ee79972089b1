"""``glioloop identify``: tables for a person, JSON for a program, one sentence for wrong input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from small_world import write_study

from glioloop import cli


class Answer:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A function that runs ``glioloop identify`` in this process, where no settings file lies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    # It is for a process of its own, and would hush the tests that follow.
    monkeypatch.setattr(cli, "hush_libraries", lambda: None)

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["glioloop", "identify", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "series.csv"
    path.write_text(
        "StudyID,SeriesNumber,SeriesDescription,Remark,label\n"
        "1,4,FLAIR ax,x,FLAIR\n"
        "1,5,AX T1,x,T1GD\n"
        "1,6,T2 [/red]<b>\x1b[31m,x,T2\n"
        "2,1,scout,x,OTHER\n",
        encoding="utf-8",
    )
    return path


SITE = (
    "overrides: [{name: ours, match: {SeriesDescription: 'ax t1'}, class: T1GD}]\n"
    "vetoes: [{name: our old name for it, text: [flair]}]\n"
)


def test_a_list_is_answered_row_by_row(run, table: Path) -> None:
    told = json.loads(run("--csv", table, "--json").out)
    assert [(one["row"], one["role"], one["sequence"]) for one in told["series"]] == [
        (1, "FLAIR", "FLAIR"),
        (2, None, "T1"),
        (3, "T2", "T2"),
        (4, None, "OTHER"),
    ]
    assert told["series"][3]["rules"] == [
        {"about": "veto", "what": "localizer ('scout')", "weight": 0.0}
    ]
    assert told["studies"]["1"]["ambiguous"] == {"T1GD": ["row 2"]}
    assert told["studies"]["2"]["missing"] == ["FLAIR", "T1GD", "T2"]


def test_a_table_says_what_to_do_and_is_not_steered_by_what_it_shows(run, table: Path) -> None:
    found = run("--csv", table)
    assert found.code == 0
    assert "T2 [/red]<b>?[31m" in found.out
    assert "\x1b" not in found.out
    assert "T1GD is ambiguous: nothing tells whether contrast was given in series 5" in found.out
    assert "T1GD?" in found.out
    assert "glioloop jobs retry JOB --as ROLE=<SeriesInstanceUID>" in found.out


def test_images_are_shown_with_the_reasons(run, tmp_path: Path) -> None:
    write_study(tmp_path / "in")
    found = run(tmp_path / "in")
    assert found.code == 0
    assert "All three sequences were found." in found.out
    assert "name ('flair')" in found.out
    assert "jobs retry" not in found.out


def test_a_sites_rules_are_tried_by_file_and_used_by_settings(run, table: Path, tmp_path: Path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    for arguments in (["--rules", site], ["-c", tmp_path / "glioloop.yaml"]):
        (tmp_path / "glioloop.yaml").write_text(f"identification: {{rules_file: {site}}}\n")
        told = json.loads(run("--csv", table, "--json", *arguments).out)
        assert [one["sequence"] for one in told["series"]] == ["OTHER", "T1GD", "T2", "OTHER"]


def test_what_is_held_stands_beside_what_is_right(run, table: Path) -> None:
    found = run("--csv", table, "--truth", "label")
    assert "4 series: 75.0% right, 25.0% held" in found.out
    assert "1 studies that have all three" in found.out
    rows = [line.replace("│", " ").split() for line in found.out.splitlines()]
    assert ["T1GD", "1", "-", "0.0000", "1.0000"] in rows
    assert ["FLAIR", "1", "1.0000", "1.0000", "0.0000"] in rows
    assert ["all", "0", "1", "0", "1.0000"] in rows
    told = json.loads(run("--csv", table, "--truth", "label", "--json").out)
    assert told["accuracy"]["right"] == 0.75
    assert len(told["series"]) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "either a PATH with images or --csv FILE; neither was given"),
        (["somewhere", "--csv", "series.csv"], "--csv FILE; both were given"),
        (["nowhere"], "there is no file or folder nowhere"),
        (["--csv", "nowhere.csv"], "nowhere.csv is no table that can be read"),
        (["--csv", "other.csv"], "has the columns a, b; SeriesDescription and one of"),
        (["--csv", "series.csv", "--truth", "nothing"], "the table has no column nothing"),
        (["--csv", "series.csv", "--truth", "Remark"], "the truth of a series is one of"),
        (["somewhere", "--truth", "label"], "--truth names a column of the list"),
        (["--csv", "series.csv", "--rules", "nowhere.yaml"], "rules are not YAML that can be read"),
        (["--csv", "series.csv", "--rules", "other.csv"], "this is no rule set for series"),
    ],
)
def test_a_wrong_input_is_one_sentence(
    run, table: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    assert table.is_file()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    found = run(*arguments)
    assert found.code == 2
    assert found.err.startswith("glioloop: ")
    assert sentence in found.err
    assert len(found.err.strip().splitlines()) == 1
