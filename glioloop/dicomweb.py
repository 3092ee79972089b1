"""The archives of the settings that are talked to by DICOMweb."""

from __future__ import annotations

from pathlib import Path

from glioloop.settings_dicomweb import DicomwebServer
from listener.dicomweb import Server
from listener.scu import DeliveryError


def server(at: DicomwebServer) -> Server:
    """An archive, with its secrets, which are read each time: they may be changed at any time.

    Raises
    ------
    DeliveryError
        If a secret cannot be read now.
    """
    return Server(
        url=at.url,
        user=at.user,
        password=_secret(at.password_file),
        token=_secret(at.token_file),
        authorities=at.authorities,
        timeout_s=at.timeout_seconds,
    )


def _secret(path: Path | None) -> str:
    """Content of a file, without the end of its line."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise DeliveryError(f"the secret {path} cannot be read: {type(error).__name__}") from error
