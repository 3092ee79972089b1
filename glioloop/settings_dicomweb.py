"""Settings of DICOMweb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from glioloop.settings_network import Addressee
from glioloop.settings_part import AETitle, Count, Part, Positive


class DicomwebServer(Part):
    """Where an archive is, and how we sign in."""

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


class DicomwebDestination(Addressee, DicomwebServer):
    """An archive that gets the results by STOW-RS."""


class DicomwebArchive(DicomwebServer):
    """An archive whose studies are fetched by QIDO-RS and WADO-RS."""

    calling_ae: AETitle
    """AE title that what is fetched counts as sent by (`scope.calling_aes`, `listener.issuers`)"""
    days: Count = 2
    """studies of the last so many days are looked at, today among them"""
    every_seconds: Positive = 60
    """s between two looks"""


class Dicomweb(Part):
    """Archives that are talked to over HTTP."""

    destinations: tuple[DicomwebDestination, ...] = ()
    """where results are sent by STOW-RS, beside `destinations`"""
    archives: tuple[DicomwebArchive, ...] = ()
    """archives whose studies and corrected SEGs are fetched, beside what is sent here"""
