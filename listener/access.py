"""Who may call from where, and what they may send."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network

from study.errors import RefusedError


class Right(StrEnum):
    """What a peer may send; every peer may ask for an echo."""

    IMAGES = "images"
    CORRECTIONS = "corrections"


EVERYTHING = frozenset(Right)


@dataclass(frozen=True)
class Access:
    """What one calling AE title may do.

    Parameters
    ----------
    addresses
        Addresses or networks (``10.1.2.0/24``) that it may call from; none: any.
    may
        What it may send; nothing: it may only ask for an echo.
    certificates
        Names, of which its TLS certificate bears one; none: any that the authorities signed.

    Raises
    ------
    RefusedError
        If an address is neither an address nor a network.
    """

    addresses: frozenset[str] = frozenset()
    may: frozenset[Right] = EVERYTHING
    certificates: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for place in self.addresses:
            try:
                ip_network(place, strict=False)
            except ValueError as error:
                raise RefusedError(
                    f"{place!r} is neither an IP address nor a network; write one like 10.1.2.3"
                    " or 10.1.2.0/24"
                ) from error

    def covers(self, address: str) -> bool:
        """Whether it may call from this address."""
        here = ip_address(address)
        if isinstance(here, IPv6Address) and here.ipv4_mapped:
            here = here.ipv4_mapped
        return not self.addresses or any(
            here in ip_network(place, strict=False) for place in self.addresses
        )

    def trusts(self, names: Collection[str]) -> bool:
        """Whether a certificate of these names is its own; without TLS there are none."""
        return not self.certificates or not self.certificates.isdisjoint(names)
