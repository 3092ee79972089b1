"""Tests of `glioloop.training`, on label maps of phantoms."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from engine.anatomy import Substance, load_pack
from engine.case_validation import validate_cases
from engine.labelmaps import pack
from engine.phantom import phantom_map
from engine.weights import load
from glioloop import training_run
from glioloop.cli import build
from glioloop.training_order import Wish, order
from glioloop.training_run import _with_epoch, train_model
from study.errors import RefusedError

pytestmark = pytest.mark.slow

FREESURFER = {
    Substance.SKIN: 511,
    Substance.SOFT: 507,
    Substance.CORTICAL_BONE: 515,
    Substance.MARROW: 516,
    Substance.MUSCLE: 508,
    Substance.MUCOSA: 509,
    Substance.EYE: 506,
    Substance.CSF: 24,
    Substance.GREY: 3,
    Substance.WHITE: 2,
    Substance.ARTERY: 502,
    Substance.VEIN: 514,
    Substance.DEEP_GREY: 10,
    Substance.CHOROID: 31,
    Substance.BRAINSTEM: 16,
    Substance.CORD: 512,
}


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five label maps of one phantom; four are held out."""
    folder = tmp_path_factory.mktemp("anatomy")
    head = phantom_map(np.random.default_rng(3))
    numbers = np.zeros(256, np.int16)
    for substance, number in FREESURFER.items():
        numbers[substance] = number
    # (head, back, left) to NIfTI's RAS.
    array = numbers[head].transpose(2, 1, 0)[::-1, ::-1, :]
    first = folder / "map_0.nii.gz"
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array), np.eye(4)), first)
    for number in range(1, 5):
        (folder / f"map_{number}.nii.gz").write_bytes(first.read_bytes())
    return folder


def _train(anatomy: Path, out: Path, **named: object) -> Path:
    wanted = {"minutes": 3.0, "steps": 1, "filters": "2,4", "task": "brain", "workers": 1, **named}
    wish = Wish(anatomy=anatomy, out=out, **wanted)
    return train_model(order(wish), lambda _now: None).model


def test_a_training_writes_a_model_that_says_how_it_was_made(anatomy, tmp_path):
    model = load(_train(anatomy, tmp_path))
    assert model.manifest.name == "glioloop-brain"
    assert model.manifest.steps == 1
    assert model.manifest.network.filters == (2, 4)
    assert model.manifest.anatomies == ("5 head label maps, the last 4 held out",)


def test_without_cases_an_epoch_is_validated_on_held_out_anatomies(anatomy, tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "VALIDATION_HEADS", 1)
    wish = Wish(anatomy=anatomy, out=tmp_path, task="brain", filters="2,4", steps=1, epoch=1)
    what = order(replace(wish, workers=1, schedule="plateau", minutes=3.0))
    trained = train_model(replace(what, plan=what.plan.changed(ring=1)), lambda _now: None)
    assert trained.validation is not None
    assert (tmp_path / "best.safetensors").exists()


def test_label_maps_keep_their_substances_and_axes(anatomy, tmp_path):
    assert pack(anatomy, tmp_path / "heads.npz") == 5
    head = load_pack(tmp_path / "heads.npz")[0]
    whole = phantom_map(np.random.default_rng(3))
    found = np.argwhere(whole > 0)
    low, high = found.min(0), found.max(0) + 1
    np.testing.assert_array_equal(head, whole[low[0] : high[0], low[1] : high[1], low[2] : high[2]])


def test_an_unknown_task_is_refused(anatomy, tmp_path):
    with pytest.raises(RefusedError, match="task 'spine' is none of"):
        _train(anatomy, tmp_path, task="spine")


def test_a_folder_without_label_maps_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="holds no"):
        _train(tmp_path, tmp_path / "out")


def _brats(root: Path, number: int) -> None:
    """A stripped cube of brain with a cube of every tissue in it."""
    name = f"BraTS-GLI-{number:05}-000"
    (root / name).mkdir(parents=True)
    image = np.zeros((24, 24, 24), np.float32)
    image[2:22, 2:22, 2:22] = np.random.default_rng(number).uniform(1.0, 2.0, (20, 20, 20))
    labels = np.zeros(image.shape, np.uint8)
    labels[6:18, 6:18, 6:18], labels[8:16, 8:16, 8:16], labels[10:14, 10:14, 10:14] = 2, 3, 1
    for ending, array in (("t2f", image), ("t1c", image), ("t2w", image), ("seg", labels)):
        nib.save(nib.Nifti1Image(array, np.eye(4)), root / name / f"{name}-{ending}.nii.gz")


@pytest.fixture(scope="module")
def brats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small cases of as many patients."""
    folder = tmp_path_factory.mktemp("brats")
    for number in range(3):
        _brats(folder, number)
    return folder


SMALL = {"filters": "2,4", "edge": 16, "batch": 4, "workers": 0, "minutes": 2.0, "spacing": 1.0}


@pytest.mark.parametrize("strategy", ["balanced", "sequential", "whole"])
@pytest.mark.parametrize("output", ["multi-class", "multi-label"])
def test_the_published_plan_trains_on_cases(brats, tmp_path, strategy, output):
    wish = Wish(
        tmp_path,
        data=(brats,),
        plan="published",
        strategy=strategy,
        output=output,
        steps=2,
        epoch=1,
        **{**SMALL, "batch": 2},
    )
    trained = train_model(order(wish), lambda _now: None)
    assert trained.steps == 2
    assert trained.validation is not None
    manifest = load(trained.model).manifest
    assert manifest.normalisation == "brain-z/1"
    assert manifest.outside_value == -4.0
    assert manifest.tolerates_missing == ()
    assert manifest.anatomies == ("3 cases of patients, 1 held out",)
    assert len(manifest.labels) == (4 if output == "multi-class" else 3)
    assert load(tmp_path / "last").manifest.steps == 2


def test_a_training_on_cases_resumes_and_is_fine_tuned(brats, tmp_path):
    first = Wish(tmp_path / "a", data=(brats,), steps=2, epoch=0, **SMALL)
    model = train_model(order(first), lambda _now: None).model
    again = train_model(order(replace(first, steps=3)), lambda _now: None)
    assert again.steps == 3
    tuned = Wish(tmp_path / "b", data=(brats,), steps=1, start=str(model), workers=0, edge=16)
    notes = load(train_model(order(tuned), lambda _now: None).model).manifest.notes
    assert notes.startswith("Trained on images of patients. Begun from glioloop-base")


def test_cases_and_generated_heads_are_mixed(anatomy, brats, tmp_path):
    small = {**SMALL, "spacing": 4.0, "workers": 1}
    wish = Wish(tmp_path, anatomy=anatomy, data=(brats,), steps=2, epoch=0, generated=0.3, **small)
    mixture = replace(order(wish), plan=order(wish).plan.changed(ring=2))
    manifest = load(train_model(mixture, lambda _now: None).model).manifest
    assert manifest.anatomies == (
        "5 head label maps, the last 4 held out",
        "3 cases of patients, 1 held out",
    )
    assert "a share of 0.3 generated" in manifest.notes
    assert manifest.tolerates_missing == ("T2",)


def test_an_epoch_shows_each_case_once_but_has_twenty_steps(brats, tmp_path):
    plan = order(Wish(tmp_path, data=(brats,), plan="published")).plan
    wish = Wish(tmp_path, data=(brats,), plan="published")
    # Twelve patches a volume, twenty-four a step; on two processes half as many steps.
    assert _with_epoch(order(wish), 369, 1).epoch == 185
    assert _with_epoch(order(wish), 369, 2).epoch == 93
    assert _with_epoch(order(wish), 3, 1).epoch == 20
    assert _with_epoch(order(replace(wish, epoch=7)), 369, 1).epoch == 7
    assert plan.epoch == 500


def test_held_out_cases_are_scored(brats, tmp_path):
    wish = Wish(tmp_path, data=(brats,), steps=1, output="multi-label", **SMALL)
    trained = train_model(order(wish), lambda _now: None)
    score = validate_cases(trained.model, trained.cases.held_out)
    assert score.heads == 1
    # Their cubes hold 1728, 512 and 448 mm3; half a millilitre is 500.
    assert 0.0 <= score.dice["whole"] <= 1.0
    assert 0.0 <= score.dice["core"] <= 1.0
    assert np.isnan(score.dice["enhancing"])


def test_the_command_trains_scores_and_answers_in_json(brats, tmp_path):
    arguments = ["train", "--data", str(brats), "--out", str(tmp_path), "--json"]
    arguments += ["--strategy", "random", "--per-volume", "4", "--batch", "2", "--patch", "16"]
    arguments += ["--filters", "2,4", "--spacing", "1", "--steps", "2", "--epoch", "1"]
    arguments += ["--workers", "0", "--validate", "1", "--no-augment"]
    answer = CliRunner().invoke(build(["train"]), arguments, catch_exceptions=False)
    found = json.loads(answer.stdout)
    assert found["model"] == str(tmp_path / "model")
    assert found["steps"] == 2
    assert found["validation_loss"] > 0.0
    assert set(found["held_out_dice"]) == {"whole", "core", "enhancing"}
    assert found["held_out_dice"]["enhancing"] is None  # 448 mm3 of it: too little to count
