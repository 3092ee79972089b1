"""The spool: what was received, durably, as files that explain themselves.

::

    root/
        3f0a...c1/                  SHA-256 of the Study Instance UID, 32 digits
            9be2...07.dcm           SHA-256 of the SOP Instance UID: the first to come
            9be2...07.51aa....dcm   the same SOP Instance UID with other bytes: a variant
            9be2...07.51aa....x3k2.n1.part  being written by listener ``n1``, or left by its crash

The files are the truth: a database that lists them can be rebuilt by `Inbox.scan`. No name in the
tree comes from the sender. Several listeners, also on several machines, may write at once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError

from listener.header import DamagedError, Header, read_header
from listener.part10 import Arrival, arrival_of, data_set_of, fsync_folder, write_part
from study.errors import FailedError

logger = logging.getLogger(__name__)

MIN_FREE_BYTES = 2 << 30
"""Nothing more is accepted when less than this would remain free on the spool's disk."""

LEFT_BEHIND_S = 86_400.0
"""A file that is half written for so long (s) was left by a listener that never came back."""

_DIGITS = 32
"""Of a hash, in the names of files."""

_REMOVED = ".removed"
"""In the name of a study's folder that is being deleted."""


class SpoolFullError(FailedError, OSError):
    """The spool's disk is nearly full; free some space, or move the spool."""


@dataclass(frozen=True)
class Received:
    """One C-STORE.

    Parameters
    ----------
    received_at
        Epoch seconds.
    path
        The file, or None when the instance is of a kind that is not kept.
    sha256
        Digest of the data set's bytes as received.
    pixel_sha256
        Digest of the bytes of its (7FE0,0010) *Pixel Data*; empty without any. It tells a variant
        that an archive has only re-labelled from one with other pixels.
    conflict
        Other bytes came before under the same SOP Instance UID; both are kept.
    repeated
        These very bytes came before; nothing was written.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    modality: str
    transfer_syntax_uid: str
    calling_ae: str
    called_ae: str
    received_at: float
    path: Path | None
    sha256: str
    pixel_sha256: str = ""
    conflict: bool = False
    repeated: bool = False


class Inbox:
    """The spool of received instances.

    Parameters
    ----------
    root
        Its folder; made when it does not exist. It holds nothing else.
    min_free_bytes
        What must remain free on its disk.
    writer
        Name of the listener, other than that of any that writes at the same time. Letters, digits,
        hyphens, underscores and dots.
    """

    def __init__(
        self, root: Path, min_free_bytes: int = MIN_FREE_BYTES, writer: str = "local"
    ) -> None:
        self.root = root
        self.min_free_bytes = min_free_bytes
        self._ending = f".{writer}.part"
        root.mkdir(parents=True, exist_ok=True)

    def store(self, data_set: bytes, header: Header, arrival: Arrival) -> Received:
        """Write an instance so that no crash can lose it, and return what it was.

        When this returns, file and folder entry are on the disk: under the file's own name, or, if
        the machine's power fails the next moment, under the one that it was written under, from
        which `sweep` takes it up.

        Parameters
        ----------
        data_set
            The bytes as received, without file meta information.
        header
            What `read_header` found in them; its UIDs are valid.
        arrival
            How they came.

        Raises
        ------
        SpoolFullError
            If too little would remain free on the disk.
        OSError
            If they cannot be written. Nothing is left behind.
        """
        sha256 = hashlib.sha256(data_set).hexdigest()
        folder = self._folder(header.study_uid)
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            fsync_folder(self.root)
        stem = _hashed(header.sop_instance_uid)
        found = _find(folder, stem, sha256)
        repeated = found is not None
        if found is None:
            self._require_space(len(data_set))
            name = (f"{stem}.{sha256[:_DIGITS]}.", self._ending)
            part = write_part(folder, name, data_set, header, arrival)
            found, repeated = _place(part, stem, sha256)
        return received(
            header,
            arrival,
            sha256,
            path=found,
            conflict=_is_variant(found),
            repeated=repeated,
        )

    def study(self, study_uid: str) -> list[Received]:
        """Everything received of one study, in the order of arrival.

        Raises
        ------
        FailedError
            If a file of it cannot be read.
        """
        found = [_read(path) for path in self._folder(study_uid).glob("*.dcm")]
        return sorted(found, key=lambda one: (one.received_at, str(one.path)))

    def scan(self, known: Container[str] = ()) -> Iterator[Received]:
        """Everything in the spool, from the files alone; a file that cannot be read is logged.

        Parameters
        ----------
        known
            Paths that need not be read.
        """
        for path in sorted(self.root.glob("*/*.dcm")):
            if _REMOVED in path.parent.name or str(path) in known:
                continue
            try:
                yield _read(path)
            except FailedError:
                logger.exception("left out of the scan")

    def remove_study(self, study_uid: str) -> None:
        """Remove all files of a study; one that is not there is none to remove.

        An instance that is just being written then fails, and its sender sends it again.
        """
        folder = self._folder(study_uid)
        doomed = folder.with_name(f"{folder.name}{_REMOVED}{time.time_ns()}")
        with suppress(FileNotFoundError):
            folder.rename(doomed)
            shutil.rmtree(doomed)
            fsync_folder(self.root)

    def sweep(self) -> int:
        """Take up what a crash left whole, remove what it left half written; how many were removed.

        Only for the listener of this inbox's name, before it accepts anything. What others write is
        theirs, unless it is so old that they must be gone.
        """
        old = time.time() - LEFT_BEHIND_S
        parts = [
            part
            for part in self.root.glob("*/*.part")
            if part.name.endswith(self._ending) or _is_older(part, old)
        ]
        parts = [part for part in parts if not _taken_up(part)]
        for part in parts:
            part.unlink(missing_ok=True)
        doomed = list(self.root.glob(f"*{_REMOVED}*"))
        for folder in doomed:
            shutil.rmtree(folder, ignore_errors=True)  # another one may remove it too
        if parts or doomed:
            logger.info("removed %d partial files of an earlier run", len(parts) + len(doomed))
        return len(parts) + len(doomed)

    def _folder(self, study_uid: str) -> Path:
        """Folder of a study."""
        return self.root / _hashed(study_uid)

    def _require_space(self, size: int) -> None:
        """Raise when a file of this size would leave too little free."""
        free = shutil.disk_usage(self.root).free
        if free - size < self.min_free_bytes:
            raise SpoolFullError(
                f"{free >> 20} MiB are free on the spool's disk, and {self.min_free_bytes >> 20}"
                " MiB must remain"
            )


def received(
    header: Header,
    arrival: Arrival,
    sha256: str,
    path: Path | None = None,
    *,
    conflict: bool = False,
    repeated: bool = False,
) -> Received:
    """Put together what is known of one C-STORE."""
    return Received(
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        series_uid=header.series_uid,
        study_uid=header.study_uid,
        modality=header.modality,
        transfer_syntax_uid=arrival.transfer_syntax_uid,
        calling_ae=arrival.calling_ae,
        called_ae=arrival.called_ae,
        received_at=arrival.at_ns / 1e9,
        path=path,
        sha256=sha256,
        pixel_sha256=header.pixel_sha256,
        conflict=conflict,
        repeated=repeated,
    )


def _hashed(uid: str) -> str:
    """File name that stands for a UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:_DIGITS]


def _is_variant(path: Path) -> bool:
    """Whether a file came second under its SOP Instance UID."""
    return "." in path.stem


def _place(part: Path, stem: str, sha256: str) -> tuple[Path, bool]:
    """Give a finished file its name; another association may just have brought the same.

    A link, unlike a rename, leaves alone what is there, also where another machine put it.

    Returns
    -------
    tuple
        The file that holds the bytes, and whether it was there before.
    """
    folder = part.parent
    try:
        for target in (folder / f"{stem}.dcm", folder / f"{stem}.{sha256[:_DIGITS]}.dcm"):
            with suppress(FileExistsError):
                os.link(part, target)
                return target, False
            found = _find(folder, stem, sha256)
            if found is not None:
                return found, True
    finally:
        part.unlink(missing_ok=True)
    raise FailedError(f"{folder.name}/{stem} in the spool changes while it is read")


def _taken_up(part: Path) -> bool:
    """Give a file its name that a crash left whole; its sender may have been told so."""
    stem, digest, *_ = f"{part.name}..".split(".")
    try:
        found = hashlib.sha256(data_set_of(part)).hexdigest()
    except (OSError, InvalidDicomError, AttributeError, ValueError):
        return False  # it ends within its first bytes
    if len(digest) != _DIGITS or not found.startswith(digest):
        return False
    with suppress(FileNotFoundError):  # it was given its name meanwhile
        _place(part, stem, found)
    return True


def _is_older(path: Path, moment: float) -> bool:
    """Whether a file was last written before a moment (epoch s); False for one that is gone."""
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < moment
    return False


def _find(folder: Path, stem: str, sha256: str) -> Path | None:
    """The file that already holds these bytes."""
    variant = folder / f"{stem}.{sha256[:_DIGITS]}.dcm"
    if variant.exists():
        return variant
    first = folder / f"{stem}.dcm"
    if first.exists() and hashlib.sha256(data_set_of(first)).hexdigest() == sha256:
        return first
    return None


def _read(path: Path) -> Received:
    """What a file of the spool says of itself."""
    try:
        arrival = arrival_of(path)
        data_set = data_set_of(path)
        header = read_header(data_set, arrival.transfer_syntax_uid)
    except (OSError, InvalidDicomError, DamagedError, AttributeError) as error:
        raise FailedError(
            f"{path.parent.name}/{path.name} in the spool cannot be read"
            f" ({type(error).__name__}: {error}); check the disk, then have the study sent again"
        ) from error
    return received(
        header,
        arrival,
        hashlib.sha256(data_set).hexdigest(),
        path=path,
        conflict=_is_variant(path),
    )
