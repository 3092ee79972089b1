"""``glioloop models``: the patients' heads."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from glioloop import overview
from glioloop.terminal import ConfigOption, JsonOption, look_at, out, show, show_json

PatientArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="Patient's key, or its first digits.")
]

app = typer.Typer(help="Patients' models: list, show, use, rollback, forget.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="models")


@app.command("list")
def list_models(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every version of every patient's model."""
    show(overview.models(look_at(config)), as_json=as_json, title="models")


@app.command("show")
def show_models(patient: PatientArgument, config: ConfigOption = None) -> None:
    """Show one patient's versions with all that is known of them."""
    show_json(asdict(look_at(config).models.find(patient)))


@app.command("use")
def use_model(
    patient: PatientArgument,
    version: Annotated[int, typer.Argument(help="Number of a version; 0 is the base model.")],
    config: ConfigOption = None,
) -> None:
    """Use one version from now on."""
    site = look_at(config)
    found = site.models.find(patient)
    site.models.use(found.patient_key, version, site.manifest()["backbone_sha256"])
    out.print(f"{found.patient_key[:8]} uses {found.name(version)}", highlight=False)


@app.command("rollback")
def rollback_model(patient: PatientArgument, config: ConfigOption = None) -> None:
    """Use the version from which the present one was made."""
    site = look_at(config)
    found = site.models.find(patient)
    number = site.models.rollback(found.patient_key, site.manifest()["backbone_sha256"])
    out.print(f"{found.patient_key[:8]} uses {found.name(number)}", highlight=False)


@app.command("forget")
def forget_models(
    patient: PatientArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Remove all models of one patient, for ever."""
    site = look_at(config)
    found = site.models.find(patient)
    if not yes:
        typer.confirm(
            f"Forget {len(found.versions)} versions of {found.patient_key[:8]}?", abort=True
        )
    site.models.forget(found.patient_key)
    out.print(f"{found.patient_key[:8]} is forgotten", highlight=False)
