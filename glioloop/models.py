"""The patients' heads, with their history.

A patient's models are one JSON file, replaced as a whole: every version that was ever accepted,
and for each backbone which of them is in use. A wrong one is undone by pointing at its parent.
Nothing in it says who the patient is.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from glioloop import durable
from study.errors import RefusedError
from study.patient import PatientKey

BASE = 0
"""The version that stands for the head everybody starts with."""


@dataclass(frozen=True)
class HeadVersion:
    """An accepted head of one patient."""

    number: int
    parent: int
    """Version it was fitted from; `BASE` for the shipped head."""
    backbone: str
    """Hash of the backbone it belongs to; with any other it means nothing."""
    head: Mapping[str, Any]
    """As `engine.head.Head.to_json` wrote it."""
    corrections: tuple[str, ...]
    """SOP Instance UIDs of the SEGs it was fitted on."""
    metrics: Mapping[str, Any]
    software: str
    created_at: float


@dataclass(frozen=True)
class PatientModels:
    """All versions of one patient, and which is in use for each backbone."""

    patient_key: PatientKey
    versions: tuple[HeadVersion, ...] = ()
    current: Mapping[str, int] = field(default_factory=dict)

    def version(self, number: int) -> HeadVersion:
        """One version; `RefusedError` when there is none of that number."""
        for found in self.versions:
            if found.number == number:
                return found
        raise RefusedError(
            f"patient {self.patient_key[:8]} has no model version {number}, "
            f"only {[v.number for v in self.versions] or 'the base model'}"
        )

    def in_use(self, backbone: str) -> HeadVersion | None:
        """The version in use with a backbone; None for the base head."""
        number = self.current.get(backbone, BASE)
        return None if number == BASE else self.version(number)

    def name(self, number: int) -> str:
        """What a version is called in a SEG: it names the model, not the patient."""
        return "base" if number == BASE else f"{self.patient_key[:8]}.{number}"


class ModelStore:
    """The folder of all patients' models."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def patient(self, patient_key: PatientKey) -> PatientModels:
        """Models of one patient; one who was never learnt from has only the base model."""
        path = self._path(patient_key)
        if not path.is_file():
            return PatientModels(patient_key)
        known = json.loads(path.read_text())
        versions = tuple(
            HeadVersion(**{**v, "corrections": tuple(v["corrections"])}) for v in known["versions"]
        )
        return PatientModels(patient_key, versions, known["current"])

    def patients(self) -> Iterator[PatientModels]:
        """Every patient who was learnt from."""
        for path in sorted(self._folder.glob("*/*.json")):
            yield self.patient(PatientKey(path.stem))

    def find(self, beginning: str) -> PatientModels:
        """The patient whose key begins so; `RefusedError` if none or several do."""
        found = [p for p in self.patients() if p.patient_key.startswith(beginning)]
        if len(found) != 1 or not beginning:
            raise RefusedError(
                f"{len(found)} patients have a key that begins with {beginning!r}; "
                "`glioloop models list` shows the keys"
            )
        return found[0]

    def accept(
        self,
        patient_key: PatientKey,
        *,
        parent: int,
        backbone: str,
        head: Mapping[str, Any],
        corrections: tuple[str, ...],
        metrics: Mapping[str, Any],
        software: str,
    ) -> HeadVersion:
        """Store a new version and use it; the same head from the same corrections is one version.

        So an adaptation that a crash made run twice yields one.
        """
        with self._changing(patient_key) as known:
            for version in known.versions:
                same = (version.corrections, version.backbone) == (corrections, backbone)
                if same and dict(version.head) == dict(head):
                    current = {**known.current, backbone: version.number}
                    self._write(replace(known, current=current))
                    return version
            made = HeadVersion(
                number=max((v.number for v in known.versions), default=BASE) + 1,
                parent=parent,
                backbone=backbone,
                head=head,
                corrections=corrections,
                metrics=metrics,
                software=software,
                created_at=time.time(),
            )
            self._write(
                replace(
                    known,
                    versions=(*known.versions, made),
                    current={**known.current, backbone: made.number},
                )
            )
        return made

    def use(self, patient_key: PatientKey, number: int, backbone: str) -> None:
        """Point at a version, or at `BASE`.

        Raises
        ------
        RefusedError
            If there is no such version, or it belongs to another backbone.
        """
        with self._changing(patient_key) as known:
            if number != BASE and known.version(number).backbone != backbone:
                raise RefusedError(
                    f"model version {number} of patient {patient_key[:8]} belongs to backbone "
                    f"{known.version(number).backbone[:12]}, but {backbone[:12]} is in use"
                )
            self._write(replace(known, current={**known.current, backbone: number}))

    def rollback(self, patient_key: PatientKey, backbone: str) -> int:
        """Point at the parent of the version in use, and say which that is."""
        used = self.patient(patient_key).in_use(backbone)
        if used is None:
            raise RefusedError(f"patient {patient_key[:8]} uses the base model: nothing to undo")
        self.use(patient_key, used.parent, backbone)
        return used.parent

    def forget(self, patient_key: PatientKey) -> None:
        """Remove all models of a patient."""
        self._path(patient_key).unlink(missing_ok=True)

    def _path(self, patient_key: PatientKey) -> Path:
        """File of one patient."""
        return self._folder / patient_key[:2] / f"{patient_key}.json"

    @contextmanager
    def _changing(self, patient_key: PatientKey) -> Iterator[PatientModels]:
        """The patient's models, while nobody else changes them."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.patient(patient_key)

    def _write(self, models: PatientModels) -> None:
        """Replace the patient's file."""
        content = json.dumps(asdict(models), indent=1).encode()
        durable.write(self._path(models.patient_key), content)
