"""A stack that is too large for a device's memory, in portions that are not."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]


def in_portions(
    call: Callable[[Array], Array],
    stack: Array,
    most: int,
    too_much: type[Exception] | tuple[type[Exception], ...],
) -> Array:
    """Call with at most so many items at once; half as many whenever memory does not suffice.

    Parameters
    ----------
    call
        ``(n, ...)`` to ``(n, ...)``; items do not depend on one another.
    stack
        ``(N, ...)``, N at least 1.
    most
        Items in the first call, at least 1.
    too_much
        What `call` raises where memory does not suffice.

    Returns
    -------
    numpy.ndarray
        ``(N, ...)`` in the order of the stack.

    Raises
    ------
    too_much
        If memory does not suffice for a single item.
    """
    answers: list[Array] = []
    done = 0
    while done < len(stack):
        some = stack[done : done + most]
        try:
            answers.append(call(some))
        except too_much:
            if len(some) == 1:
                raise
            most = len(some) // 2
            logger.info("memory does not suffice for %d patches at once: %d", len(some), most)
            continue
        done += len(some)
    return answers[0] if len(answers) == 1 else np.concatenate(answers)
