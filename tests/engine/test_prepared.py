"""Tests of `engine.prepared` and `engine.augment`."""

from pathlib import Path

import numpy as np
import pytest

from engine.augment import NONE, Augmentation, with_bias, with_noise, without_t2
from engine.normalisations import Z_NORMALISATION, Z_OUTSIDE
from engine.normalise import DROPPED
from engine.prepared import (
    Prepared,
    case_stream,
    fingerprint_of,
    held_out_examples,
    read_prepared,
    shown,
    write_prepared,
)
from study.errors import RefusedError

SHAPE = (7, 6, 5)


def _case(number: int = 1, *, t2: bool = True) -> Prepared:
    """Noise in the brain, which is all but the first slice; one voxel says which case it is."""
    rng = np.random.default_rng(number)
    images = rng.uniform(0.2, 1.0, (3, *SHAPE)).astype(np.float16)
    images[2] = images[2] if t2 else np.nan
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 3, 3] = number
    brain = np.ones(SHAPE, bool)
    brain[0] = False
    return Prepared(images, labels, brain, 2.0)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{number}.npz" for number in (1, 2, 3)]
    for number, path in enumerate(found, 1):
        write_prepared(path, _case(number), "f")
    return found


def test_a_case_is_read_as_it_was_written(paths):
    case, again = _case(2), read_prepared(paths[1])
    np.testing.assert_array_equal(again.images, case.images)
    np.testing.assert_array_equal(again.labels, case.labels)
    np.testing.assert_array_equal(again.brain, case.brain)
    assert again.spacing_mm == 2.0
    assert fingerprint_of(paths[1]) == "f"


def test_what_is_no_prepared_case_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 broken")
    assert fingerprint_of(tmp_path / "x.npz") is None
    with pytest.raises(RefusedError, match="is no prepared case"):
        read_prepared(tmp_path / "x.npz")


def test_a_case_is_shown_as_it_is_used():
    """Z-scores in the brain, constants outside it and in a missing channel."""
    case = _case(t2=False)
    example = shown(case, Z_NORMALISATION, NONE, np.random.default_rng(0))
    inside = example.images[0][case.brain].astype(float)
    assert inside.mean() == pytest.approx(0.0, abs=1e-3)
    assert inside.std() == pytest.approx(1.0, abs=1e-3)
    assert (example.images[:2, 0] == Z_OUTSIDE).all()
    assert (example.images[2] == DROPPED).all()


def test_what_is_done_to_a_case_leaves_its_constants_alone():
    case = _case(t2=False)
    always = Augmentation(bias=1.0, noise=1.0, drop_t2=1.0)
    example = shown(case, Z_NORMALISATION, always, np.random.default_rng(0))
    plain = shown(case, Z_NORMALISATION, NONE, np.random.default_rng(0))
    assert (example.images[:2, 0] == Z_OUTSIDE).all()
    assert (example.images[2] == DROPPED).all()
    changed = np.abs(example.images[:2, 1:].astype(float) - plain.images[:2, 1:].astype(float))
    assert 0.01 < changed.mean() < 1.0


def test_a_bias_field_is_smooth_and_multiplies():
    images = np.ones((3, 20, 20, 20), np.float32)
    images[2] = np.nan
    once = Augmentation(bias=1.0)
    field = with_bias(images, once, np.random.default_rng(3))
    assert np.isnan(field[2]).all()
    assert (field[:2] > 0).all()
    assert field[0].std() > 0.01
    # Its logarithm is a polynomial of degree three: fourth differences vanish.
    assert np.abs(np.diff(np.log(field[0].astype(float)), 4, axis=0)).max() < 1e-4
    twice = with_bias(images * 2.0, once, np.random.default_rng(3))
    np.testing.assert_allclose(twice[:2], 2.0 * field[:2], rtol=1e-5)


def test_noise_is_at_most_a_quarter_of_a_standard_deviation():
    images = np.zeros((1, 20, 20, 20), np.float32)
    spread = [
        float(with_noise(images, Augmentation(noise=1.0), 0.5, np.random.default_rng(n)).std())
        for n in range(12)
    ]
    assert max(spread) < 0.13
    assert max(spread) > 0.06
    assert min(spread) < 0.06


def test_half_of_the_cases_are_changed():
    images = np.ones((3, 2, 2, 2), np.float32)
    rng = np.random.default_rng(0)
    half = Augmentation(bias=0.5, noise=0.5, drop_t2=0.5)
    noisy = sum(with_noise(images, half, 1.0, rng) is not images for _ in range(100))
    dropped = sum(np.isnan(without_t2(images, half, rng)[2]).all() for _ in range(100))
    assert 35 < noisy < 65
    assert 35 < dropped < 65


def test_what_is_no_probability_is_refused():
    with pytest.raises(RefusedError, match="noise is a probability, from 0 to 1, not 2"):
        Augmentation(noise=2.0)


def _numbers(stream, count: int) -> list[int]:
    return [int(next(stream).labels[3, 3, 3]) for _ in range(count)]


def test_an_epoch_shows_every_case_once(paths):
    stream = case_stream(paths, Z_NORMALISATION, NONE, seed=1)
    epochs = [_numbers(stream, 3) for _ in range(6)]
    assert all(sorted(epoch) == [1, 2, 3] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_stream_is_the_same_for_the_same_seed(paths):
    always = Augmentation(bias=1.0, noise=1.0)
    one, two = (next(case_stream(paths, Z_NORMALISATION, always, seed=4)) for _ in range(2))
    np.testing.assert_array_equal(one.images, two.images)


def test_several_processes_share_the_cases_of_an_epoch(paths):
    parts = [
        _numbers(case_stream(paths, Z_NORMALISATION, NONE, seed=1, share=(rank, 2)), 2 - rank)
        for rank in (0, 1)
    ]
    assert sorted(parts[0] + parts[1]) == [1, 2, 3]


def test_without_a_case_nothing_is_shown():
    with pytest.raises(RefusedError, match="no case to train on"):
        case_stream([], Z_NORMALISATION, NONE, seed=1)


def test_held_out_cases_are_shown_as_they_are_and_in_order(paths):
    found = list(held_out_examples(paths[1:], Z_NORMALISATION))
    assert [int(e.labels[3, 3, 3]) for e in found] == [2, 3]
    plain = shown(_case(2), Z_NORMALISATION, NONE, np.random.default_rng(9))
    np.testing.assert_array_equal(found[0].images, plain.images)
