"""Statuses of C-STORE: PS3.4 Table B.2-1, PS3.7 sections 9.1.1.1.9 and C.5.

Those of N-ACTION and N-EVENT-REPORT, of which Storage Commitment is made, are in PS3.7 Annex C.
"""

from __future__ import annotations

SUCCESS = 0x0000

PROCESSING_FAILURE = 0x0110
INVALID_ARGUMENT = 0x0115
INVALID_SOP_INSTANCE = 0x0117
NO_SUCH_ACTION = 0x0123
RESOURCE_LIMITATION = 0x0213

NOT_AUTHORISED = 0x0124
"""This peer may not send objects of this kind."""

OUT_OF_RESOURCES = 0xA700
"""Disk low, ledger down, too much waiting: the sender tries again later."""

DOES_NOT_MATCH_SOP_CLASS = 0xA900
"""The command names another SOP class or instance than the data set."""

CANNOT_UNDERSTAND = 0xC000
"""The data set cannot be read to its end, or lacks what every image needs."""

NO_DATA_SET = 0xC001
"""A C-STORE without a data set."""

TOO_MANY = 0xC002
"""The study has more instances than a study may have."""

HANDLER_FAILED = 0xC0FF
"""An error of ours that nobody foresaw; its traceback is in the log."""

WARNINGS = {
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class",
}
"""Statuses of an object that was stored, though not quite as it was sent."""


def is_retryable(status: int) -> bool:
    """Whether the same object may be accepted later: 0xA7xx, or 0x0110 *Processing failure*."""
    return 0xA700 <= status <= 0xA7FF or status == PROCESSING_FAILURE


def name(status: int) -> str:
    """Hexadecimal status, for messages."""
    return f"0x{status:04X}"
