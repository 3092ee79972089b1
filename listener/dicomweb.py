"""DICOMweb as a client: objects stored by STOW-RS (PS3.18 section 10.5), studies found and fetched.

The same promises as C-STORE (`listener.scu`): bytes leave as they are, and what leaves it in doubt
counts as not delivered, because a repetition is harmless.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from listener import statuses
from listener.scu import DeliveryError, RejectedDeliveryError
from study.errors import RefusedError

FAILED = "00081198"
"""(0008,1198) *Failed SOP Sequence*."""
WHY = "00081197"
"""(0008,1197) *Failure Reason*: a status as of C-STORE."""
STORED = "00081199"
"""(0008,1199) *Referenced SOP Sequence*."""
REFERENCED_UID = "00081155"
"""(0008,1155) *Referenced SOP Instance UID*."""

JSON = "application/dicom+json"
NO_DATA = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
"""Answers that stay the same when the same is sent once more. The cause of 401 or 403 is mended."""


@dataclass(frozen=True)
class Server:
    """A DICOMweb server.

    Parameters
    ----------
    url
        Of its service, such as ``https://pacs.example/dicom-web``.
    user, password
        For Basic authentication; empty: none.
    token
        For Bearer authentication; empty: none.
    authorities
        PEM file with the authorities that may sign its certificate; None: those of the system.
    timeout_s
        For the connection, and for each pause in an answer.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    authorities: Path | None = None
    timeout_s: float = 60.0

    def __str__(self) -> str:
        return self.url


def store(server: Server, paths: Sequence[Path]) -> None:
    """Store Part-10 files, each in a request of its own, in the transfer syntax that it is in.

    Parameters
    ----------
    server
        The destination.
    paths
        Files; on return all of them were accepted.

    Raises
    ------
    DeliveryError
        If it could not be reached, did not answer, or may take them later. Some of the files may
        have been accepted.
    RejectedDeliveryError
        If it refused at least one file for good, and accepted all the others.
    """
    refused: list[str] = []
    with connected(server) as client:
        for path in paths:
            refused += _store(client, server, path)
    if refused:
        raise RejectedDeliveryError(
            f"{server} refused {len(refused)} of {len(paths)} objects: {'; '.join(refused)}"
        )


def verify(server: Server) -> None:
    """Ask for one study, to see whether it answers.

    Raises
    ------
    DeliveryError
        If it does not.
    """
    with connected(server) as client:
        answer = request(
            client, server, "GET", "/studies", params={"limit": "1"}, headers={"Accept": JSON}
        )
    if not answer.is_success:
        raise DeliveryError(f"{server} answers {answer.status_code} to a question for studies")


def _store(client: httpx.Client, server: Server, path: Path) -> list[str]:
    """Store one file; the reasons if it is refused for good."""
    boundary = uuid.uuid4().hex
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DeliveryError(f"{path.name} cannot be read ({error})") from error
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    answer = request(
        client,
        server,
        "POST",
        "/studies",
        content=b"".join((head.encode(), content, f"\r\n--{boundary}--\r\n".encode())),
        headers={
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": JSON,
        },
    )
    if answer.status_code in REFUSALS:
        return [f"{path.name}: HTTP status {answer.status_code}"]
    accepted = answer.is_success or answer.status_code == HTTPStatus.CONFLICT
    told = _told(answer) if accepted else None
    if told is None:
        raise DeliveryError(f"{server} answers {answer.status_code} to {path.name}")
    failed = [_reason(item) for item in told.get(FAILED, {}).get("Value", [])]
    if later := [name for name, status in failed if statuses.is_retryable(status)]:
        raise DeliveryError(f"{server} cannot take {', '.join(later)} now")
    if not failed and not told.get(STORED, {}).get("Value"):
        raise DeliveryError(f"{server} does not say that it stored {path.name}")
    return [f"{name}: status {statuses.name(status)}" for name, status in failed]


def _told(answer: httpx.Response) -> dict[str, Any] | None:
    """What a server says that it stored (PS3.18 section 10.5.3); None where it says nothing."""
    try:
        found = answer.json()
    except ValueError:
        return None
    if isinstance(found, list):  # some servers send it as they send answers to questions
        found = found[0] if found else None
    return found if isinstance(found, dict) else None


def _reason(item: dict[str, Any]) -> tuple[str, int]:
    """Which object failed, and why."""
    uid = first_value(item, REFERENCED_UID)
    return str(uid or "an object"), int(first_value(item, WHY) or statuses.CANNOT_UNDERSTAND)


def first_value(item: dict[str, Any], tag: str) -> Any:
    """First value of an attribute in DICOM JSON (PS3.18 annex F); None where there is none."""
    return next(iter(item.get(tag, {}).get("Value", [])), None)


@contextmanager
def connected(server: Server) -> Iterator[httpx.Client]:
    """A connection to a server; it follows no redirection, which could lead a password astray."""
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    auth = httpx.BasicAuth(server.user, server.password) if server.user else None
    try:
        trusted = ssl.create_default_context(cafile=server.authorities)
    except OSError as error:
        raise RefusedError(f"the authorities of {server} cannot be read: {error}") from error
    with httpx.Client(
        auth=auth, headers=headers, verify=trusted, timeout=server.timeout_s, trust_env=False
    ) as client:
        yield client


def request(
    client: httpx.Client, server: Server, method: str, path: str, **given: Any
) -> httpx.Response:
    """One request; `DeliveryError` where there is no answer."""
    try:
        return client.request(method, f"{server.url.rstrip('/')}{path}", **given)
    except httpx.TransportError as error:
        raise DeliveryError(f"{server} does not answer ({type(error).__name__})") from error
