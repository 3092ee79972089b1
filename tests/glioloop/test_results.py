"""A result's id says what it was made of, and its files never change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glioloop.results import REPORT, SEG, Choice, Recipe, ResultStore
from study.errors import RefusedError
from study.tissue import Role

CHOICE = Choice(
    {Role.FLAIR: "1.1", Role.T1GD: "1.2", Role.T2: "1.3"},
    {Role.FLAIR: ["1.1.1", "1.1.2"], Role.T1GD: ["1.2.1"], Role.T2: ["1.3.1"]},
)
RECIPE = Recipe(CHOICE.id, "m 1", "B1", "base", {"mode": "standard"}, 0)


def test_the_order_of_instances_and_roles_does_not_matter() -> None:
    other = Choice(
        CHOICE.series,
        {Role.T2: ["1.3.1"], Role.T1GD: ["1.2.1"], Role.FLAIR: ["1.1.2", "1.1.1"]},
    )
    assert other.id == CHOICE.id


@pytest.mark.parametrize(
    "instances",
    [
        {Role.FLAIR: ["1.1.1"], Role.T1GD: ["1.2.1"], Role.T2: ["1.3.1"]},
        {Role.FLAIR: ["1.1.1", "1.1.2"], Role.T1GD: ["1.3.1"], Role.T2: ["1.2.1"]},
    ],
    ids=["an instance less", "roles exchanged"],
)
def test_another_choice_has_another_id(instances: dict[Role, list[str]]) -> None:
    assert Choice(CHOICE.series, instances).id != CHOICE.id


@pytest.mark.parametrize(
    "change",
    [
        {"choice": "0" * 32},
        {"model": "m 2"},
        {"backbone": "B2"},
        {"head": "abababab.1"},
        {"settings": {"mode": "fast"}},
        {"request": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_a_result_changes_its_id(change: dict[str, Any]) -> None:
    assert replace(RECIPE, **change).result_id != RECIPE.result_id


def test_the_id_is_the_same_in_every_process() -> None:
    assert RECIPE.result_id == "f660a82cc258c1288048b18c68b6f8de"


def test_a_file_is_written_once_and_stays_as_it_is(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    uid = RECIPE.result_id
    assert not store.has(uid, SEG)
    store.write(uid, SEG, b"first")
    store.write(uid, SEG, b"second")
    assert store.path(uid, SEG).read_bytes() == b"first"
    assert [p.name for p in (tmp_path / uid).iterdir()] == [SEG]


def test_only_results_with_a_report_are_finished(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write("a" * 32, SEG, b"")
    store.write("b" * 32, REPORT, b'{"study_uid": "1.2"}')
    assert list(store.finished()) == ["b" * 32]
    assert store.report("b" * 32) == {"study_uid": "1.2"}


@pytest.mark.parametrize("name", ["../../etc", "", "a" * 31, "a" * 31 + "/"])
def test_what_is_no_result_id_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="no id of a result"):
        ResultStore(tmp_path).path(name, SEG)
