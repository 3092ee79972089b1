"""Unforeseen failures are told without quoting data."""

from __future__ import annotations

import subprocess
import sys

import pytest

from glioloop import failures
from study.errors import FailedError, HeldError


def quote() -> None:
    raise KeyError("Doe^John")


def hold() -> None:
    raise HeldError("T2 is missing")


def test_what_was_foreseen_passes_as_it_is() -> None:
    with pytest.raises(HeldError, match="T2 is missing"):
        failures.guarded(hold)


def test_what_was_not_says_what_and_where_only() -> None:
    with pytest.raises(
        FailedError, match=r"quote failed: KeyError at .*test_failures\.py:\d+"
    ) as e:
        failures.guarded(quote)
    assert "Doe" not in str(e.value)
    assert e.value.__cause__ is None
    assert e.value.__suppress_context__


def test_an_answer_is_passed_on() -> None:
    assert failures.guarded(max, 1, 2) == 2


def test_libraries_do_not_tell_values_of_headers() -> None:
    script = (
        "import logging; logging.basicConfig(level=logging.DEBUG)\n"
        "from glioloop.failures import hush_libraries; hush_libraries()\n"
        "from pydicom.uid import UID; UID('../Doe^John').is_valid\n"
        "from pydicom import Dataset; Dataset().PatientBirthDate = '19330217x'\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "Doe" not in told.stderr
    assert "19330217" not in told.stderr
