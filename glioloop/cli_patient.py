"""How a person names a patient or a group on the command line."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from glioloop import model_merging
from glioloop.model_changed_ids import UNKNOWN, is_known
from glioloop.model_groups import key_of_group
from glioloop.models import PatientModels
from glioloop.site import Site
from study.errors import RefusedError
from study.patient import PatientKey

WhoArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHO",
        help="A patient's key or its first digits, a group's name, or with --id a Patient ID.",
    ),
]
IdOption = Annotated[
    bool, typer.Option("--id", help="WHO is a Patient ID. It is hashed at once and kept nowhere.")
]
IssuerOption = Annotated[
    str, typer.Option("--issuer", help="Issuer of that Patient ID.", show_default=False)
]
KEY_DIGITS = 64


@dataclass(frozen=True)
class Who:
    """Whom a person means."""

    text: str
    is_id: bool
    issuer: str


def named(site: Site, who: Who) -> PatientModels:
    """The models of whom a person means.

    Raises
    ------
    RefusedError
        If nobody, or more than one, is meant.
    """
    if who.is_id:
        key = model_merging.person(site.secret, who.issuer, who.text).key
        if not is_known(site, key):
            raise RefusedError(UNKNOWN)
        return site.models.patient(key)
    if who.issuer:
        raise RefusedError("--issuer goes with a Patient ID: give --id too")
    groups = {group.name for group in site.settings.adaptation.groups}
    if who.text in groups or site.models.patient(key_of_group(who.text)).versions:
        return site.models.group(who.text)
    if (
        len(who.text) == KEY_DIGITS
        and _is_hex(who.text)
        and is_known(site, PatientKey(who.text.lower()))
    ):
        return site.models.patient(PatientKey(who.text.lower()))
    return site.models.find(who.text)


def account() -> str:
    """Who runs this, for the audit."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def unless_yes(text: str, *, yes: bool) -> None:
    """Ask, and end where the answer is no."""
    ask: Callable[..., bool] = typer.confirm
    if not yes:
        ask(text, abort=True)


def _is_hex(text: str) -> bool:
    """Whether it may be a key."""
    return not set(text.lower()) - set("0123456789abcdef")
