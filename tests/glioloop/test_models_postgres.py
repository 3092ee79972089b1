"""The store of models in a real PostgreSQL: as in SQLite."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator

import postgres
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from glioloop.model_groups import key_of_group
from glioloop.model_merging import Person, merge, split
from glioloop.models import BASE, ModelStore
from study.errors import RefusedError
from study.patient import PatientKey

PETER, PAULA = PatientKey("ab" * 32), PatientKey("cd" * 32)
ONE, OTHER = Person(PETER, PETER), Person(PAULA, PAULA)


@pytest.fixture(scope="module")
def url(free_port: Callable[[], int]) -> Iterator[str]:
    with postgres.server(free_port()) as found:
        yield found


@pytest.fixture
def store(url: str) -> Iterator[ModelStore]:
    made = ModelStore(url)
    yield made
    for key in (PETER, PAULA, key_of_group("site")):
        made.forget(key)
        made.forget_merges(key)
    made.close()


def given(store: ModelStore, seg: str, key: PatientKey = PETER, group: str = "") -> int:
    made = store.accept(
        key,
        parent=BASE,
        backbone="B1",
        head={"weight": [[1.5]], "backbone_sha256": "B1"},
        corrections=(seg,),
        metrics={"dice_base": {"enhancing": 0.5}},
        software="0.1.0",
        group=group,
    )
    return made.number


def test_versions_groups_and_merges(store: ModelStore) -> None:
    given(store, "1.1", key_of_group("site"), "site")
    assert store.used(PETER, "B1", ["site"]).name == "site.1"  # type: ignore[union-attr]
    assert [given(store, "1.2"), given(store, "1.2"), given(store, "1.3")] == [1, 1, 2]
    assert store.find("abab").versions[0].metrics == {"dice_base": {"enhancing": 0.5}}
    assert store.rollback(PETER, "B1") == BASE
    assert store.used(PETER, "B1", ["site"]).name == "site.1"  # type: ignore[union-attr]
    store.use(PETER, 2, "B1")
    assert merge(store, ONE, OTHER, "anna")
    assert store.used(PAULA, "B1").version.corrections == ("1.3",)  # type: ignore[union-attr]
    split(store, ONE, OTHER, {"1.3"}, "anna")
    assert store.used(PAULA, "B1") is None
    assert len(store.latest(10)) == 4
    assert store.left_behind("B2", "", 10) == sorted([PETER, key_of_group("site")])
    assert store.forget(PETER) == 2
    with pytest.raises(RefusedError, match="was forgotten meanwhile"):
        store.accept(
            PETER, parent=0, backbone="B1", head={}, corrections=("1.2",), metrics={},
            software="0.1.0", began_at=1.0,
        )  # fmt: skip


def test_the_audit_can_only_grow(store: ModelStore) -> None:
    merge(store, ONE, OTHER, "anna")
    for change in ("update model_audit set by = ''", "delete from model_audit",
                   "truncate model_audit"):  # fmt: skip
        with (
            pytest.raises(DatabaseError, match="append-only"),
            store.database.engine.begin() as connection,
        ):
            connection.execute(text(change))


def _accept_many(url: str, beginning: int) -> None:
    store = ModelStore(url)
    for number in range(10):
        given(store, f"1.{beginning}.{number}")


def test_two_processes_lose_no_version(store: ModelStore, url: str) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_accept_many, args=(url, n)) for n in (1, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [v.number for v in store.patient(PETER).versions] == list(range(1, 21))
