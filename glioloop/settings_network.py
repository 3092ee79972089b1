"""Settings of what Glioloop talks to: peers, archives, browsers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from glioloop.settings_part import AETitle, Count, NotNegative, Part, Port, Positive


class Peer(Part):
    """What one calling AE title may do."""

    addresses: tuple[str, ...] = ()
    """addresses and networks that it may call from; none: any"""
    may: tuple[Literal["images", "corrections"], ...] = ("images", "corrections")
    """what it may send; none: it may only ask for an echo"""
    certificates: tuple[str, ...] = ()
    """names, of which its TLS certificate bears one; none: any that the authorities signed"""


class Certificates(Part):
    """PEM files for TLS, with a certificate on both sides."""

    certificate: Path
    """our own certificate, with those between it and its authority"""
    key: Path
    """its key, not encrypted, and readable for its owner alone"""
    authorities: Path
    """authorities whose signature on the other side's certificate counts"""
    revoked: Path | None = None
    """their revocation list; null: nothing is looked up"""


class ListenerTls(Certificates):
    """DICOM TLS on a port of its own."""

    port: Port = 2762
    """TCP port; 0 takes a free one"""
    only: bool = False
    """whether the port without TLS stays closed"""


class ListenerLimits(Part):
    """How much peers may send at once, and how often."""

    associations: Count = 50
    """open at a time"""
    associations_per_address: Count = 25
    """of them, from one address"""
    connections: Count = 200
    """open at a time, before anybody said who calls"""
    associations_per_minute: Count = 6000
    """requested from one address; more are told to come later"""
    instances_per_minute: Count = 120000
    """from one calling AE title; more are told to come later"""
    instances_per_study: Count = 20000
    """more are refused"""
    object_mib: Count = 512
    """MiB of the largest object; the association that brings a larger one is closed"""
    memory_mib: Count = 2048
    """MiB of all objects that are being received at a time"""


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
    peers: dict[str, Peer | tuple[str, ...]] | None = None
    """calling AE titles, and what each may do (addresses alone: all); null: anyone may call"""
    issuers: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    """Issuer of Patient ID to assume for a calling AE title that sends none"""
    min_free_gib: NotNegative = 2.0
    """GiB of the disk that stay free; below it senders are told to come later"""
    limits: ListenerLimits = ListenerLimits()
    tls: ListenerTls | None = None
    """DICOM TLS (PS3.15 B.12); null: none"""
    archive: bool = False
    """whether storage commitment is given for what is received: only if `data` is kept for good"""


class DestinationTls(Certificates):
    """DICOM TLS towards an archive."""

    name: str = ""
    """name that its certificate bears; empty: its `host`"""


class Addressee(Part):
    """What an archive gets of the results."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    """how Glioloop calls it"""
    objects: Annotated[tuple[Literal["seg", "report", "pictures"], ...], Field(min_length=1)] = (
        "seg",
        "report",
        "pictures",
    )
    """what it gets of a result: SEG, structured report, pictures (Secondary Capture)"""
    encoding: Literal["BINARY", "LABELMAP"] = "BINARY"
    """how it gets SEGs: `BINARY` (every viewer shows it), `LABELMAP` (Label Map Segmentation)"""


class Destination(Addressee):
    """An archive that gets the results by C-STORE."""

    ae_title: AETitle
    """its AE title"""
    host: str
    """its address"""
    port: Annotated[int, Field(ge=1, le=65535)]
    """its DICOM port"""
    tls: DestinationTls | None = None
    """DICOM TLS (PS3.15 B.12); null: none"""
    commitment: bool = False
    """whether it is asked for storage commitment; it must know Glioloop's AE title and port"""


class Delivery(Part):
    """Sending results."""

    calling_ae: AETitle = "GLIOLOOP"
    """AE title that Glioloop calls itself"""
    first_pause_seconds: Positive = 5
    """s before the second attempt; each further pause is twice as long"""
    longest_pause_minutes: Positive = 15
    """min between attempts at most"""
    park_after_hours: Positive = 72
    """h after which a result that is not delivered, or not committed, is parked, and shown so"""
    commitment_wait_minutes: Positive = 30
    """min after which a request for storage commitment that nobody answered is repeated"""


class WebTls(Part):
    """HTTPS."""

    certificate: Path
    """PEM file with the certificate, and those between it and its authority"""
    key: Path
    """PEM file with its key"""


class Web(Part):
    """The status page and the HTTP interface."""

    host: str = "127.0.0.1"
    """address to listen on"""
    port: Port = 8043
    """TCP port; 0 takes a free one"""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Host headers that are answered"""
    token: SecretStr | None = None
    """token that each request shows; null, without `tokens_file`: none, on loopback alone"""
    tokens_file: Path | None = None
    """file with further ones: a name, for the audit, and a token in each line"""
    session_hours: Positive = 12
    """h that a login on the page lasts"""
    tls: WebTls | None = None
    """HTTPS; null: HTTP, which is for loopback or behind a proxy"""
    texts_file: Path | None = None
    """the page's words in another language (docs/orthanc.md); null: English"""
