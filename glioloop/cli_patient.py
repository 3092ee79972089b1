"""How a person names a patient or a group on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from glioloop import model_choices, model_merging
from glioloop.model_changed_ids import UNKNOWN, is_known
from glioloop.models import PatientModels
from glioloop.site import Site
from study.errors import RefusedError

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
    return model_choices.whose(site, who.text) or site.models.find(who.text)


def unless_yes(text: str, *, yes: bool) -> None:
    """Ask, and end where the answer is no."""
    ask: Callable[..., bool] = typer.confirm
    if not yes:
        ask(text, abort=True)
