"""Changed Patient IDs: merged and split, and written down for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from glioloop.model_merging import Person, merge, note, person, split
from glioloop.models import BASE, ModelStore
from study.errors import RefusedError
from study.patient import PatientKey

SECRET = b"a site's secret"
OLD, NEW = person(SECRET, "", "OLD-1"), person(SECRET, "", "NEW-1")
THIRD = person(SECRET, "HOSPITAL B", "B-7")


def given(store: ModelStore, who: Person, *segs: str, parent: int = BASE) -> int:
    made = store.accept(
        who.key,
        parent=parent,
        backbone="B1",
        head={"weight": [[float(len(segs))]], "of": segs[0]},
        corrections=segs,
        metrics={"dice_base": {"enhancing": 0.5}},
        software="0.1.0",
    )
    return made.number


def test_a_patient_id_is_hashed_and_a_placeholder_is_nobody() -> None:
    assert person(SECRET, "A", "7").key != person(SECRET, "B", "7").key
    assert person(SECRET, "A", "7").id_key == person(SECRET, "B", "7").id_key
    for nobody in ("", "ANON", "000"):
        with pytest.raises(RefusedError, match="stands for nobody"):
            person(SECRET, "", nobody)


def test_the_other_gets_the_head_if_it_has_none(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, OLD, "1.1")
    assert merge(store, OLD, NEW, "anna") is True
    for key in (OLD.key, NEW.key):
        assert store.owner(key) == NEW.key
        used = store.used(key, "B1")
        assert used is not None
        assert (used.owner, used.version.corrections) == (NEW.key, ("1.1",))
        assert used.version.metrics["merged_from"] == f"{OLD.key[:8]}.1"
    assert store.keys_of(OLD.key) == (NEW.key, OLD.key)
    # What is learnt from now on is the other's, whichever ID it came under.
    assert given(store, OLD, "1.1", "1.2", parent=1) == 2
    assert store.patient(NEW.key).current == {"B1": 2}


def test_a_head_of_its_own_stays(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, OLD, "1.1")
    given(store, NEW, "1.9")
    merge(store, OLD, NEW, "anna")
    used = store.used(OLD.key, "B1")
    assert used is not None
    assert used.version.corrections == ("1.9",)


def test_a_split_makes_everything_as_it_was(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, OLD, "1.1")
    given(store, NEW, "1.9")
    merge(store, OLD, NEW, "anna")
    given(store, NEW, "1.1", "1.9", parent=1)
    assert split(store, OLD, NEW, {"1.1"}, "anna") is True
    assert store.patient(OLD.key).current == {"B1": 1}
    assert store.patient(NEW.key).current == {"B1": 1}
    assert store.used(NEW.key, "B1").version.corrections == ("1.9",)  # type: ignore[union-attr]
    assert store.used(OLD.key, "B1").version.corrections == ("1.1",)  # type: ignore[union-attr]
    assert store.keys_of(NEW.key) == (NEW.key,)
    with pytest.raises(RefusedError, match="was not merged into"):
        split(store, OLD, NEW, {"1.1"}, "anna")


def test_a_head_that_came_by_the_merge_goes_with_the_split(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, OLD, "1.1")
    merge(store, OLD, NEW, "anna")
    split(store, OLD, NEW, {"1.1"}, "anna")
    assert store.used(NEW.key, "B1") is None
    assert store.used(OLD.key, "B1") is not None


def test_merges_follow_one_another_and_come_apart_again(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, OLD, "1.1")
    merge(store, OLD, NEW, "anna")
    merge(store, NEW, THIRD, "anna")
    assert {store.owner(p.key) for p in (OLD, NEW, THIRD)} == {THIRD.key}
    split(store, NEW, THIRD, {"1.1"}, "anna")
    assert [store.owner(p.key) for p in (OLD, NEW, THIRD)] == [NEW.key, NEW.key, THIRD.key]


def test_a_key_that_was_merged_finds_whom_it_was_merged_into(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, OLD, "1.1")
    merge(store, OLD, NEW, "anna")
    assert store.find(OLD.key[:12]).patient_key == NEW.key


def test_of_three_ids_none_uses_what_a_split_one_taught(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, NEW, "1.9")
    merge(store, OLD, NEW, "anna")
    assert given(store, NEW, "1.1", "1.9", parent=1) == 2
    merge(store, NEW, THIRD, "anna")
    split(store, OLD, NEW, {"1.1"}, "anna", {"1.9"})
    split(store, NEW, THIRD, {"1.9"}, "anna")
    used = store.used(NEW.key, "B1")
    assert used is not None
    assert used.version.corrections == ("1.9",)
    assert store.used(THIRD.key, "B1") is None


def test_whoever_is_split_off_uses_nothing_that_others_taught(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, OLD, "1.1")
    # Taught by files, without the service: nobody else's, so it stays.
    given(store, OLD, "1.1", "1.7", parent=1)
    given(store, OLD, "1.1", "1.7", "1.9", parent=2)
    merge(store, OLD, NEW, "anna")
    split(store, OLD, NEW, {"1.1"}, "anna", {"1.9"})
    assert store.patient(OLD.key).current == {"B1": 2}


def test_what_makes_no_sense_is_refused_and_repeating_is_harmless(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(RefusedError, match="one Patient ID of one issuer"):
        merge(store, OLD, OLD, "anna")
    assert merge(store, OLD, NEW, "anna") is True
    assert merge(store, OLD, NEW, "anna") is False
    with pytest.raises(RefusedError, match=r"was merged with .* split those two first"):
        merge(store, OLD, THIRD, "anna")
    with pytest.raises(RefusedError, match=r"was merged with .* split those two first"):
        merge(store, NEW, OLD, "anna")
    with pytest.raises(RefusedError, match="was not merged into"):
        split(store, OLD, THIRD, set(), "anna")
    assert [row.action for row in store.audit()] == ["merge"]


def test_the_audit_says_who_did_what_and_can_only_grow(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    merge(store, OLD, NEW, "anna")
    split(store, OLD, NEW, set(), "bert")
    note(store, "rollback", THIRD.key, "anna", to=0)
    rows = store.audit()
    assert [(r.action, r.key, r.other, r.by) for r in rows] == [
        ("merge", OLD.key, NEW.key, "anna"),
        ("split", OLD.key, NEW.key, "bert"),
        ("rollback", THIRD.key, None, "anna"),
    ]
    assert [r.action for r in store.audit(NEW.key)] == ["merge", "split"]
    assert store.audit(PatientKey("00" * 32)) == []
    for change in ("update model_audit set by = 'nobody'", "delete from model_audit"):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            store.database.engine.begin() as connection,
        ):
            connection.execute(text(change))
    assert [r.by for r in store.audit()] == ["anna", "bert", "anna"]


def test_no_patient_id_is_in_the_database(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    merge(store, OLD, NEW, "anna")
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("models.db*"))
    assert b"merge" in content
    for told in (b"OLD-1", b"NEW-1"):
        assert told not in content
