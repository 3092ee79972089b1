"""The networks whose heads are in use: kept, so that an upgrade takes no patient's model away.

The old backbone goes on to serve its heads until they are fitted again, from the kept corrections,
and pass the gate on the new one (`glioloop.model_refits`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioloop import durable
from glioloop.models import Used
from glioloop.site import Site
from study.patient import PatientKey


@dataclass(frozen=True)
class Served:
    """What a study is segmented with.

    Parameters
    ----------
    manifest
        Of the network: the one in use, or one that is kept.
    used
        The head; None for the network's own.
    """

    manifest: Mapping[str, Any]
    used: Used | None


def serve(site: Site, patient_key: PatientKey | None, groups: Sequence[str]) -> Served:
    """Network and head for a patient's study.

    Their own head on the backbone in use, else their own on one that is kept, else a group's.

    Parameters
    ----------
    site
        Where.
    patient_key
        Whose study; None for nobody, who gets the base model.
    groups
        Names of the groups that the study belongs to.
    """
    manifest = site.manifest()
    if patient_key is None:
        return Served(manifest, None)
    backbone = manifest["backbone_sha256"]
    for older in site.models.used_elsewhere(patient_key, backbone):
        folder = site.kept_network(older.version.backbone)
        if folder is not None:
            return Served(_manifest(folder), older)
    return Served(manifest, site.models.used(patient_key, backbone, groups))


def keep(site: Site) -> None:
    """Keep the networks in use, before the first head is stored that belongs to them."""
    backbone = site.manifest()["backbone_sha256"]
    place = site.network_folder(backbone)
    if place.is_dir():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".partial-") as folder:
        made = Path(folder) / "made"
        for source in sorted(site.model_folder.glob("*/*")):
            if source.is_file() and source.parent.name in ("base", "brain"):
                name = made / source.parent.name / source.name
                durable.write(name, source.read_bytes())
        try:
            made.rename(place)
        except OSError:
            if not place.is_dir():  # another process was not quicker
                raise
            shutil.rmtree(made)


def _manifest(folder: Path) -> dict[str, Any]:
    """Manifest of a kept network."""
    found: dict[str, Any] = json.loads((folder / "base" / "manifest.json").read_text())
    return found
