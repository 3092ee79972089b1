"""Tests of `glioloop.preparation`."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from engine.prepared import read_prepared
from engine.ranks import Ranks
from glioloop import preparation
from glioloop.layouts import find_cases
from glioloop.preparation import prepare, prepared
from study.errors import RefusedError

EDGE = 24


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)


def _case(root: Path, name: str = "BraTS-GLI-00000-000", *, truth: bool = True) -> Path:
    """A stripped cube of brain, 16 mm wide; of it 8 mm are edema, one of them enhances."""
    rng = np.random.default_rng(0)
    image = np.zeros((EDGE,) * 3, np.float32)
    image[4:20, 4:20, 4:20] = rng.uniform(100.0, 200.0, (16, 16, 16))
    labels = np.zeros(image.shape, np.uint8)
    labels[8:16, 8:16, 8:16] = 2
    labels[10:14, 10:14, 10:14] = 3
    for sequence in ("t2f", "t1c"):
        _write(root / name / f"{name}-{sequence}.nii.gz", image)
    if truth:
        _write(root / name / f"{name}-seg.nii.gz", labels)
    return root


def _only(root: Path):
    [case] = find_cases(root)
    return case


def test_a_case_is_cut_out_around_its_brain(tmp_path):
    case = prepared(_only(_case(tmp_path)), 1.0)
    assert case.brain.shape == (20, 20, 20)  # 16 and a margin of two on each side
    assert np.count_nonzero(case.brain) == 16**3
    assert np.bincount(case.labels.ravel(), minlength=4).tolist() == [7488, 0, 448, 64]
    assert np.isnan(case.images[2]).all()
    assert case.images[0][case.brain].max() == pytest.approx(1.0, abs=0.05)
    assert (case.images[0][~case.brain] == 0).all()


def test_on_a_coarser_grid_a_voxel_is_what_most_of_it_is(tmp_path):
    case = prepared(_only(_case(tmp_path)), 2.0)
    assert np.count_nonzero(case.brain) == 8**3
    assert np.bincount(case.labels.ravel(), minlength=4).tolist()[1:] == [0, 56, 8]


def test_a_case_is_prepared_once(tmp_path, monkeypatch):
    _case(tmp_path / "data")
    first = prepare([tmp_path / "data"], tmp_path / "out", 2.0)
    before = first.training[0].stat().st_mtime_ns
    monkeypatch.setattr(preparation, "prepared", lambda *_args: pytest.fail("made again"))
    again = prepare([tmp_path / "data"], tmp_path / "out", 2.0)
    assert again == first
    assert again.training[0].stat().st_mtime_ns == before
    assert again.without_t2 == 1
    assert "BraTS" not in again.training[0].name


def test_another_grid_and_other_files_are_prepared_again(tmp_path):
    _case(tmp_path / "data")
    for spacing in (2.0, 3.0):
        [path] = prepare([tmp_path / "data"], tmp_path / "out", spacing).training
        assert read_prepared(path).spacing_mm == spacing
    seg = next((tmp_path / "data").rglob("*-seg.nii.gz"))
    _write(seg, np.zeros((EDGE,) * 3, np.uint8))
    [path] = prepare([tmp_path / "data"], tmp_path / "out", 3.0).training
    assert not read_prepared(path).labels.any()


def test_all_dates_of_a_patient_are_held_out_together(tmp_path):
    for patient in range(6):
        for date in (0, 1):
            _case(tmp_path / "data", f"BraTS-GLI-{patient:05}-{date:03}")
    found = prepare([tmp_path / "data"], tmp_path / "out", 4.0, share=0.3)
    assert len(found.training) + len(found.held_out) == 12
    assert len(found.held_out) in {2, 4, 6}
    again = prepare([tmp_path / "data"], tmp_path / "out", 4.0, share=0.3)
    assert again.held_out == found.held_out


def test_someone_is_held_out_and_someone_learnt_from():
    for share in (0.001, 0.5, 0.999):
        held_out = preparation._held_out({"a", "b", "c"}, share)
        assert 0 < len(held_out) < 3
    assert preparation._held_out({"a"}, 0.5) == set()
    assert preparation._held_out({"a", "b"}, 0.0) == set()
    with pytest.raises(RefusedError, match="can be held out, not 1"):
        preparation._held_out({"a", "b"}, 1.0)


def test_two_processes_prepare_half_each(tmp_path, monkeypatch):
    for patient in range(2):
        _case(tmp_path / "data", f"BraTS-GLI-{patient:05}-000")
    monkeypatch.setattr(Ranks, "wait", lambda _self: None)
    prepare([tmp_path / "data"], tmp_path / "out", 4.0, ranks=Ranks(1, 2))
    assert len(list((tmp_path / "out").iterdir())) == 1
    prepare([tmp_path / "data"], tmp_path / "out", 4.0, ranks=Ranks(0, 2))
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_sites_own_mask_is_the_brain(tmp_path, monkeypatch):
    # Noise cannot be aligned; how heads are is tested with `converter.align`.
    monkeypatch.setattr(preparation, "align_volumes", preparation._in_place)
    image = np.random.default_rng(0).uniform(1.0, 2.0, (EDGE,) * 3).astype(np.float32)
    for name in ("flair", "t1gd"):
        _write(tmp_path / "x" / f"{name}.nii.gz", image)
    mask = np.zeros(image.shape, np.uint8)
    mask[6:18, 6:18, 6:18] = 1
    _write(tmp_path / "x" / "brain.nii.gz", mask)
    _write(tmp_path / "x" / "seg.nii.gz", mask * 4)
    case = prepared(_only(tmp_path), 1.0, {0: 0, 4: 3})
    assert np.count_nonzero(case.brain) == 12**3
    assert np.count_nonzero(case.labels == 3) == 12**3


def test_without_cases_or_truth_nothing_is_trained(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RefusedError, match="no case was found"):
        prepare([tmp_path / "empty"], tmp_path / "out", 2.0)
    _case(tmp_path / "data", truth=False)
    with pytest.raises(RefusedError, match="1 of 1 cases have no segmentation, first BraTS-GLI"):
        prepare([tmp_path / "data"], tmp_path / "out", 2.0)


def test_an_image_that_is_empty_in_the_brain_is_refused(tmp_path):
    _case(tmp_path)
    path = next(tmp_path.rglob("*-t2f.nii.gz"))
    _write(path, np.zeros((EDGE,) * 3, np.float32))
    with pytest.raises(RefusedError, match="FLAIR is 0 in the brain"):
        prepared(_only(tmp_path), 1.0)


def test_a_real_case_is_prepared(real_data, tmp_path):
    folder = real_data / "brats" / "BraTS-GLI-00000-000"
    if not folder.is_dir():
        pytest.skip(f"needs the real case {folder.name}")
    case = prepared(_only(folder), 3.0)
    assert 1000.0 < np.count_nonzero(case.brain) * 0.027 < 1900.0  # mL
    assert set(np.unique(case.labels)) == {0, 1, 2, 3}
    assert np.isfinite(case.images).all()
