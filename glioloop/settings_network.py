"""Settings of what Glioloop talks to: peers, archives, browsers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from glioloop.settings_part import AETitle, NotNegative, Part, Port, Positive


class Listener(Part):
    """The DICOM port."""

    host: str = "0.0.0.0"  # noqa: S104 - archives call from other machines
    """address to listen on"""
    port: Port = 11112
    """TCP port; 0 takes a free one"""
    ae_title: AETitle = "GLIOLOOP"
    """for images, and for SEGs that say what they correct"""
    learn_ae_title: AETitle = "GLIOLOOP_LEARN"
    """for a person's deliberate "learn from this\""""
    peers: dict[str, tuple[str, ...]] | None = None
    """calling AE titles, and the addresses each may call from (none: any); null: anyone may call"""
    issuers: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    """Issuer of Patient ID to assume for a calling AE title that sends none"""
    min_free_gib: NotNegative = 2.0
    """GiB of the disk that stay free; below it senders are told to come later"""


class Destination(Part):
    """An archive that gets the results."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    """how Glioloop calls it"""
    ae_title: AETitle
    """its AE title"""
    host: str
    """its address"""
    port: Annotated[int, Field(ge=1, le=65535)]
    """its DICOM port"""
    objects: Annotated[tuple[Literal["seg", "report", "pictures"], ...], Field(min_length=1)] = (
        "seg",
        "report",
        "pictures",
    )
    """what it gets of a result: SEG, structured report, pictures (Secondary Capture)"""
    encoding: Literal["BINARY", "LABELMAP"] = "BINARY"
    """how it gets SEGs: `BINARY` (every viewer shows it), `LABELMAP` (Label Map Segmentation)"""


class Delivery(Part):
    """Sending results."""

    calling_ae: AETitle = "GLIOLOOP"
    """AE title that Glioloop calls itself"""
    first_pause_seconds: Positive = 5
    """s before the second attempt; each further pause is twice as long"""
    longest_pause_minutes: Positive = 15
    """min between attempts at most"""
    park_after_hours: Positive = 72
    """h after which an undelivered result is parked, and shown so"""


class Web(Part):
    """The status page and the HTTP interface."""

    host: str = "127.0.0.1"
    """address to listen on"""
    port: Port = 8043
    """TCP port; 0 takes a free one"""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Host headers that are answered"""
