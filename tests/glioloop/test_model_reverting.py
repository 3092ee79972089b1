"""A head that is put out of use."""

from __future__ import annotations

from pathlib import Path

import pytest

from glioloop.model_merging import merge, person
from glioloop.model_reverting import revert
from glioloop.models import HeadVersion, ModelStore
from study.errors import FailedError

OLD, NEW = person(b"s", "", "OLD"), person(b"s", "", "NEW")


def accepted(store: ModelStore, number: int, backbone: str = "B1") -> HeadVersion:
    return store.accept(
        NEW.key,
        parent=number - 1,
        backbone=backbone,
        head={"weight": [[float(number)]]},
        corrections=(f"1.{number}",),
        metrics={},
        software="1",
    )


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def test_base_is_used_instead_and_the_versions_stay(store: ModelStore) -> None:
    accepted(store, 1)
    assert revert(store, NEW.key, accepted(store, 2), "lost")
    found = store.patient(NEW.key)
    assert found.current == {"B1": 0}
    assert [v.number for v in found.versions] == [1, 2]
    assert [(a.action, a.by, a.details) for a in store.audit(NEW.key)] == [
        ("revert", "the gate", {"from": 2, "reason": "lost"})
    ]


def test_once_more_is_harmless(store: ModelStore) -> None:
    version = accepted(store, 1)
    assert revert(store, NEW.key, version, "lost")
    assert not revert(store, NEW.key, version, "lost")
    assert len(store.audit(NEW.key)) == 1


def test_what_a_person_chose_meanwhile_stays(store: ModelStore) -> None:
    accepted(store, 1)
    version = accepted(store, 2)
    store.use(NEW.key, 1, "B1")
    assert not revert(store, NEW.key, version, "lost")
    assert store.patient(NEW.key).current == {"B1": 1}
    assert store.audit(NEW.key) == []


def test_a_merged_patients_head_is_put_out_of_use_under_either_id(store: ModelStore) -> None:
    version = accepted(store, 1)
    merge(store, OLD, NEW, "anna")
    assert revert(store, OLD.key, version, "lost")
    assert store.patient(NEW.key).current == {"B1": 0}


def test_a_store_that_is_read_only_says_so_and_changes_nothing(
    store: ModelStore, tmp_path: Path
) -> None:
    version = accepted(store, 1)
    store.close()
    closed = ModelStore(f"sqlite:///file:{tmp_path / 'models' / 'models.db'}?mode=ro&uri=true")  # type: ignore[arg-type]
    with pytest.raises(FailedError, match="nothing was changed: it is read-only"):
        revert(closed, NEW.key, version, "lost")
    assert closed.patient(NEW.key).current == {"B1": 1}
    closed.close()


def test_no_head_of_an_older_backbone_comes_back_with_the_next_one(store: ModelStore) -> None:
    accepted(store, 1)
    version = accepted(store, 2, "B2")
    assert [used.version.number for used in store.used_elsewhere(NEW.key, "B3")] == [2, 1]
    assert revert(store, NEW.key, version, "lost")
    assert store.used_elsewhere(NEW.key, "B3") == []
    assert store.patient(NEW.key).current == {"B1": 0, "B2": 0}
