"""What happens to a fit when whose corrections these are changes, on the stores alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glioloop import decisions, model_networks, model_refits, model_taught, overview, settings
from glioloop.corrections import Corrections
from glioloop.delivery import Deliveries
from glioloop.ledger_schema import CorrectionRow, CorrectionState
from glioloop.model_groups import key_of_group
from glioloop.model_merging import Person, merge, person
from glioloop.model_refits import AGAIN, Refits
from glioloop.site import Site, open_site
from study.patient import PatientKey

FIT = {"accepted": True, "reason": "accepted", "head": {"weight": [[1.0]]}, "metrics": {}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with a group and a network that is never run."""
    monkeypatch.setattr(Site, "manifest", lambda _site: {"backbone_sha256": "B1"})
    monkeypatch.setattr(model_networks, "keep", lambda _site: None)
    monkeypatch.setattr(model_refits, "_groups", lambda _site, _row: ["site"])
    monkeypatch.setattr(decisions, "_report_again", lambda _site, _row: None)
    groups = {"groups": [{"name": "site"}]}
    return open_site(settings.load(data=tmp_path / "data", adaptation=groups))


@pytest.fixture
def fitting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """A function that says what happens while a head is fitted; it happens once."""

    def call(meanwhile: Callable[[], object]) -> None:
        waiting = [meanwhile]

        def fit(_site: Site, _rows: object, _current: object = None) -> dict[str, Any]:
            if waiting:
                waiting.pop()()
            return FIT

        monkeypatch.setattr(model_refits, "fit_head", fit)

    return call


def came(
    site: Site, key: PatientKey, number: int, state: CorrectionState, study: str = "", **values: Any
) -> str:
    """Enter a correction, of a result of its own; its UID."""
    uid = f"1.{number}"
    with site.ledger.transaction() as session:
        session.add(
            CorrectionRow(
                sop_instance_uid=uid,
                study_uid=study or f"2.{number}",
                state=state,
                calling_ae="VIEWER",
                called_ae="GLIOLOOP",
                received_at=float(number),
                path="nowhere.dcm",
                result_id=f"{number:032x}",
                patient_key=key,
                **values,
            )
        )
    return uid


def people(site: Site) -> tuple[Person, Person]:
    return person(site.secret, "", "OLD-1"), person(site.secret, "", "NEW-1")


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], object]]:
    """What each head is fitted to, and what is scored beside it; UIDs of corrections."""
    seen: list[tuple[list[str], object]] = []

    def fit(_site: Site, rows: list[CorrectionRow], current: Any = None) -> dict[str, Any]:
        scored = current and (current[0].number, current[1].sop_instance_uid)
        seen.append(([row.sop_instance_uid for row in rows], scored))
        return {**FIT, "head": {"weight": [[float(len(seen))]]}}

    monkeypatch.setattr(model_refits, "fit_head", fit)
    return seen


def test_a_merge_while_a_head_is_fitted_has_it_fitted_again(site: Site, fitting: Any) -> None:
    old, new = people(site)
    first = came(site, old.key, 1, CorrectionState.ACCEPTED)
    second = came(site, new.key, 2, CorrectionState.LEARNING)
    fitting(lambda: merge(site.models, old, new, "anna"))
    corrections = Corrections(site, Deliveries(site))
    assert corrections.learn(second)["state"] == AGAIN
    assert site.models.patient(new.key).versions == ()
    assert corrections.learn(second)["state"] == "accepted"
    (made,) = site.models.patient(new.key).versions
    assert made.corrections == (first, second)


def test_a_head_that_lost_on_a_later_correction_is_put_out_of_use_and_told(
    site: Site, fitting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, new = people(site)
    corrections = Corrections(site, Deliveries(site))
    fitting(lambda: None)
    first = came(site, new.key, 1, CorrectionState.LEARNING)
    corrections.learn(first)
    second = came(site, new.key, 2, CorrectionState.LEARNING)
    scored: list[object] = []

    def worse(_site: Site, _rows: object, current: Any) -> dict[str, Any]:
        scored.append((current[0].number, current[1].sop_instance_uid))
        refused = {"accepted": False, "reason": "stays at base", "metrics": {}}
        return {**refused, "out_of_use": "mean Dice falls from 0.700 to 0.600"}

    monkeypatch.setattr(model_refits, "fit_head", worse)
    assert corrections.learn(second)["state"] == "not better"
    assert scored == [(1, second)]
    assert site.models.patient(new.key).current == {"B1": 0}
    assert site.models.used(new.key, "B1", ["site"]) is None
    told = f"head {new.key[:8]}.1 is put out of use: mean Dice falls from 0.700 to 0.600"
    assert site.ledger.correction(second).reason == f"stays at base; {told}"
    (entry,) = site.models.audit(new.key)
    assert (entry.action, entry.by, entry.other) == ("revert", "the gate", None)
    assert entry.details == {"from": 1, "reason": "mean Dice falls from 0.700 to 0.600"}
    (row, _) = overview.learnt(site, [new.key])
    assert row["correction"] == first


def test_a_head_made_after_one_was_put_out_of_use_has_base_as_its_parent(
    site: Site, fitting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, new = people(site)
    corrections = Corrections(site, Deliveries(site))
    fitting(lambda: None)
    corrections.learn(came(site, new.key, 1, CorrectionState.LEARNING))
    second = came(site, new.key, 2, CorrectionState.LEARNING)
    better = {**FIT, "head": {"weight": [[2.0]]}, "out_of_use": "mean Dice falls"}
    monkeypatch.setattr(model_refits, "fit_head", lambda *_: better)
    corrections.learn(second)
    models = site.models.patient(new.key)
    assert models.current == {"B1": 2}
    assert models.version(2).parent == 0


def test_what_is_withdrawn_while_its_head_is_stored_is_undone_once(
    site: Site, fitting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, new = people(site)
    corrections = Corrections(site, Deliveries(site))
    fitting(lambda: None)
    corrections.learn(came(site, new.key, 1, CorrectionState.LEARNING))
    second = came(site, new.key, 2, CorrectionState.LEARNING)
    settle = site.ledger.settle_correction

    def withdrawn_first(uid: str, **values: Any) -> bool:
        site.ledger.set_correction(uid, state=CorrectionState.WITHDRAWN, reason="by a person")
        model_taught.point_elsewhere(site.models, new.key, {uid})
        return settle(uid, **values)

    monkeypatch.setattr(site.ledger, "settle_correction", withdrawn_first)
    assert corrections.learn(second)["state"] == "withdrawn"
    assert len(site.models.patient(new.key).versions) == 2
    assert site.models.patient(new.key).current == {"B1": 1}


def test_a_groups_head_that_a_withdrawn_correction_taught_is_let_go(
    site: Site, fitting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = people(site)
    fitting(lambda: None)
    monkeypatch.setattr(decisions, "_report_again", lambda *_: None)  # nothing runs jobs here
    came(site, old.key, 1, CorrectionState.ACCEPTED)
    assert Refits(site).fit("site")["state"] == "accepted"
    second = came(site, new.key, 2, CorrectionState.ACCEPTED)
    assert Refits(site).fit("site")["state"] == "accepted"
    assert site.models.group("site").current == {"B1": 2}
    assert decisions.withdraw(site, second) == "group site uses head site.1"
    assert site.models.group("site").current == {"B1": 1}


def test_a_forgotten_group_can_be_fitted_again(site: Site, fitting: Any) -> None:
    fitting(lambda: None)
    came(site, people(site)[0].key, 1, CorrectionState.ACCEPTED)
    assert Refits(site).fit("site")["state"] == "accepted"
    assert site.models.forget(key_of_group("site")) == 1
    assert Refits(site).fit("site")["state"] == "accepted"
    assert len(site.models.group("site").versions) == 1


def test_every_head_of_an_older_backbone_is_queued(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = people(site)
    keys = [PatientKey(two * 32) for two in ("ab", "cd", "ef")]
    for key in (*keys, old.key):
        site.models.accept(
            key, parent=0, backbone="B0", head={}, corrections=("1.1",), metrics={}, software="1"
        )
    merge(site.models, old, new, "anna")
    queued: list[str] = []
    monkeypatch.setattr(model_refits, "AT_ONCE", 2)
    monkeypatch.setattr(
        model_refits.jobs, "start", lambda _job, key, *, job_id, serial: queued.append(key)
    )
    assert Refits(site).resume() == 4
    # Of the two IDs that are one patient's, only the one that stays.
    assert queued == sorted([*keys, new.key])


def test_a_head_is_not_used_whose_correction_was_withdrawn_while_it_was_stored(
    site: Site, fitting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last look at what it learnt from, and before anybody could see the version."""
    (old, _), store = people(site), model_refits.store_head
    first = came(site, old.key, 1, CorrectionState.ACCEPTED)
    second = came(site, old.key, 2, CorrectionState.LEARNING)
    fitting(lambda: None)
    withdrawn = [first]

    def late(*given: Any) -> int:
        if withdrawn:
            decisions.withdraw(site, withdrawn.pop())
        return store(*given)

    monkeypatch.setattr(model_refits, "store_head", late)
    learnt = Corrections(site, Deliveries(site))
    assert learnt.learn(second) == {"state": AGAIN}
    models = site.models.patient(old.key)
    assert models.current.get("B1", 0) == 0
    assert learnt.learn(second) == {"state": CorrectionState.ACCEPTED}
    models = site.models.patient(old.key)
    assert models.version(models.current["B1"]).corrections == (second,)


def test_a_head_is_scored_on_a_correction_of_a_study_that_it_does_not_know(
    site: Site, fitted: list[tuple[list[str], object]]
) -> None:
    _, new = people(site)
    corrections = Corrections(site, Deliveries(site))
    corrections.learn(came(site, new.key, 1, CorrectionState.LEARNING))
    corrections.learn(came(site, new.key, 2, CorrectionState.LEARNING))
    assert fitted == [(["1.1"], None), (["1.1", "1.2"], (1, "1.2"))]


def test_of_two_results_of_one_study_only_the_newest_correction_is_a_lesson(
    site: Site, fitted: list[tuple[list[str], object]]
) -> None:
    """And the head that the older one taught is not scored on the newer one."""
    _, new = people(site)
    corrections = Corrections(site, Deliveries(site))
    corrections.learn(came(site, new.key, 1, CorrectionState.LEARNING, "2.1"))
    corrections.learn(came(site, new.key, 2, CorrectionState.LEARNING, "2.1"))
    assert fitted == [(["1.1"], None), (["1.2"], None)]


def test_of_one_study_only_the_newest_correction_is_refitted(
    site: Site, fitted: list[tuple[list[str], object]]
) -> None:
    _, new = people(site)
    came(site, new.key, 1, CorrectionState.ACCEPTED, "2.1")
    came(site, new.key, 2, CorrectionState.ACCEPTED, "2.1")
    Refits(site).fit("site")
    assert [lessons for lessons, _ in fitted] == [["1.2"]]


def test_an_older_correction_that_is_accepted_late_scores_no_head(
    site: Site, fitted: list[tuple[list[str], object]]
) -> None:
    """The newer one of its study is the lesson; this one is none, and nothing is scored on it."""
    _, new = people(site)
    corrections = Corrections(site, Deliveries(site))
    corrections.learn(came(site, new.key, 1, CorrectionState.LEARNING))
    came(site, new.key, 3, CorrectionState.NOT_BETTER, "2.9")
    older = came(site, new.key, 2, CorrectionState.LEARNING, "2.9")
    assert corrections.learn(older)["state"] == "accepted"
    assert fitted[1:] == [(["1.1", "1.3"], None)]


@pytest.mark.parametrize(
    ("why", "queued"), [("mean Dice falls from 0.700 to 0.600", ["1.1"]), (None, [])]
)
def test_without_the_correction_that_put_a_head_out_of_use_the_others_are_learnt_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, why: str | None, queued: list[str]
) -> None:
    _, new = people(site)
    report = {"fit": {"in_use": {"dice_base": {}, "dice_current": {}, "out_of_use": why}}}
    came(site, new.key, 1, CorrectionState.ACCEPTED)
    second = came(site, new.key, 2, CorrectionState.NOT_BETTER, report=report)
    started: list[str] = []

    def start_again(_site: Site, _board: object, row: CorrectionRow) -> str:
        started.append(row.sop_instance_uid)
        return f"adapt:{row.sop_instance_uid}"

    monkeypatch.setattr(decisions, "Board", lambda _database: closing_nothing())
    monkeypatch.setattr(decisions, "start_again", start_again)
    decisions.withdraw(site, second)
    assert started == queued
    waiting = site.ledger.corrections(CorrectionState.LEARNING)
    assert [row.sop_instance_uid for row in waiting] == queued


def closing_nothing() -> SimpleNamespace:
    """In place of a board: nothing runs jobs here."""
    return SimpleNamespace(close=lambda: None)
