"""The results and their files.

A result is one folder named by its id. Its files are written once and never changed; what is
delivered are the stored objects, byte by byte, however often. The last one written is `REPORT`,
which lets a lost ledger be rebuilt. What a study gets that could not be segmented lies here too,
without one (`glioloop.answers`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from converter.parts import references
from converter.series import Series
from dicomseg.identity import (
    LABEL_MAP_KIND,
    SEG_KIND,
    Encoding,
    Predecessor,
    ResultIdentity,
    series_uid_for,
    uid_for,
)
from glioloop import durable
from study.errors import RefusedError
from study.tissue import Role

SEG = "seg.dcm"
LABEL_MAP = "label-map.dcm"
"""The SEG's outline once more, as a Label Map Segmentation, where a destination wants it so."""
SR = "report.dcm"
ATTEMPT = "attempt-"
"""How the folder of a computation begins, within its result's."""
ANSWER = "answer.json"
"""Beside an answer: it is sent only while its study has no result."""
PICTURES = "picture-{:02}.dcm"
"""Secondary Captures, numbered from 1."""
LABELS = "labels.npz"
KEPT = "kept.npz"
FACTS = "facts.json"
REPORT = "report.json"
REPORTS = "reports.json"
"""What was reported of a result after its own report: of its corrections, the latest last."""

SEG_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
"""Segmentation Storage."""
LABEL_MAP_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage."""
SR_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"
"""Comprehensive SR Storage."""
REPORT_KIND = "report"
"""Kind of a report among the objects of a result, as in `ResultIdentity`."""
SOP_CLASSES = {
    SEG_KIND: SEG_SOP_CLASS,
    LABEL_MAP_KIND: LABEL_MAP_SOP_CLASS,
    REPORT_KIND: SR_SOP_CLASS,
}
"""Kind of an object that a newer one may supersede, and its SOP class."""


@dataclass(frozen=True)
class Choice:
    """Which instances a result is made from.

    Parameters
    ----------
    series
        Role to SeriesInstanceUID.
    instances
        Role to the SOP Instance UIDs of that series, in any order; with the frames that are meant
        where these are not all (`converter.parts.references`).
    """

    series: Mapping[Role, str]
    instances: Mapping[Role, Sequence[str]]

    @classmethod
    def of(cls, chosen: Mapping[Role, Series]) -> Choice:
        """What was chosen by `glioloop.choice`: service and offline name their results alike."""
        return cls(
            {role: series.series_uid for role, series in chosen.items()},
            {role: references(s) for role, s in chosen.items()},
        )

    @property
    def id(self) -> str:
        """Hash over roles and SOP Instance UIDs, 32 hex digits."""
        return _hash({role.value: sorted(self.instances[role]) for role in sorted(self.instances)})


@dataclass(frozen=True)
class Recipe:
    """All that decides what a result looks like; its hash is the result's id.

    Parameters
    ----------
    choice
        `Choice.id`.
    model, backbone
        Name of the network and hash of its backbone.
    head
        Name of the head: ``base`` or a patient's version.
    settings
        The settings that change voxels.
    request
        A person's request number; 0 for none.
    """

    choice: str
    model: str
    backbone: str
    head: str
    settings: Mapping[str, Any]
    request: int

    @property
    def result_id(self) -> str:
        """32 hex digits."""
        return _hash(asdict(self))


class ResultStore:
    """The folder of all results."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, result_id: str, name: str) -> Path:
        """Where a file of a result lies."""
        if len(result_id) != 32 or not result_id.isalnum():
            raise RefusedError(f"{result_id!r} is no id of a result")
        return self._folder / result_id / name

    def has(self, result_id: str, name: str) -> bool:
        """Whether a file of a result is there; then it is whole."""
        return self.path(result_id, name).is_file()

    def write(self, result_id: str, name: str, content: bytes) -> Path:
        """Write a file, once: one that is there stays as it is."""
        path = self.path(result_id, name)
        durable.once(path, lambda: content)
        return path

    def attempt(self, result_id: str) -> Path:
        """A folder of its own for one computation of a result: what `adopt` takes over.

        A node that was taken for dead may still compute; it must not write where another one reads.
        """
        return self.path(result_id, f"{ATTEMPT}{uuid.uuid4().hex[:8]}")

    def adopt(self, result_id: str, attempt: Path) -> None:
        """Make what one computation wrote the result's own, unless there is one already."""
        if not self.has(result_id, FACTS):
            for name in (KEPT, LABELS, FACTS):
                (attempt / name).replace(self.path(result_id, name))
            durable.sync(attempt.parent)
        for folder in attempt.parent.glob(f"{ATTEMPT}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def objects(
        self, result_id: str, wanted: Collection[str], encoding: Encoding = "BINARY"
    ) -> list[Path]:
        """Files that are delivered, the SEG first.

        Parameters
        ----------
        result_id
            Of the result.
        wanted
            ``"seg"``, ``"report"``, ``"pictures"``, as in `glioloop.settings_network.Destination`.
        encoding
            Of the SEG, as there. What was made before a destination wanted label maps, and masks
            that a person uploaded, have none: then it is the SEG as it is.
        """
        as_label_map = encoding == "LABELMAP" and self.has(result_id, LABEL_MAP)
        kinds = {LABEL_MAP if as_label_map else SEG: "seg", SR: "report"}
        other = SEG if as_label_map else LABEL_MAP
        found = [path for path in self.path(result_id, ".").glob("*.dcm") if path.name != other]
        order = [*kinds]
        return sorted(
            (path for path in found if kinds.get(path.name, "pictures") in wanted),
            key=lambda path: (order.index(path.name) if path.name in order else 9, path.name),
        )

    def with_objects(self) -> Iterator[str]:
        """Ids of everything that is delivered: results, answers, reports of corrections, masks."""
        for folder in sorted(self._folder.glob("*")):
            if any(folder.glob("*.dcm")):
                yield folder.name

    def report(self, result_id: str) -> dict[str, Any]:
        """The result's report.json."""
        found: dict[str, Any] = json.loads(self.path(result_id, REPORT).read_text())
        return found

    def reports(self, result_id: str) -> list[dict[str, Any]]:
        """What was reported of a result after its own report, the latest last.

        Each has the ``report_id`` under which it lies, the SOP Instance UID of the ``seg`` that it
        is of (empty: the result's own) and those of its older ``layers``, if there are any, and
        ``said``, a digest of all that it tells.
        """
        path = self.path(result_id, REPORTS)
        found: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
        return found

    def add_report(self, result_id: str, entry: Mapping[str, Any]) -> None:
        """Note a report; noting the latest again changes nothing."""
        known = self.reports(result_id)
        if not known or known[-1] != entry:
            written = json.dumps([*known, dict(entry)], indent=1).encode()
            durable.write(self.path(result_id, REPORTS), written)

    def latest_report(self, result_id: str) -> str:
        """Id under which the latest report of a result lies: its own, or a correction's."""
        known = self.reports(result_id)
        return str(known[-1]["report_id"]) if known else result_id

    def finished(self) -> Iterator[str]:
        """Ids of the results whose report is written."""
        for path in sorted(self._folder.glob(f"*/{REPORT}")):
            yield path.parent.name


def predecessor(study_uid: str, result_id: str, kind: str) -> dict[str, str]:
    """An object that a newer one supersedes: `Predecessor`, as JSON.

    Parameters
    ----------
    study_uid
        (0020,000D) *Study Instance UID*.
    result_id
        Of the result, or of the report, that it belongs to.
    kind
        A key of `SOP_CLASSES`.
    """
    return {
        "study_uid": study_uid,
        "series_uid": series_uid_for(result_id, kind),
        "sop_instance_uid": uid_for(result_id, kind),
        "sop_class_uid": SOP_CLASSES[kind],
    }


def identity_of(values: Mapping[str, Any]) -> ResultIdentity:
    """`ResultIdentity` from JSON."""
    predecessor = values.get("predecessor")
    return ResultIdentity(
        **{
            **values,
            "created": datetime.fromisoformat(values["created"]),
            "predecessor": Predecessor(**predecessor) if predecessor else None,
        }
    )


def _hash(value: Any) -> str:
    """32 hex digits of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
