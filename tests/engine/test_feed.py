"""Tests of `engine.feed`: from heads to batches."""

import numpy as np
import pytest

from engine.crops import Example
from engine.feed import Queue, Ring, feed_for, mixed, validation_batches
from engine.plan import Plan

QUEUED = Plan(crops=4, edge=4, ring=2, strategy="random", per_volume=6)


def _head(number: int, shape=(8, 8, 8)) -> Example:
    """A head whose voxels all hold its number."""
    images = np.full((3, *shape), number, np.float16)
    return Example(images, np.zeros(shape, np.uint8), np.ones(shape, bool))


def _numbers(images) -> list[int]:
    return [int(image[0, 0, 0, 0]) for image in images]


def test_a_queue_shows_as_many_patches_of_each_volume_as_the_plan_says():
    queue = Queue(QUEUED, 1, np.random.default_rng(0))
    assert not queue.ready
    queue.add(_head(1))
    assert queue.ready
    assert queue.hungry  # twelve patches of two volumes are to be mixed
    queue.add(_head(2))
    assert not queue.hungry
    batches = [_numbers(queue.batch()[0]) for _ in range(3)]
    assert sorted(n for batch in batches for n in batch) == [1] * 6 + [2] * 6
    assert batches != [[1] * 4, [1, 1, 2, 2], [2] * 4]
    assert not queue.ready


def test_a_queue_of_a_grid_keeps_its_order_and_shows_every_patch_once():
    plan = QUEUED.changed(strategy="sequential")
    head = _head(0)
    head.images[0] = np.arange(512).reshape(8, 8, 8)
    queue = Queue(plan, 1, np.random.default_rng(0))
    queue.add(head)
    means = [float(image[0].mean()) for _ in range(2) for image in queue.batch()[0]]
    # Corners at 0 and 4 on each axis: the mean grows by 256, 32 and 4.
    first = 1.5 * (64 + 8 + 1)
    steps = [256 * a + 32 * b + 4 * c for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    assert means == pytest.approx([first + step for step in steps])
    assert not queue.ready


def test_a_queue_of_whole_images_gives_each_once():
    queue = Queue(QUEUED.changed(strategy="whole", crops=2), 4, np.random.default_rng(0))
    queue.add(_head(1, (5, 4, 4)))
    queue.add(_head(2, (4, 4, 4)))
    images, _labels = queue.batch()
    assert images.shape == (2, 3, 8, 4, 4)
    assert sorted(_numbers(images)) == [1, 2]


def test_a_ring_keeps_the_newest_heads():
    ring = Ring(Plan(crops=2, edge=4, ring=2), 1, np.random.default_rng(0))
    ring.add(_head(1))
    assert not ring.ready
    for number in (2, 3):
        ring.add(_head(number))
    assert sorted(_numbers(ring.batch()[0])) == [2, 3]


def test_the_plan_chooses_ring_or_queue():
    rng = np.random.default_rng(0)
    assert isinstance(feed_for(QUEUED, 1, rng), Queue)
    assert isinstance(feed_for(Plan(), 1, rng), Ring)


def test_a_mixture_keeps_its_share_though_one_source_is_slow():
    """The slow source has a head at every third call only."""
    calls = {"slow": 0}

    def slow(_wait: bool) -> Example | None:
        calls["slow"] += 1
        return _head(1) if calls["slow"] % 3 == 0 else None

    take = mixed(slow, lambda _wait: _head(2), 0.5, np.random.default_rng(0))
    heads = [head for _ in range(2000) if (head := take(False)) is not None]
    share = np.mean([int(head.images[0, 0, 0, 0]) == 1 for head in heads])
    assert share == pytest.approx(0.5, abs=0.06)


def test_validation_shows_the_same_patches_each_time():
    heads = [_head(1), _head(2)]
    heads[0].images[0] = np.arange(512).reshape(8, 8, 8)
    first, again = (list(validation_batches(heads, QUEUED, 1)) for _ in range(2))
    assert len(first) == 2
    assert first[0][0].shape == (4, 3, 4, 4, 4)
    np.testing.assert_array_equal(first[0][0].numpy(), again[0][0].numpy())


def test_a_full_ring_takes_a_head_every_so_many_batches():
    plan = Plan(crops=1, edge=4, ring=2, renewal=3, strategy="random")
    ring = Ring(plan, 1, np.random.default_rng(0))
    ring.add(_head(1))
    ring.batch()
    assert ring.hungry  # not full yet
    ring.add(_head(2))
    wanted = []
    for _ in range(4):
        wanted.append(ring.hungry)
        ring.batch()
    assert wanted == [False, False, False, True]
    ring.add(_head(3))
    assert not ring.hungry
