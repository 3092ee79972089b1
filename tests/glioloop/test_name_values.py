"""Names and values as a person writes them."""

from __future__ import annotations

import pytest

from glioloop.name_values import pairs
from study.errors import RefusedError


def test_names_and_values_are_told_apart_at_the_first_sign() -> None:
    assert pairs(["Seg 2=edema", " scratch = none ", "", "a=b=c"]) == {
        "Seg 2": "edema",
        "scratch": "none",
        "a": "b=c",
    }
    assert pairs([]) == {}


@pytest.mark.parametrize("text", ["edema", "=edema", "Seg 2=", " = "])
def test_half_a_pair_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="NAME=VALUE is needed, not"):
        pairs(["Seg 1=edema", text])
