"""What one installation keeps: settings, secret, ledger, results and models, opened together."""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydicom import Dataset

from converter import rules as series_rules
from converter.rules import Rules
from glioloop import settings as configuration
from glioloop.audit_trail import AuditTrail
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
    def audit(self) -> AuditTrail:
        """Where it is written down who did what."""
        settings, given = self.settings, self.settings.audit
        folder = settings.data / "audit"
        if settings.shared:  # locks of files do not reach from one machine to another
            folder /= settings.node_name
        source = f"glioloop-{settings.node_name}"
        return AuditTrail(folder, given.file_mib << 20, source, given.site)

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

    def named_patient(
        self, patient_id: str, issuer: str, calling_ae: str
    ) -> tuple[PatientKey | None, bool]:
        """Key of the patient that a SEG names, and whether the issuer of its Patient ID is in it.

        Many viewers drop the issuer: where neither the SEG nor who sent it names one, the ID alone
        is compared.
        """
        named = issuer or self.settings.listener.issuers.get(calling_ae, "")
        return patient_key(self.secret, named, patient_id), bool(named)

    def is_theirs(
        self, patient_key: str | None, id_key: str | None, found: str | None, *, whole: bool
    ) -> bool:
        """Whether an object's own Patient ID is that of the patient whose result it corrects.

        Parameters
        ----------
        patient_key, id_key
            Of the result, with the issuer of its Patient ID and without.
        found
            Of the object; without the issuer unless ``whole``.
        whole
            Whether the object, or who sent it, names the issuer.
        """
        if patient_key is None or found is None:
            return False
        if found == (patient_key if whole else id_key):
            return True
        key = PatientKey(patient_key)
        return found in (self.models.keys_of(key) if whole else self.models.id_keys_of(key))

    def birth_key(self, header: Dataset) -> str:
        """What stands for (0010,0030) *Patient's Birth Date*; empty when that is unknown."""
        stated = str(header.get("PatientBirthDate", "") or "").strip()
        if not stated.strip("0"):
            return ""
        return hmac.new(self.secret, b"birth\x00" + stated.encode(), hashlib.sha256).hexdigest()

    def name_key(self, header: Dataset) -> str:
        """What stands for (0010,0010) *Patient's Name*; empty when that is unknown.

        Case, empty parts, and other alphabets than the first do not matter (PS3.5 section 6.2.1).
        """
        stated = str(header.get("PatientName", "") or "").split("=")[0].replace("^", " ")
        name = " ".join(unicodedata.normalize("NFC", stated).casefold().split())
        if not name:
            return ""
        return hmac.new(self.secret, b"name\x00" + name.encode(), hashlib.sha256).hexdigest()

    @property
    def model_folder(self) -> Path:
        """Where the networks `base` and `brain` are that are in use."""
        given = self.settings.inference.model_folder
        return given.absolute() if given else Path(str(resources.files("engine") / "models"))

    def network_folder(self, backbone: str) -> Path:
        """Where the networks of a backbone are kept, as long as heads belong to them."""
        return self.settings.data.absolute() / "networks" / backbone[:16]

    def kept_network(self, backbone: str) -> Path | None:
        """The folder of `network_folder`, if it is there."""
        folder = self.network_folder(backbone)
        return folder if (folder / "base" / "manifest.json").is_file() else None

    def manifest(self) -> dict[str, Any]:
        """Manifest of the base network, read without loading it.

        Raises
        ------
        RefusedError
            If there is no network in the model folder.
        """
        path = self.model_folder / "base" / "manifest.json"
        if not path.is_file():
            raise RefusedError(f"there is no network at {path}: see inference.model_folder")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def inference_options(self, backbone: str | None = None) -> dict[str, Any]:
        """Fields of `glioloop.networks.Options`, as JSON.

        Parameters
        ----------
        backbone
            Hash of the one to run, where that may be a kept one; None for the one in use.
        """
        given = self.settings.inference
        folder = given.model_folder.absolute() if given.model_folder else None
        if backbone is not None and backbone != self.manifest()["backbone_sha256"]:
            folder = self.network_folder(backbone)
        return {
            "mode": given.mode,
            "batch": given.batch,
            "device": given.device,
            "threads": given.threads,
            "model_folder": str(folder) if folder else None,
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
    if settings.shared:
        _check_shared(settings)
    ledger = Ledger(settings.ledger_place, create=create)
    secret = configuration.secret_of_site(settings)
    models = ModelStore(settings.models_place)
    return Site(settings, secret, ledger, ResultStore(data / "results"), models, rules)


def _check_shared(settings: configuration.Settings) -> None:
    """Refuse what would go wrong, or be forgotten, where several nodes share the work."""
    data = settings.data
    if not data.is_absolute():
        raise RefusedError(
            f"the data folder is {data}: where nodes share the jobs, they share this folder too,"
            " under one absolute path on each machine"
        )
    left = {
        "ledger_url": data / "ledger.db" if settings.ledger_url is None else None,
        "models_url": data / "models" / "models.db" if settings.models_url is None else None,
    }
    for setting, path in left.items():
        if path is not None and path.is_file():
            raise RefusedError(
                f"{path} holds what was known here before the jobs were in PostgreSQL, and would be"
                f" forgotten: copy its tables there and put the file away, or set {setting}"
            )
