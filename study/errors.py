"""The errors of Glioloop.

::

    GlioloopError
    |-- RefusedError (ValueError)    we refuse this data: the sender or a person can change that
    |   |-- HeldError                it is kept, and waits for a person's decision
    |   `-- NotInScopeError          it is none of our work
    `-- FailedError (RuntimeError)   we failed: the data may be fine

`OutageError` stands beside the tree: nothing was found out, and the work is done again.

A message says what was found, what was needed, which UID, and what to do. It never
holds a patient's name, identifier or birth date: messages end in logs.
"""

from __future__ import annotations


class GlioloopError(Exception):
    """Something that Glioloop foresaw went wrong."""


class RefusedError(GlioloopError, ValueError):
    """This data is refused; the message says what would be accepted."""


class HeldError(RefusedError):
    """This data is kept, and waits for a person's decision."""


class NotInScopeError(RefusedError):
    """This data is none of Glioloop's work; nothing is answered to the PACS."""


class FailedError(GlioloopError, RuntimeError):
    """Glioloop failed; the same data may succeed later."""


class OutageError(Exception):
    """What the work needs is away for a while: disk, database, or the process that was told to end.

    It says nothing about the data, and is no outcome. So it is no `GlioloopError`: who tells those
    as the end of a piece of work lets it pass, and the job does the same once more.
    """
