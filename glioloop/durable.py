"""Files that are there wholly or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new, on the disk.

    Temporary file in the same folder, fsync, rename, fsync of the folder.
    """
    temporary = _temporary(path, content)
    temporary.replace(path)
    sync(path.parent)


def once(path: Path, make: Callable[[], bytes]) -> None:
    """Write a file, unless it is there: then it is whole, and stays as it is.

    Of several nodes that write it at once, the first one's stays.
    """
    if path.is_file():
        return
    temporary = _temporary(path, make())
    try:
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    sync(path.parent)


def _temporary(path: Path, content: bytes) -> Path:
    """A file with some content, on the disk, beside the one that it is to become."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def sync(folder: Path) -> None:
    """See a folder's entries onto the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
