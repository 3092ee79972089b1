"""DICOM over TLS, by the profile of PS3.15 B.12: BCP 195, that is RFC 8996 and RFC 9325.

TLS 1.2 and 1.3, authenticated encryption with forward secrecy, and a certificate on both sides.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from study.errors import RefusedError

CIPHERS_1_2 = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
"""Of TLS 1.2, those that RFC 9325 section 4.2 recommends; those of TLS 1.3 are all modern."""

REASONS: Mapping[str, str] = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "HTTP_REQUEST": "it speaks HTTP, not TLS",
    "UNSUPPORTED_PROTOCOL": "it speaks only TLS versions before 1.2",
    "NO_SHARED_CIPHER": "it knows none of the ciphers of BCP 195",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the authority that signed our certificate",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no TLS version that we do",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it says that our certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it found nothing that both sides know",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a certificate of ours",
}
"""OpenSSL's reasons, in words."""


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of one side of a connection.

    Parameters
    ----------
    certificate
        Our own, with those between it and its authority.
    key
        Its private key, not encrypted, and readable for its owner alone.
    authorities
        Those whose signature on the other side's certificate counts; no others do.
    revoked
        Revocation list of the authorities; None: nothing is looked up.
    """

    certificate: Path
    key: Path
    authorities: Path
    revoked: Path | None = None


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """What the listener accepts.

    Raises
    ------
    RefusedError
        If a file cannot be used, or the key is readable for everyone.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """What is offered to a destination, whose certificate must bear its name.

    Raises
    ------
    RefusedError
        If a file cannot be used, or the key is readable for everyone.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def _context(side: int, files: TlsFiles) -> ssl.SSLContext:
    """What both sides have in common."""
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(CIPHERS_1_2))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    _require_private(files.key)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
        context.load_verify_locations(files.authorities)
        if files.revoked is not None:
            context.load_verify_locations(files.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or type(error).__name__
        raise RefusedError(
            f"TLS cannot start with {files.certificate}, {files.key} and {files.authorities}:"
            f" {reason}; each must be a PEM file, the key of that certificate and not encrypted"
        ) from error
    return context


def _require_private(key: Path) -> None:
    """Refuse a private key that everyone may read."""
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise RefusedError(f"the TLS key {key} cannot be read: {type(error).__name__}") from error
    if mode & 0o007:
        raise RefusedError(f"the TLS key {key} is open to everyone: chmod 600 {key}")


def _no_password() -> NoReturn:
    """OpenSSL would ask on the terminal."""
    raise ValueError("encrypted")


def why_refused(error: OSError) -> str:
    """What was wrong with the other side, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return REASONS.get(error.reason or "", (error.reason or "no reason given").lower())
    if isinstance(error, TimeoutError):
        return "it fell silent in the handshake"
    return f"it ended the connection in the handshake ({type(error).__name__})"


def names_of(connection: socket.socket | None) -> frozenset[str]:
    """Names that the other side's certificate bears: common name, DNS names and addresses."""
    if not isinstance(connection, ssl.SSLSocket):
        return frozenset()
    found: dict[str, Any] = dict(connection.getpeercert() or {})
    subject = [pair for part in found.get("subject", ()) for pair in part]
    return frozenset(
        [value for _, value in found.get("subjectAltName", ())]
        + [value for name, value in subject if name == "commonName"]
    )


def probe(host: str, port: int, context: ssl.SSLContext, name: str, patience_s: float) -> str:
    """Why a TLS connection fails; empty where it does not.

    pynetdicom only tells that there is no connection. Under TLS 1.3 the other side's refusal of
    our certificate comes after the handshake, when something is read.
    """
    try:
        with (
            socket.create_connection((host, port), patience_s) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            secured.settimeout(0.5)
            secured.recv(1)
    except ssl.SSLError as error:
        return why_refused(error)
    except OSError:
        return ""
    return ""
