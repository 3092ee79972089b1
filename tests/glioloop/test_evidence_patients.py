"""Tests of `glioloop.evidence_patients`: what goes on in a folder, and what may not."""

import json
from pathlib import Path

import pytest

from engine.weights import shipped
from glioloop.evidence_patients import RECORD, Models, held_out, open_folder
from study.errors import RefusedError

MODELS = Models(shipped("base"), shipped("brain"))


def test_the_last_maps_of_a_folder_are_held_out(tmp_path: Path) -> None:
    for name in ("b", "a", "d", "c"):
        (tmp_path / f"{name}.nii.gz").touch()
    assert [path.name for path in held_out(tmp_path, 2)] == ["c.nii.gz", "d.nii.gz"]
    with pytest.raises(RefusedError, match=r"holds 4 \*\.nii\.gz head label maps, 5 are held out"):
        held_out(tmp_path, 5)


def test_without_a_folder_heads_are_made_by_code() -> None:
    assert held_out(None, 4) == ()


def test_an_experiment_goes_on_in_its_folder_and_no_other_one(tmp_path: Path) -> None:
    first = open_folder(tmp_path, {"seed": 1, "field": (2.0, 3.0)}, [Path("x/a.nii.gz")], MODELS)
    assert json.loads((tmp_path / RECORD).read_text()) == first
    assert first["anatomies"] == ["a.nii.gz"]
    assert first["ranges"] == {"seed": 1, "field": [2.0, 3.0]}
    again = open_folder(tmp_path, {"seed": 1, "field": (2.0, 3.0)}, [Path("y/a.nii.gz")], MODELS)
    assert again == first
    with pytest.raises(RefusedError, match=r"holds another experiment .* name another folder"):
        open_folder(tmp_path, {"seed": 2, "field": (2.0, 3.0)}, [Path("x/a.nii.gz")], MODELS)
