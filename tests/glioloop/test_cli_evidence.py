"""Tests of `glioloop.cli_evidence`; the experiments are stand-ins."""

import json
import sys
from pathlib import Path

import pytest

from glioloop import cli, evidence_centre, evidence_followups
from glioloop.evidence_centre import CURVES
from glioloop.evidence_followups import BASE, CEILING, OTHER
from glioloop.evidence_heads import ARMS
from glioloop.evidence_page import SECTIONS

REGIONS = {name: [800, 1000, 1000] for name in ("enhancing", "core", "whole")}
BETTER = {name: [900, 1000, 1000] for name in REGIONS}
MARKS = "".join(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n" for name in SECTIONS)


def glioloop(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Exit code of ``glioloop evidence``."""
    monkeypatch.setattr(sys, "argv", ["glioloop", "evidence", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    def followups(tasks, _workers, tell) -> list[dict]:
        tell(len(tasks))
        scored = dict.fromkeys((*ARMS, OTHER, CEILING), BETTER) | {BASE: REGIONS}
        fits = {name: {"accepted": True} for name in ARMS}
        return [
            {
                "patient": task.order.number, "scanners": ["a"] * 3, "operated": [False] * 3,
                "fits": fits, "follow_ups": [scored, scored],
            }
            for task in tasks
        ]  # fmt: skip

    def centre(centres, cases, _workers, _tell) -> list[dict]:
        judged = [case for case in cases if not case.learnt]
        return [
            {
                "curve": name,
                "corrections": count,
                "fit": {"accepted": True},
                "cases": [BETTER if count else REGIONS] * len(judged),
            }
            for name in CURVES
            for count in centres.corrections
        ]

    monkeypatch.setattr(evidence_followups, "run", followups)
    monkeypatch.setattr(evidence_centre, "run", centre)


def test_experiments_leave_what_the_page_is_written_from(
    experiments: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    followups, centre = tmp_path / "f.json", tmp_path / "c.json"
    said = ["--work", tmp_path / "wf", "--out", followups, "--patients", "3"]
    assert glioloop(monkeypatch, "followups", *said) == 0
    printed = capsys.readouterr()
    assert "| the error falls by 10 % or more | 50.0 % | yes |" in printed.out
    assert "patients: 3 of 3" in printed.err
    said = ["--work", tmp_path / "wc", "--out", centre, "--corrections", "12", "--judged", "2"]
    assert glioloop(monkeypatch, "centre", *said) == 0
    found = json.loads(centre.read_text())
    assert found["record"]["ranges"]["corrections"] == [0, 5, 10]
    assert found["record"]["seed"] == 7026
    assert found["summary"]["cases"] == 2
    page = tmp_path / "page.md"
    page.write_text(MARKS)
    said = [page, "--followups", followups, "--centre", centre, "--patients", tmp_path / "none"]
    assert glioloop(monkeypatch, "page", *said) == 0
    text = page.read_text()
    assert "3 patients; model" in text
    assert "| Dice after corrections | 0 | 5 | 10 |" in text
    assert "Not measured yet" in text
    assert (tmp_path / "adaptation-evidence.png").is_file()


def test_heads_are_found_anew_if_that_is_asked(
    experiments: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "w"
    work.mkdir()
    kept, answer = work / "patient-000.npz", work / "patient-000.json"
    for path in (kept, answer):
        path.touch()
    said = ["--work", work, "--out", tmp_path / "f.json", "--patients", "1"]
    assert glioloop(monkeypatch, "followups", *said) == 0
    assert answer.exists()
    assert glioloop(monkeypatch, "followups", *said, "--again") == 0
    assert kept.exists()
    assert not answer.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["page", "there-is-none.md"], "there is no page there-is-none.md"),
        (["page", "page.md", "--centre", "bad.json"], "bad.json is no JSON of an experiment"),
        (["followups", "--work", "w", "--out", "o", "--anatomy", "."], "4 are held out"),
    ],
)
def test_a_wrong_input_is_one_sentence(
    arguments: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("page.md").write_text(MARKS)
    Path("bad.json").write_text("no")
    assert glioloop(monkeypatch, *arguments) == 2
    assert reason in capsys.readouterr().err
