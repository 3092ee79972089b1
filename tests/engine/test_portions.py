"""Stacks in portions, with a memory that does not suffice."""

from __future__ import annotations

import numpy as np
import pytest

from engine.portions import in_portions


class Device:
    """One with memory for so many items."""

    def __init__(self, holds: int) -> None:
        self.holds = holds
        self.asked: list[int] = []

    def __call__(self, stack: np.ndarray) -> np.ndarray:
        """Twice each item."""
        self.asked.append(len(stack))
        if len(stack) > self.holds:
            raise MemoryError
        return 2 * stack


STACK = np.arange(14, dtype=np.float32).reshape(7, 2)


def test_what_fits_is_one_call() -> None:
    device = Device(holds=7)
    assert np.array_equal(in_portions(device, STACK, 16, MemoryError), 2 * STACK)
    assert device.asked == [7]


def test_portions_keep_the_order() -> None:
    device = Device(holds=7)
    assert np.array_equal(in_portions(device, STACK, 3, MemoryError), 2 * STACK)
    assert device.asked == [3, 3, 1]


def test_memory_that_does_not_suffice_halves_the_portion() -> None:
    device = Device(holds=2)
    assert np.array_equal(in_portions(device, STACK, 7, MemoryError), 2 * STACK)
    # 7 and 3 are too many; 1 is what remains of 3.
    assert device.asked == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_single_item_that_is_too_large_is_said() -> None:
    device = Device(holds=0)
    with pytest.raises(MemoryError):
        in_portions(device, STACK, 4, MemoryError)
    assert device.asked == [4, 2, 1]


def test_any_other_error_is_no_reason_to_try_again() -> None:
    def fail(_stack: np.ndarray) -> np.ndarray:
        raise ValueError("no memory has to do with it")

    with pytest.raises(ValueError, match="no memory"):
        in_portions(fail, STACK, 4, MemoryError)
