"""Settings of DICOMweb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from glioloop.settings_network import Addressee
from glioloop.settings_part import Part, Positive


class DicomwebDestination(Addressee):
    """An archive that gets the results by STOW-RS."""

    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    """address of its service, such as `https://pacs.example/dicom-web`"""
    user: str = ""
    """name for Basic authentication; empty: none"""
    password_file: Path | None = None
    """file with the password of that name"""
    token_file: Path | None = None
    """file with a token for Bearer authentication; null: none"""
    authorities: Path | None = None
    """PEM file with the authorities that may sign its certificate; null: the system's"""
    timeout_seconds: Positive = 60
    """s without an answer after which it is tried again later"""


class Dicomweb(Part):
    """Archives that are talked to over HTTP."""

    destinations: tuple[DicomwebDestination, ...] = ()
    """where results are sent by STOW-RS, beside `destinations`"""
