"""Tests of `glioloop.evidence_page`, and that the page in docs/ is what it writes."""

import json
from pathlib import Path

import pytest
from PIL import Image

from glioloop.evidence_centre import BIAS_CURVE, CURVES
from glioloop.evidence_heads import BIAS, OURS
from glioloop.evidence_page import NOT_YET, SECTIONS, document, draw
from study.errors import RefusedError

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "adaptation-evidence.md"
MARKS = "".join(f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->\n\n" for name in SECTIONS)
RECORD = {
    "model": "7", "backbone": "ab" * 32, "brain_model": "8", "seed": 5, "anatomies": ["a"],
}  # fmt: skip


def judged(falls: float, worst: float) -> dict:
    return {
        "dates": 4, "dice_base": 0.8, "dice": 0.9, "error_falls": falls, "low": 0.01, "high": 0.2,
        "harmed": 0.25, "worst": worst,
    }  # fmt: skip


def arm(falls: float, worst: float) -> dict:
    one = judged(falls, worst)
    return {"accepted": 0.5, "parts": {"all": one}, "regions": {"core": one}, "beside bias": one}


@pytest.fixture
def found() -> dict:
    point = {"accepted": True, "regions": {}, "beside bias": judged(-0.01, 0.0)}
    curves = {
        name: [{**point, "corrections": count, "judged": judged(0.2, -0.01)} for count in (0, 70)]
        for name in CURVES
    }
    transfer = {
        "learnt": "A 1", "judged": "A 2", "accepted": True, "reason": "accepted: so it is",
        "base": {"enhancing": {"dice": 0.5}}, "adapted": {"enhancing": {"dice": 0.625}},
    }  # fmt: skip
    return {
        "followups": {
            "record": RECORD,
            "summary": {"patients": 2, "arms": {OURS: arm(0.12, -0.03), BIAS: arm(0.05, 0.0)}},
        },
        "centre": {"record": RECORD, "summary": {"cases": 4, "curves": curves}},
        "patients": {
            "model": "7",
            "mean_dice": {"enhancing": {"base": 0.5, "adapted": 0.625}},
            "transfers": [transfer],
        },
    }


def test_tables_say_what_was_measured_and_whether_it_was_reached(found: dict) -> None:
    text = document(MARKS, found)
    assert "old" not in text
    lines = text.splitlines()
    numbers = "4 | 0.800 | 0.900 | 12.0 % | 1.0 to 20.0 | 25 % | -0.030 |"
    assert f"| {OURS} | 50 % | {numbers}" in lines
    assert "| the error falls by 10 % or more | 12.0 % | yes |" in lines
    assert "| none is worse than base by more than 0.02 | -0.030 | no |" in lines
    assert "| Dice after corrections | 0 | 70 |" in lines
    assert f"| {BIAS_CURVE} | 0.900 | 0.900 |" in lines
    assert "| more than with biases alone | -1.0 % more | no |" in lines
    assert "| A 1 | A 2 | enhancing | 0.500 | 0.625 | accepted: so it is |" in lines
    assert document(text, found) == text


def test_what_was_not_run_says_so() -> None:
    assert document(MARKS, {}).count(NOT_YET) == 3


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"no marks <!-- followups: begin -->"):
        document("a page", {})


def test_the_figure_has_bars_and_curves(found: dict, tmp_path: Path) -> None:
    draw(tmp_path / "full.png", found)
    draw(tmp_path / "empty.png", {})
    with Image.open(tmp_path / "full.png") as full, Image.open(tmp_path / "empty.png") as empty:
        assert full.size == empty.size == (1210, 462)
        assert full.tobytes() != empty.tobytes()


def test_the_page_in_the_documents_is_what_the_command_writes() -> None:
    files = {name: DOCS / f"adaptation-{name}.json" for name in SECTIONS}
    given = {
        name: json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        for name, path in files.items()
    }
    text = PAGE.read_text(encoding="utf-8")
    assert document(text, given) == text
