"""``glioloop models``: the patients' and the groups' heads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from glioloop import (
    audit_events,
    model_changed_ids,
    model_choices,
    model_export,
    model_forgetting,
    model_merging,
    model_refits,
    overview,
)
from glioloop.cli_patient import (
    IdOption,
    IssuerOption,
    Who,
    WhoArgument,
    named,
    unless_yes,
)
from glioloop.models import PatientModels
from glioloop.site import Site
from glioloop.terminal import ConfigOption, JsonOption, account, look_at, out, show, show_json

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

app = typer.Typer(help="Patients' and groups' models, and whose they are.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="models")


def _say(said: str, facts: dict[str, Any], *, as_json: bool) -> None:
    """One sentence, or the same as JSON."""
    if as_json:
        show_json(facts)
    else:
        out.print(said, highlight=False, soft_wrap=True)


def _say_used(found: PatientModels, name: str, *, as_json: bool) -> None:
    """What is used now."""
    _say(f"{found.title} uses {name}", {"uses": name}, as_json=as_json)


@app.command("list")
def list_models(
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 200,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the versions of all models."""
    show(overview.models(look_at(config), limit), as_json=as_json, title="models")


@app.command("show")
def show_models(
    who: WhoArgument,
    is_id: IdOption = False,
    issuer: IssuerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one patient's or group's versions, what is in use, and what was done to them."""
    site = look_at(config)
    found = named(site, Who(who, is_id, issuer))
    audit = [
        {**asdict(row), "at": overview.time_of(row.at)}
        for row in site.models.audit(found.patient_key)
    ]
    keys = site.models.keys_of(found.patient_key)
    learnt = overview.learnt(site, keys)
    if as_json:
        show_json({**asdict(found), "keys": keys, "corrections": learnt, "audit": audit})
        return
    rows = [overview.version_row(found, version) for version in found.versions]
    show(rows, as_json=False, title=f"models of {found.title}")
    show(learnt, as_json=False, title="corrections, and what the gate said")
    show(audit, as_json=False, title="what was done to them")


@app.command("use")
def use_model(
    who: WhoArgument,
    what: Annotated[
        str,
        typer.Argument(
            metavar="BASE|VERSION|GROUP|AUTO",
            help="base, a version's number, a group's name, or auto: a group's, else base.",
        ),
    ],
    is_id: IdOption = False,
    issuer: IssuerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use one head from now on."""
    site = look_at(config)
    found = named(site, Who(who, is_id, issuer))
    _say_used(found, model_choices.use(site, found, what, account()), as_json=as_json)


@app.command("rollback")
def rollback_model(
    who: WhoArgument,
    is_id: IdOption = False,
    issuer: IssuerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use the version from which the present one was made."""
    site = look_at(config)
    found = named(site, Who(who, is_id, issuer))
    _say_used(found, model_choices.roll_back(site, found, account()), as_json=as_json)


@app.command("fit")
def fit_model(
    who: WhoArgument,
    is_id: IdOption = False,
    issuer: IssuerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a head again to all corrections: a group's, or a patient's for another backbone."""
    site = look_at(config)
    found = named(site, Who(who, is_id, issuer))
    job_id = model_refits.queue(site, found.group or found.patient_key)
    _say(f"{job_id} fits {found.title}", {"job": job_id}, as_json=as_json)


@app.command("export")
def export_model(
    who: WhoArgument,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder that gets both files.")],
    version: Annotated[
        int | None, typer.Option(help="Number of a version; the one in use if not given.")
    ] = None,
    is_id: IdOption = False,
    issuer: IssuerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a head as safetensors with its record as JSON; no patient data is in them."""
    site = look_at(config)
    found = named(site, Who(who, is_id, issuer))
    if version is None:
        version = found.own(site.manifest()["backbone_sha256"]).number
    record = model_export.export(found.version(version), out_folder)
    audit_events.export(site, found.patient_key, found.name(version), record["corrections"])
    said = f"head {found.name(version)} is in {out_folder / model_export.HEAD}"
    _say(said, record, as_json=as_json)


@app.command("forget")
def forget_models(
    who: WhoArgument,
    yes: YesOption = False,
    is_id: IdOption = False,
    issuer: IssuerOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove all that is kept of one patient, for ever: models, images, corrections, results."""
    site = look_at(config)
    found = named(site, Who(who, is_id, issuer))
    asked = "all its versions" if found.group else "models, images, corrections and results"
    unless_yes(f"Forget {found.title}: {asked}?", yes=yes)
    gone = model_choices.forget(site, found, account())
    if found.group:
        _say(f"{found.title} is forgotten", gone, as_json=as_json)
        return
    counted = ", ".join(f"{count} {name}" for name, count in gone.items())
    said = f"{found.title} is forgotten, with {counted}; {model_forgetting.STAYS}"
    _say(said, {**gone, "stays": model_forgetting.STAYS}, as_json=as_json)


FirstArgument = Annotated[str, typer.Argument(metavar="A", help="Patient ID that is given up.")]
SecondArgument = Annotated[str, typer.Argument(metavar="B", help="Patient ID that stays.")]
FirstIssuer = Annotated[str, typer.Option("--issuer-a", help="Issuer of A.", show_default=False)]
SecondIssuer = Annotated[str, typer.Option("--issuer-b", help="Issuer of B.", show_default=False)]


@app.command("merge")
def merge_models(
    first: FirstArgument,
    second: SecondArgument,
    issuer_a: FirstIssuer = "",
    issuer_b: SecondIssuer = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Patient ID A and B are one patient's, who is B from now on; both IDs are kept nowhere."""
    who = (issuer_a, first), (issuer_b, second)
    _change(model_changed_ids.merge, look_at(config), who, as_json=as_json)


@app.command("split")
def split_models(
    first: FirstArgument,
    second: SecondArgument,
    issuer_a: FirstIssuer = "",
    issuer_b: SecondIssuer = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo a merge: A and B are two patients, and neither keeps what the other's taught."""
    who = (issuer_a, first), (issuer_b, second)
    _change(model_changed_ids.split, look_at(config), who, as_json=as_json)


def _change(
    change: Callable[..., dict[str, Any]],
    site: Site,
    who: tuple[tuple[str, str], tuple[str, str]],
    *,
    as_json: bool,
) -> None:
    """Merge or split two patients, each named by issuer and Patient ID, and say what became."""
    one, other = (model_merging.person(site.secret, issuer, name) for issuer, name in who)
    found = change(site, one, other, account())
    audit_events.model(site, change.__name__, one.key, "all", {"other": other.key, "by": account()})
    _say(found["said"], found, as_json=as_json)
