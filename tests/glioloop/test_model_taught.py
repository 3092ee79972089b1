"""Heads that some corrections taught are let go, or removed, whosever they are."""

from __future__ import annotations

from pathlib import Path

from glioloop import model_taught
from glioloop.model_groups import key_of_group
from glioloop.models import BASE, ModelStore
from study.patient import PatientKey

PETER, PAULA = PatientKey("ab" * 32), PatientKey("cd" * 32)
SITE = key_of_group("site")


def given(store: ModelStore, key: PatientKey, *segs: str, parent: int = BASE) -> int:
    made = store.accept(
        key,
        parent=parent,
        backbone="B1",
        head={"of": list(segs)},
        corrections=segs,
        metrics={},
        software="0.1.0",
        group="site" if key == SITE else "",
    )
    return made.number


def test_the_nearest_version_before_is_used(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, PETER, "1.1")
    given(store, PETER, "1.1", "1.2", parent=1)
    assert model_taught.point_elsewhere(store, PETER, {"1.9"}) == {}
    assert model_taught.point_elsewhere(store, PETER, {"1.2"}) == {2: 1}
    assert model_taught.point_elsewhere(store, PETER, {"1.2"}) == {}
    assert store.patient(PETER).current == {"B1": 1}
    assert model_taught.point_elsewhere(store, PETER, {"1.1"}) == {1: BASE}
    assert store.patient(PETER).current == {}
    assert len(store.patient(PETER).versions) == 2


def test_groups_are_known_also_without_the_settings(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, PETER, "1.1")
    given(store, SITE, "1.1")
    assert model_taught.groups(store) == [SITE]


def test_what_a_correction_taught_is_removed_from_everybody(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, SITE, "1.1")
    given(store, SITE, "1.1", "1.9", parent=1)
    given(store, SITE, "1.1", "1.3", parent=2)
    given(store, PAULA, "1.9")
    given(store, PETER, "1.1")
    assert model_taught.remove(store, {"1.9", "1.8"}) == 2
    group = store.group("site")
    assert [(v.number, v.parent) for v in group.versions] == [(1, BASE), (3, 1)]
    assert group.current == {"B1": 3}
    assert store.patient(PAULA).versions == ()
    assert store.patient(PAULA).current == {}
    assert store.patient(PETER).current == {"B1": 1}
    assert store.rollback(SITE, "B1") == 1
    assert model_taught.remove(store, {"1.9", "1.8"}) == 0


def test_what_is_removed_is_not_in_use(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, SITE, "1.1")
    given(store, SITE, "1.1", "1.9", parent=1)
    model_taught.remove(store, {"1.9"})
    used = store.used(PAULA, "B1", ["site"])
    assert used is not None
    assert used.name == "site.1"
