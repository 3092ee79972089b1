"""Which series a study is segmented with, and which roles it can do without."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_world import write_slice, write_study

from glioloop.choice import choose, tolerated_by, without
from study.errors import HeldError
from study.tissue import Role


def test_three_sequences_are_chosen(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    found = choose(study.every())
    assert {role: series.series_uid for role, series in found.chosen.items()} == {
        Role.FLAIR: f"{study.uid}.1",
        Role.T1GD: f"{study.uid}.2",
        Role.T2: f"{study.uid}.3",
    }


def test_a_missing_t2_holds_the_study_unless_the_model_tolerates_that(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    files = study.every("FLAIR", "T1GD")
    with pytest.raises(HeldError, match="T2 is missing"):
        choose(files)
    assert set(choose(files, tolerated=tolerated_by(["T2"])).chosen) == {Role.FLAIR, Role.T1GD}


def test_flair_and_t1gd_are_always_needed(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    every = tolerated_by(["FLAIR", "T1GD", "T2"])
    assert every == {Role.T2}
    with pytest.raises(HeldError, match="FLAIR is missing"):
        choose(study.every("T1GD", "T2"), tolerated=every)
    with pytest.raises(HeldError, match="T1GD is missing"):
        choose(study.every("FLAIR", "T2"), tolerated=every)


def test_a_tolerated_role_may_be_missing_but_not_in_doubt(tmp_path: Path) -> None:
    """A series that is T2 and T1 in equal parts: a person can tell, so it is not left out."""
    study = write_study(tmp_path)
    doubtful = [
        write_slice(
            tmp_path, study.uid, 4, k, SeriesDescription="t2 t1", EchoTime=None, RepetitionTime=None
        )
        for k in range(12)
    ]
    files = [*study.every("FLAIR", "T1GD"), *doubtful]
    with pytest.raises(HeldError, match="T2 is ambiguous: more than one class fits series 4"):
        choose(files, tolerated={Role.T2})
    overrides = {Role.T2: f"{study.uid}.4"}
    found = choose(files, overrides, tolerated={Role.T2})
    assert found.chosen[Role.T2].series_uid == f"{study.uid}.4"


def test_what_a_result_was_made_without_is_said() -> None:
    assert without(set(Role)) == ""
    assert without({Role.FLAIR, Role.T1GD}) == "without T2"
