"""Unforeseen failures, told without quoting data."""

from __future__ import annotations

import errno
import logging
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from glioloop.database import AwayError
from study.errors import FailedError, GlioloopError, OutageError

T = TypeVar("T")

PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOLCK}
)
"""Errors of the operating system that end when somebody makes room, or a file server is back."""
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
"""How a database says that it is down, locked, or has no room."""


class OutOfMemoryError(FailedError):
    """Something took more memory than there is, or than it was given."""


FRAMES = 4
"""How many of the last calls are named."""


def hush_libraries() -> None:
    """Keep libraries from telling odd values of headers: they would end in the log."""
    warnings.simplefilter("ignore")
    # Not by its level, which pydicom sets anew when it is imported.
    logging.getLogger("pydicom").disabled = True
    for name in ("pynetdicom", "httpx", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def where(name: str, error: BaseException) -> str:
    """What kind of error it was and where it happened, without its message.

    A message of a library may quote a header, and with it a patient's name.
    """
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    at = " > ".join(f"{'/'.join(Path(f.filename).parts[-2:])}:{f.lineno}" for f in frames)
    return f"{name} failed: {type(error).__name__} at {at}"


def guarded(function: Callable[..., T], *args: object) -> T:
    """Call a function at the border of a job, a child process or a thread.

    Raises
    ------
    GlioloopError
        What the function foresaw; `OutOfMemoryError` where memory ended, and `FailedError` for
        whatever else it raised.
    OutageError
        Where disk or database are away.
    """
    try:
        return function(*args)
    except AwayError as error:
        raise OutageError(str(error)) from error
    except (GlioloopError, OutageError):
        raise
    except MemoryError:
        # Where it happened tells little, and to find out takes memory.
        raise OutOfMemoryError(f"{getattr(function, '__name__', 'a step')}: no memory") from None
    except Exception as error:  # noqa: BLE001 - the border: whatever it was is a failure
        # Without its cause: records and logs would quote that one's message.
        said = where(getattr(function, "__name__", "a step"), error)
        raise (OutageError(said) if is_outage(error) else FailedError(said)) from None


def is_outage(error: BaseException) -> bool:
    """Whether an error is one of the machine or the database, and passes."""
    if isinstance(error, OSError):
        return error.errno in PASSING
    return isinstance(error, DATABASE_AWAY)
