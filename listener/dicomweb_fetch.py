"""Studies of an archive found by QIDO-RS and fetched by WADO-RS (PS3.18 sections 10.6 and 10.4)."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any

import httpx
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial

from listener.dicomweb import JSON, Server, connected, first_value, request
from listener.header import DamagedError, is_uid, read_header
from listener.inbox import Inbox, Received
from listener.part10 import Arrival
from listener.presentation import KEPT, KEPT_SYNTAXES
from listener.scu import DeliveryError

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
"""(0020,000D), (0020,000E) and (0008,0018): the UIDs of study, series and instance."""
MODALITY = "00080060"
"""(0008,0060) *Modality*."""
COUNT = "00201208"
"""(0020,1208) *Number of Study Related Instances*."""

PART10 = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Each object as it is kept (PS3.18 section 8.7.3)."""
META_START = 144
"""Bytes of a file up to the first element that (0002,0000) *File Meta Information Group Length*
counts: preamble, DICM, and that element."""
LENGTH_AT = 140


ONE_ONLY = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.INTERNAL_SERVER_ERROR)
"""Answers that are about one object: a file is missing, or cannot be read."""
UNREADABLE = (
    InvalidDicomError,
    AttributeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    NotImplementedError,
    struct.error,
)


class UnansweredError(DeliveryError):
    """The archive answers, and does not give one object; others may be asked for."""


@dataclass(frozen=True)
class Listed:
    """An object that an archive has."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str

    @property
    def path(self) -> str:
        """Where it is."""
        series = f"/studies/{self.study_uid}/series/{self.series_uid}"
        return f"{series}/instances/{self.sop_instance_uid}"


def studies(server: Server, query: Mapping[str, str]) -> dict[str, int]:
    """Study Instance UIDs that fit a question, and how many instances each has; 0 if not told.

    Raises
    ------
    DeliveryError
        If the archive does not answer.
    """
    with connected(server) as client:
        found = _answers(client, server, "/studies", {**query, "includefield": COUNT})
    uids = ((str(first_value(one, STUDY)), first_value(one, COUNT)) for one in found)
    return {uid: int(count or 0) for uid, count in uids if is_uid(uid)}


def instances(server: Server, study_uid: str, modalities: Collection[str]) -> list[Listed]:
    """What an archive has of a study, of some modalities; errors as `studies`."""
    listed = []
    with connected(server) as client:
        for series in _answers(client, server, f"/studies/{study_uid}/series", {}):
            uid = str(first_value(series, SERIES))
            if first_value(series, MODALITY) not in modalities or not is_uid(uid):
                continue
            at = f"/studies/{study_uid}/series/{uid}/instances"
            for one in _answers(client, server, at, {}):
                instance = str(first_value(one, INSTANCE))
                if is_uid(instance):
                    listed.append(Listed(study_uid, uid, instance))
    return listed


def fetch(
    server: Server, wanted: Collection[Listed], largest: int
) -> Iterator[tuple[Listed, bytes | DamagedError | UnansweredError]]:
    """Each object as a Part-10 file, or why it is none, or why it was not given.

    Parameters
    ----------
    server
        The archive.
    wanted
        What is fetched, in this order.
    largest
        Bytes of an answer; no more of it is read.

    Raises
    ------
    DeliveryError
        If the archive does not answer.
    """
    with connected(server) as client:
        for one in wanted:
            try:
                yield one, _fetched(client, server, one, largest)
            except (DamagedError, UnansweredError) as error:
                yield one, error


def keep(content: bytes, one: Listed, inbox: Inbox, calling_ae: str, called_ae: str) -> Received:
    """Write a fetched file into the inbox, as if it had come by C-STORE.

    Raises
    ------
    DamagedError
        If it is not whole, is another object than was asked for, or in a transfer syntax that is
        not accepted.
    OSError
        If it cannot be written.
    """
    data_set, syntax = _data_set(content)
    header = read_header(data_set, syntax)
    if (header.study_uid, header.sop_instance_uid) != (one.study_uid, one.sop_instance_uid):
        raise DamagedError("the archive sent another object than it was asked for")
    if header.sop_class_uid not in KEPT:
        raise DamagedError(f"of its SOP class {header.sop_class_uid} nothing is kept")
    return inbox.store(data_set, header, Arrival.now(syntax, calling_ae, called_ae))


def _answers(
    client: httpx.Client, server: Server, path: str, query: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Items that answer a question."""
    answer = request(client, server, "GET", path, params=dict(query), headers={"Accept": JSON})
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return []
    try:
        found = answer.raise_for_status().json()
    except (httpx.HTTPStatusError, ValueError) as error:
        raise DeliveryError(f"{server} answers {answer.status_code} to a question") from error
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _fetched(client: httpx.Client, server: Server, one: Listed, largest: int) -> bytes:
    """One object."""
    content = bytearray()
    try:
        with client.stream(
            "GET", f"{server.url.rstrip('/')}{one.path}", headers={"Accept": PART10}
        ) as answer:
            if answer.status_code != HTTPStatus.OK:
                said = f"{server} answers {answer.status_code} for an instance"
                raise (
                    UnansweredError(said) if answer.status_code in ONE_ONLY else DeliveryError(said)
                )
            for part in answer.iter_bytes():
                content += part
                if len(content) > largest:
                    raise DamagedError(f"it is larger than {largest >> 20} MiB")
            kind = answer.headers.get("Content-Type", "")
    except httpx.RequestError as error:
        raise DeliveryError(f"{server} does not answer ({type(error).__name__})") from error
    return _only_part(bytes(content), kind)


def _only_part(content: bytes, kind: str) -> bytes:
    """The one part of a multipart answer (RFC 2046 section 5.1)."""
    found = re.search(r'boundary="?([^";,\s]+)"?', kind)
    if found is None:
        return content
    boundary = b"--" + found[1].encode()
    start = content.find(b"\r\n\r\n", content.find(boundary)) + 4
    end = content.rfind(b"\r\n" + boundary)
    if not 4 <= start <= end:
        raise DamagedError("the answer is no multipart message")
    return content[start:end]


def _data_set(content: bytes) -> tuple[bytes, str]:
    """A Part-10 file without its file meta information, and the transfer syntax that it names."""
    try:
        meta = read_partial(BytesIO(content), stop_when=lambda *_: True).file_meta
        syntax = str(meta.TransferSyntaxUID)
    except UNREADABLE as error:
        raise DamagedError("it is not a DICOM file with a header") from error
    if syntax not in KEPT_SYNTAXES:
        raise DamagedError(f"its transfer syntax {syntax} is not accepted")
    length = int.from_bytes(content[LENGTH_AT:META_START], "little")
    return content[META_START + length :], syntax
