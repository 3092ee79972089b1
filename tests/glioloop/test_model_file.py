"""A head as safetensors: every number as it was, and nothing else taken for one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.head import Head
from glioloop.model_file import pack, unpack
from study.errors import RefusedError


def test_a_head_comes_back_bit_for_bit() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 24)).astype(np.float32)
    head = Head(weight, np.array([0.1, -0.0, 1e-30, 3e38], np.float32), "ab" * 32)
    given = json.loads(head.to_json())
    again = Head.from_json(json.dumps(unpack(pack(given))))
    assert again.weight.tobytes() == head.weight.tobytes()
    assert again.bias.tobytes() == head.bias.tobytes()
    assert again.backbone_sha256 == "ab" * 32
    assert len(pack(given)) < 700


def test_what_is_no_number_stays_beside_the_numbers() -> None:
    head = {"weight": [[1.5, 2.0]], "kind": "delta", "inputs": ["FLAIR", "T2"], "none": None}
    assert unpack(pack(head)) == head
    assert unpack(pack({})) == {}


@pytest.mark.parametrize("number", [0.1, float("nan"), float("inf"), 1e39, 2**24 + 1])
def test_a_number_that_32_bits_do_not_hold_is_refused(number: float) -> None:
    with pytest.raises(RefusedError, match="'bias' of a head holds a number"):
        pack({"bias": [1.0, number]})


def test_rows_of_different_length_are_no_head() -> None:
    with pytest.raises(RefusedError, match="'weight' of a head is no array of numbers"):
        pack({"weight": [[1.0], [1.0, 2.0]]})


@pytest.mark.parametrize("content", [b"", b"12345678", b"\xff" * 40, pack({"a": [1.0]})[:-1]])
def test_other_bytes_are_no_head(content: bytes) -> None:
    with pytest.raises(RefusedError, match="these bytes are no head"):
        unpack(content)
