"""The store of heads: versions, one in use for each backbone, every step undoable."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from glioloop.models import BASE, ModelStore
from study.errors import RefusedError
from study.patient import PatientKey

PETER, PAULA = PatientKey("ab" * 32), PatientKey("cd" * 32)


def given(store: ModelStore, seg: str, backbone: str = "B1", parent: int = BASE) -> int:
    made = store.accept(
        PETER,
        parent=parent,
        backbone=backbone,
        head={"weight": [[1.5]]},
        corrections=(seg,),
        metrics={"dice_base": {"enhancing": 0.5}},
        software="0.1.0",
    )
    return made.number


def test_a_patient_who_was_never_learnt_from_has_the_base_model(tmp_path: Path) -> None:
    known = ModelStore(tmp_path).patient(PETER)
    assert known.versions == ()
    assert known.in_use("B1") is None
    assert known.name(BASE) == "base"


def test_the_newest_accepted_version_is_in_use_and_survives_a_restart(tmp_path: Path) -> None:
    assert given(ModelStore(tmp_path), "1.1") == 1
    assert given(ModelStore(tmp_path), "1.2", parent=1) == 2
    known = ModelStore(tmp_path).patient(PETER)
    used = known.in_use("B1")
    assert used is not None
    assert (used.number, used.parent, used.corrections) == (2, 1, ("1.2",))
    assert used.head == {"weight": [[1.5]]}
    assert known.name(2) == "abababab.2"


def test_the_same_corrections_make_one_version_however_often(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    assert [given(store, "1.1"), given(store, "1.1")] == [1, 1]


def test_a_head_of_another_backbone_is_never_used(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1", backbone="B1")
    assert store.patient(PETER).in_use("B2") is None
    with pytest.raises(RefusedError, match="belongs to backbone B1, but B2 is in use"):
        store.use(PETER, 1, "B2")


def test_each_backbone_keeps_its_own_version_in_use(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1", backbone="B1")
    given(store, "1.1", backbone="B2")
    known = store.patient(PETER)
    assert {b: known.in_use(b).number for b in ("B1", "B2")} == {"B1": 1, "B2": 2}  # type: ignore[union-attr]


def test_rollback_points_at_the_parent_and_ends_at_base(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1")
    given(store, "1.2", parent=1)
    assert store.rollback(PETER, "B1") == 1
    assert store.rollback(PETER, "B1") == BASE
    with pytest.raises(RefusedError, match="uses no version of its own: nothing to undo"):
        store.rollback(PETER, "B1")
    assert len(store.patient(PETER).versions) == 2


def test_a_version_that_is_not_there_cannot_be_used(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1")
    with pytest.raises(RefusedError, match="no model version 7"):
        store.use(PETER, 7, "B1")


def test_a_new_version_after_a_rollback_has_a_new_number(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1")
    store.use(PETER, BASE, "B1")
    assert given(store, "1.2") == 2


def test_patients_are_found_by_the_beginning_of_their_key(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1")
    assert store.find("abab").patient_key == PETER
    assert store.find("ABABA").patient_key == PETER  # an odd number of digits
    for nobody in ("cd", "", "xyz", "ab" * 40):
        with pytest.raises(RefusedError, match=f"no patients with a model .*{nobody!r}"):
            store.find(nobody)
    store.accept(
        PatientKey("abac" * 16), parent=0, backbone="B1", head={}, corrections=("1.2",),
        metrics={}, software="0.1.0",
    )  # fmt: skip
    with pytest.raises(RefusedError, match=r"several patients .* begins with 'aba'"):
        store.find("aba")


def test_a_forgotten_patient_has_the_base_model(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1")
    assert [store.forget(PETER), store.forget(PETER), store.forget(PAULA)] == [1, 0, 0]
    assert list(store.patients()) == []


def _accept_many(folder: str, beginning: int) -> None:
    store = ModelStore(Path(folder))
    for number in range(10):
        given(store, f"1.{beginning}.{number}")


def test_two_processes_lose_no_version(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both: list[Any] = [
        context.Process(target=_accept_many, args=(str(tmp_path), n)) for n in (1, 2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    versions = ModelStore(tmp_path).patient(PETER).versions
    assert [v.number for v in versions] == list(range(1, 21))


def test_the_base_head_that_a_person_chose_stays_with_the_next_backbone(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1", "B1")
    given(store, "1.2", "B2")
    assert [used.version.number for used in store.used_elsewhere(PETER, "B3")] == [2, 1]
    store.use(PETER, BASE, "B2")
    assert store.used_elsewhere(PETER, "B3") == []
    store.use(PETER, 1, "B1")
    assert [used.version.number for used in store.used_elsewhere(PETER, "B3")] == [1]
