"""What one installation keeps: settings, secret, ledger, results and models, opened together."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydicom import Dataset

from converter import rules as series_rules
from converter.rules import Rules
from glioloop import settings as configuration
from glioloop.ledger import Ledger
from glioloop.models import ModelStore
from glioloop.results import ResultStore
from study.errors import RefusedError
from study.patient import PatientKey, patient_key


@dataclass(frozen=True)
class Site:
    """The stores of one data folder.

    Parameters
    ----------
    settings
        What it runs with.
    secret
        What patients' keys are made with.
    rules
        By which series are told apart.
    """

    settings: configuration.Settings
    secret: bytes
    ledger: Ledger
    results: ResultStore
    models: ModelStore
    rules: Rules

    @property
    def inbox_folder(self) -> Path:
        """Where received instances lie."""
        return self.settings.data / "inbox"

    @property
    def cache_folder(self) -> Path:
        """What can be made again, such as compiled networks."""
        return self.settings.data / "cache"

    def issuer(self, header: Dataset, calling_ae: str) -> str:
        """(0010,0021) *Issuer of Patient ID*, or what the sender's images are taken to have."""
        stated = str(header.get("IssuerOfPatientID", "") or "").strip()
        return stated or self.settings.listener.issuers.get(calling_ae, "")

    def patient(self, header: Dataset, calling_ae: str) -> PatientKey | None:
        """Key of the patient of an instance; None for one who never has a model."""
        patient_id = str(header.get("PatientID", "") or "")
        return patient_key(self.secret, self.issuer(header, calling_ae), patient_id)

    def patient_id_key(self, header: Dataset) -> PatientKey | None:
        """Key of the Patient ID alone, without its issuer."""
        return patient_key(self.secret, "", str(header.get("PatientID", "") or ""))

    def birth_key(self, header: Dataset) -> str:
        """What stands for (0010,0030) *Patient's Birth Date*; empty when that is unknown."""
        stated = str(header.get("PatientBirthDate", "") or "").strip()
        if not stated.strip("0"):
            return ""
        return hmac.new(self.secret, b"birth\x00" + stated.encode(), hashlib.sha256).hexdigest()

    def manifest(self) -> dict[str, Any]:
        """Manifest of the base network, read without loading it.

        Raises
        ------
        RefusedError
            If there is no network in the model folder.
        """
        folder = self.settings.inference.model_folder
        shipped = resources.files("engine") / "models"
        path = (folder if folder else shipped) / "base" / "manifest.json"
        if not path.is_file():
            raise RefusedError(f"there is no network at {path}: see inference.model_folder")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def inference_options(self) -> dict[str, Any]:
        """Fields of `glioloop.networks.Options`, as JSON."""
        given = self.settings.inference
        folder = given.model_folder
        return {
            "overlap": given.overlap,
            "batch": given.batch,
            "device": given.device,
            "threads": given.threads,
            "model_folder": str(folder.absolute()) if folder else None,
            "cache_folder": str(self.cache_folder.absolute()),
        }


def open_site(settings: configuration.Settings, *, create: bool = True) -> Site:
    """Open the data folder.

    Parameters
    ----------
    settings
        Where it is.
    create
        False refuses a folder where Glioloop never ran, for who only wants to look.

    Raises
    ------
    RefusedError
        If the site's rules for series cannot be used.
    """
    rules = series_rules.load(settings.identification.rules_file)
    data = settings.data
    ledger = Ledger(data / "ledger.db", create=create)
    secret = configuration.secret_of_site(settings)
    return Site(
        settings, secret, ledger, ResultStore(data / "results"), ModelStore(data / "models"), rules
    )
