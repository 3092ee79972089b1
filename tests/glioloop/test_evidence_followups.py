"""Tests of `glioloop.evidence_followups` on kept dates that nobody generated."""

import json
from pathlib import Path

import pytest
from kept_dates import BASE as HEAD
from kept_dates import kept_date, without_prior, write

from engine.adapt import FitSettings
from engine.head import Head
from glioloop import evidence_followups
from glioloop.evidence_followups import BASE, CEILING, OTHER, Task, judge_patient, run
from glioloop.evidence_heads import OURS, Arm
from glioloop.evidence_patients import Order
from glioloop.evidence_ranges import Followups
from glioloop.evidence_statistics import dice_of

QUICK = FitSettings(rungs=("bias",), strengths=(0.1,))


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Two patients, whose dates are made already."""
    monkeypatch.setattr(evidence_followups, "ARMS", {OURS: Arm(settings=QUICK)})
    models = without_prior(tmp_path)
    made = []
    for number in range(2):
        task = Task(Order(number, Followups(voxels=2000), ()), tmp_path, models)
        write(task.dates, [kept_date(10 * number + n, f"scanner {n // 2}") for n in range(3)])
        made.append(task)
    return made


def test_a_head_is_learnt_at_the_first_date_and_judged_at_the_others(tasks: list[Task]) -> None:
    judge_patient(tasks[0])
    answer = json.loads(tasks[0].answer.read_text())
    assert answer["patient"] == 0
    assert answer["scanners"] == ["scanner 0", "scanner 0", "scanner 1"]
    assert answer["operated"] == [False, False, False]
    assert answer["fits"][OURS]["accepted"]
    assert answer["fits"][OURS]["rung"] == "bias"
    learnt = Head.from_json(answer["fits"][OURS]["head"])
    assert (learnt.bias - HEAD.bias).argmax() == 2
    assert len(answer["follow_ups"]) == 2
    for scored in answer["follow_ups"]:
        dice = {name: dice_of(overlaps["whole"]) for name, overlaps in scored.items()}
        assert set(dice) == {BASE, OURS, CEILING}
        assert dice[OURS] > dice[BASE] + 0.05
        assert dice[CEILING] > dice[BASE] + 0.05


def test_the_head_of_another_patient_is_judged_too(tasks: list[Task]) -> None:
    for task in tasks:
        judge_patient(task)
    told: list[int] = []
    answers = run(tasks, 1, told.append)
    assert told == [2]
    assert [answer["patient"] for answer in answers] == [0, 1]
    for answer in answers:
        for scored in answer["follow_ups"]:
            assert dice_of(scored[OTHER]["whole"]) > dice_of(scored[BASE]["whole"]) + 0.05


def test_where_no_other_head_was_accepted_the_base_head_is_taken(tasks: list[Task]) -> None:
    for task in tasks:
        judge_patient(task)
        answer = json.loads(task.answer.read_text())
        answer["fits"][OURS]["accepted"] = False
        task.answer.write_text(json.dumps(answer))
    for answer in run(tasks, 1, lambda _done: None):
        for scored in answer["follow_ups"]:
            assert scored[OTHER] == scored[BASE]


def test_a_patient_of_whom_nothing_can_be_learnt_keeps_the_base_head(tasks: list[Task]) -> None:
    first, *later = (kept_date(n) for n in range(3))
    healthy = type(first)(**{**vars(first), "labels": first.labels * 0})
    write(tasks[0].dates, [healthy, *later])
    judge_patient(tasks[0])
    answer = json.loads(tasks[0].answer.read_text())
    assert answer["fits"][OURS]["reason"].startswith("refused: the correction of")
    assert all(scored[OURS] == scored[BASE] for scored in answer["follow_ups"])
