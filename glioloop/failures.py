"""Unforeseen failures, told without quoting data."""

from __future__ import annotations

import traceback
from pathlib import Path

FRAMES = 4
"""How many of the last calls are named."""


def where(name: str, error: BaseException) -> str:
    """What kind of error it was and where it happened, without its message.

    A message of a library may quote a header, and with it a patient's name.
    """
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    at = " > ".join(f"{'/'.join(Path(f.filename).parts[-2:])}:{f.lineno}" for f in frames)
    return f"{name} failed: {type(error).__name__} at {at}"
