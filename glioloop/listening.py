"""What the settings say, as the listener and the sender take it."""

from __future__ import annotations

from glioloop.settings import Settings
from glioloop.settings_network import Certificates, Destination, ListenerLimits
from glioloop.settings_network import Peer as PeerSettings
from listener.access import Access, Right
from listener.limits import MIB, Limits
from listener.scp import ScpConfig
from listener.scu import Peer
from listener.tls import TlsFiles


def config(settings: Settings) -> ScpConfig:
    """Where the listener listens, and whom it lets in.

    Raises
    ------
    RefusedError
        If a peer's address is neither an address nor a network.
    """
    wanted = settings.listener
    peers = None
    if wanted.peers is not None:
        peers = {ae: _access(given) for ae, given in wanted.peers.items()}
    return ScpConfig(
        host=wanted.host,
        port=wanted.port,
        ae_titles=(wanted.ae_title, wanted.learn_ae_title),
        peers=peers,
        limits=_limits(wanted.limits),
        tls=_files(wanted.tls),
        tls_port=wanted.tls.port if wanted.tls else 0,
        plain=wanted.tls is None or not wanted.tls.only,
    )


def peer(destination: Destination, settings: Settings) -> Peer:
    """A destination."""
    return Peer(
        destination.ae_title,
        destination.host,
        destination.port,
        settings.delivery.calling_ae,
        tls=_files(destination.tls),
        tls_name=destination.tls.name if destination.tls else "",
    )


def _access(given: PeerSettings | tuple[str, ...]) -> Access:
    """What a calling AE title may do; with addresses alone, everything from there."""
    if isinstance(given, tuple):
        return Access(frozenset(given))
    return Access(
        frozenset(given.addresses),
        frozenset(Right(right) for right in given.may),
        frozenset(given.certificates),
    )


def _limits(given: ListenerLimits) -> Limits:
    """Bounds of what peers may do."""
    return Limits(
        associations=given.associations,
        associations_per_address=given.associations_per_address,
        connections=given.connections,
        associations_per_minute=given.associations_per_minute,
        instances_per_minute=given.instances_per_minute,
        instances_per_study=given.instances_per_study,
        object_bytes=given.object_mib * MIB,
        bytes_in_memory=given.memory_mib * MIB,
    )


def _files(given: Certificates | None) -> TlsFiles | None:
    """The files of a connection with TLS."""
    if given is None:
        return None
    return TlsFiles(given.certificate, given.key, given.authorities, given.revoked)
