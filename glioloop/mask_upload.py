"""A mask that a person uploads: it becomes a SEG, a correction, and goes to the archive."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicomseg.identity import SEG_KIND
from glioloop import confinement, durable, label_map, results
from glioloop.board import Board
from glioloop.delivery import JOB as DELIVER
from glioloop.delivery import Deliveries, job_id
from glioloop.judging import files_of
from glioloop.ledger_schema import ResultRow
from glioloop.site import Site
from listener.header import read_header
from listener.inbox import Inbox
from listener.part10 import Arrival, data_set_of
from study.errors import RefusedError
from study.tissue import Role

CALLING_AE = "WEB"
"""What stands for an AE title where a correction came over the web page."""
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Upload:
    """A mask, and what is said of it.

    Parameters
    ----------
    content
        A NIfTI file, compressed or not, on the grid of the study's T1gd series.
    labels
        What its numbers mean, as for `glioloop.label_map.numbers`; None: Glioloop's own.
    by
        Who made it.
    """

    content: bytes
    labels: str | None = None
    by: str = ""


def take(site: Site, study_uid: str, upload: Upload) -> str:
    """Take a mask as a correction of the latest result of a study.

    Parameters
    ----------
    site
        Where.
    study_uid
        (0020,000D) *Study Instance UID*.
    upload
        The mask.

    Returns
    -------
    str
        (0008,0018) *SOP Instance UID* of the SEG that was made of it.

    Raises
    ------
    RefusedError
        If the study has no result, or the mask does not fit it.
    FailedError
        If it cannot be kept.
    """
    made = site.ledger.results(study_uid)
    if not made:
        raise RefusedError(f"study {study_uid} has no result that a mask could correct")
    with tempfile.TemporaryDirectory(prefix="glioloop-") as folder:
        seg = _encoded(site, made[0], upload, Path(folder))
        data_set, arrival = (
            data_set_of(seg),
            Arrival.now("1.2.840.10008.1.2.1", CALLING_AE, site.settings.listener.ae_title),
        )
        content = seg.read_bytes()
    header = read_header(data_set, arrival.transfer_syntax_uid)
    least = int(site.settings.listener.min_free_gib * 2**30)
    received = Inbox(site.inbox_folder, min_free_bytes=least).store(data_set, header, arrival)
    site.ledger.enter(received)
    _deliver(site, study_uid, received.sha256[:32], content)
    return header.sop_instance_uid


def _encoded(site: Site, result: ResultRow, upload: Upload, folder: Path) -> Path:
    """The mask as a SEG, read and written in a child process: it comes from outside."""
    report = site.results.report(result.result_id)
    instances = {Role.T1GD.value: report["instances"][Role.T1GD.value]}
    ending = ".nii.gz" if upload.content.startswith(GZIP) else ".nii"
    mask = folder / f"mask{ending}"
    mask.write_bytes(upload.content)
    numbers = label_map.numbers(upload.labels)
    arguments: Mapping[str, Any] = {
        "mask": str(mask),
        "seg": str(folder / "seg.dcm"),
        "sources": files_of(site, result.study_uid, instances)[Role.T1GD.value],
        "numbers": None if numbers is None else [[n, t] for n, t in numbers.items()],
        "created": datetime.now(UTC).isoformat(),
        "creator": upload.by,
        "predecessor": results.predecessor(result.study_uid, result.result_id, SEG_KIND),
    }
    confinement.run("seg_of_mask", arguments, "the mask")
    return folder / "seg.dcm"


def _deliver(site: Site, study_uid: str, delivery_id: str, content: bytes) -> None:
    """Send the SEG to where the images are."""
    durable.once(site.results.path(delivery_id, results.SEG), lambda: content)
    with closing(Board(site.settings.database)) as board:
        for name in Deliveries(site).begin(delivery_id, study_uid):
            board.start(DELIVER, delivery_id, name, job_id=job_id(delivery_id, name))
