"""Tests of `glioloop.evidence_centre` on kept dates that nobody generated."""

import json
from pathlib import Path

import numpy as np
import pytest
from kept_dates import BASE, kept_date, without_prior, write

from engine.adapt import FitSettings
from engine.sampling import FeatureSample
from engine.scanner import SCANNERS
from engine.weights import shipped
from glioloop import evidence_centre
from glioloop.evidence_centre import CURVES, Fitting, cases_of, fit, make, run
from glioloop.evidence_corrections import of_labels
from glioloop.evidence_dates import KeptDate
from glioloop.evidence_heads import Arm
from glioloop.evidence_patients import Models, Order, read_dates
from glioloop.evidence_ranges import Centres
from glioloop.evidence_statistics import dice_of

MODELS = Models(shipped("base"), shipped("brain"))
CENTRES = Centres(target=1, corrections=(0, 2), held_out_cases=3)


def test_the_target_centre_has_one_scanner_and_the_others_have_the_rest(tmp_path: Path) -> None:
    cases = cases_of(CENTRES, (), tmp_path, MODELS)
    numbers = [case.order.number for case in cases]
    assert numbers == [0, 1, 500, 501, 502, 1000, 1001]
    assert [case.learnt for case in cases] == [True, True, False, False, False, True, True]
    own = SCANNERS[1]
    assert [case.order.scanner is own for case in cases] == [True] * 5 + [False] * 2
    assert cases[5].order.scanner is not cases[6].order.scanner
    assert all(case.order.one_date for case in cases)


def test_every_point_is_fitted_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one worker in this process: what is spawned would not see the quick settings."""
    quick = Arm(settings=FitSettings(rungs=("bias",), strengths=(0.1,)))
    monkeypatch.setattr(
        evidence_centre, "CURVES", {name: (whose, quick) for name, (whose, _) in CURVES.items()}
    )
    monkeypatch.setattr(evidence_centre, "each", lambda work, tasks, _workers: map(work, tasks))
    cases = cases_of(CENTRES, (), tmp_path, without_prior(tmp_path))
    for case in cases:
        date = kept_date(case.order.number)
        if case.learnt:
            sample = date.sample(BASE, of_labels(date.labels), 2.0, 2000, 0)
            case.file.write_bytes(sample.to_npz())
        else:
            write(case.file, [date])
    told = []
    answers = run(CENTRES, cases, 1, lambda *said: told.append(said))
    assert told == [("heads", n, 8) for n in range(1, 9)]
    assert {(a["curve"], a["corrections"]) for a in answers} == {
        (name, count) for name in CURVES for count in (0, 2)
    }
    for answer in answers:
        assert len(answer["cases"]) == 3
        worst = min(dice_of(overlaps["whole"]) for overlaps in answer["cases"])
        assert (worst > 0.9) == (answer["corrections"] == 2)
    told.clear()
    assert run(CENTRES, cases, 1, lambda *said: told.append(said)) == answers
    assert told == []


def test_of_a_case_that_is_learnt_from_the_sample_alone_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generated(path: Path, _order: Order, _models: Models) -> list[KeptDate]:
        write(path, [kept_date(3)])
        return [kept_date(3)]

    monkeypatch.setattr(evidence_centre, "kept_dates", generated)
    learnt, judged = (cases_of(CENTRES, (), tmp_path, MODELS)[n] for n in (1, 2))
    make(learnt)
    make(judged)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case-0001.npz", "case-0500.npz"]
    sample = FeatureSample.from_npz(learnt.file.read_bytes())
    assert len(sample.target) == 2000
    assert set(np.unique(sample.target)) == {0, 2, 3}
    assert read_dates(judged.file)[0].scanner == "a scanner"


def test_without_a_correction_it_is_the_base_head(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", [kept_date(1)])
    point = Fitting("its own", 0, (), (tmp_path / "a.npz",), tmp_path, MODELS)
    fit(point)
    answer = json.loads(point.answer.read_text())
    assert answer["fit"] == {}
    assert answer["cases"][0]["whole"] == list(kept_date(1).overlaps(BASE)["whole"])
