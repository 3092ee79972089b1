"""The archives of the settings that are talked to by DICOMweb."""

from __future__ import annotations

from pathlib import Path

from glioloop.settings_dicomweb import DicomwebDestination
from listener.dicomweb import Server
from listener.scu import DeliveryError


def server(destination: DicomwebDestination) -> Server:
    """A destination, with its secrets, which are read each time: they may be changed at any time.

    Raises
    ------
    DeliveryError
        If a secret cannot be read now.
    """
    return Server(
        url=destination.url,
        user=destination.user,
        password=_secret(destination.password_file),
        token=_secret(destination.token_file),
        authorities=destination.authorities,
        timeout_s=destination.timeout_seconds,
    )


def _secret(path: Path | None) -> str:
    """Content of a file, without the end of its line."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise DeliveryError(f"the secret {path} cannot be read: {type(error).__name__}") from error
