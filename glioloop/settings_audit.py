"""Settings of the audit trail."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from glioloop.settings_network import DestinationTls
from glioloop.settings_part import Count, Part


class Syslog(Part):
    """A collector of audit messages: syslog over TLS (RFC 5424, RFC 5425)."""

    host: str
    """its address"""
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    """its port"""
    tls: DestinationTls
    """certificates of both sides"""


class Audit(Part):
    """The audit trail (docs/security.md)."""

    file_mib: Count = 64
    """MiB of a file, after which the next one is begun; none is ever removed"""
    site: str = ""
    """the enterprise site that messages name"""
    syslog: Syslog | None = None
    """where messages are sent too; null: they are only kept"""
