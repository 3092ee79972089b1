"""Tests of `glioloop.training`, on label maps of phantoms."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from engine.anatomy import Substance, load_pack
from engine.labelmaps import pack
from engine.phantom import phantom_map
from engine.weights import load
from glioloop.training import Wish, order, train_model
from study.errors import RefusedError

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
