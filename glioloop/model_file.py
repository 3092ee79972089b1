"""A head as bytes: safetensors, so that nothing is unpickled and every number stays as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from study.errors import RefusedError

_HEADER_BYTES = 8
"""Of the header's length, at the beginning of a safetensors file."""


def pack(head: Mapping[str, Any]) -> bytes:
    """Bytes of what `engine.head.Head.to_json` holds.

    Parameters
    ----------
    head
        Lists of numbers, of any depth, become float32 tensors; all else is metadata.

    Raises
    ------
    RefusedError
        If a number is not finite, or is none of 32 bits: the head would not be the same again.
    """
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    rest: dict[str, str] = {}
    for name, value in head.items():
        array = _numbers(name, value) if isinstance(value, list) and value else None
        if array is None:
            rest[name] = json.dumps(value)
        else:
            tensors[name] = array
    return bytes(save(tensors, rest or None))


def unpack(content: bytes) -> dict[str, Any]:
    """Undo `pack`.

    Raises
    ------
    RefusedError
        If the bytes are no such file.
    """
    try:
        tensors = load(content)
        size = int.from_bytes(content[:_HEADER_BYTES], "little")
        header = json.loads(content[_HEADER_BYTES : _HEADER_BYTES + size])
        rest = {name: json.loads(text) for name, text in header.get("__metadata__", {}).items()}
    except (SafetensorError, ValueError) as error:
        raise RefusedError(f"these bytes are no head: {error}") from error
    return {**rest, **{name: array.tolist() for name, array in tensors.items()}}


def _numbers(name: str, value: list[Any]) -> npt.NDArray[np.float32] | None:
    """An array of 32 bits that holds exactly these numbers; None where they are no numbers."""
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise RefusedError(f"{name!r} of a head is no array of numbers: {error}") from error
    if given.dtype.kind not in "iuf":
        return None
    exact = given.astype(np.float64)
    with np.errstate(over="ignore"):
        found = exact.astype(np.float32)
    if not np.isfinite(exact).all() or not np.array_equal(found.astype(np.float64), exact):
        raise RefusedError(
            f"{name!r} of a head holds a number that is not finite, or not one of 32 bits"
        )
    return found
