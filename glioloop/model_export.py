"""A head that leaves the house: its numbers and its record, and nothing of the patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glioloop import durable
from glioloop.model_file import pack
from glioloop.model_versions import HeadVersion

HEAD, RECORD = "head.safetensors", "head.json"


def export(version: HeadVersion, folder: Path) -> dict[str, Any]:
    """Write a head and its record; the record is returned.

    Parameters
    ----------
    version
        Which.
    folder
        Where to; made when missing.
    """
    record = {
        "backbone_sha256": version.backbone,
        # Their UIDs would name objects of the archive.
        "corrections": len(version.corrections),
        "metrics": {k: v for k, v in version.metrics.items() if k != "merged_from"},
        "software": version.software,
        "files": {"head": HEAD},
    }
    durable.write(folder / HEAD, pack(version.head))
    durable.write(folder / RECORD, json.dumps(record, indent=1).encode() + b"\n")
    return record
