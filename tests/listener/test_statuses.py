"""Which answers are worth another try."""

from __future__ import annotations

import pytest
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from listener import statuses


@pytest.mark.parametrize("status", [0xA700, 0xA702, 0xA7FF, 0x0110])
def test_out_of_resources_and_processing_failure_are(status: int) -> None:
    assert statuses.is_retryable(status)


@pytest.mark.parametrize("status", [0x0000, 0x0122, 0xA6FF, 0xA800, 0xA900, 0xB000, 0xC000])
def test_others_are_not(status: int) -> None:
    assert not statuses.is_retryable(status)


def test_a_status_is_written_in_four_hexadecimal_digits() -> None:
    assert statuses.name(0x0117) == "0x0117"


def test_pynetdicoms_own_table_knows_what_we_answer() -> None:
    """Every failure of ours is one that a sender can look up (PS3.4 Table B.2-1)."""
    for status in (
        statuses.SUCCESS,
        statuses.INVALID_SOP_INSTANCE,
        statuses.OUT_OF_RESOURCES,
        statuses.DOES_NOT_MATCH_SOP_CLASS,
        statuses.CANNOT_UNDERSTAND,
        statuses.NO_DATA_SET,
        statuses.HANDLER_FAILED,
    ):
        assert status in STORAGE_SERVICE_CLASS_STATUS
