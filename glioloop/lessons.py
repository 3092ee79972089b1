"""A correction as something to learn from, and where its files lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glioloop import results

if TYPE_CHECKING:
    from glioloop.ledger_schema import CorrectionRow
    from glioloop.site import Site

FORMAT = 3
"""Of what is kept of an outline and its sample: another number where they are made otherwise."""


@dataclass(frozen=True)
class Lesson:
    """A correction and the result that it corrects.

    Parameters
    ----------
    result
        Folder of the result, with its labels, SEG and kept inputs.
    seg
        The correction's file.
    outline
        Where what it outlines is kept (`glioloop.outlines`).
    sample
        Where the sample of its features is kept; made when missing.
    label_map
        A person's decision: label of a segment to name of a tissue, or ``none``.
    looked_at
        A person has looked, and found it right however unlikely.
    layers
        Older corrections of the same result in the same series, the newest first: some viewers
        save a file for each layer of an outline (`dicomseg.read.read_seg`). Each is a file and a
        person's decision about it, as ``label_map``.
    series
        Role to the files of its series, where the inputs may have to be made again.
    """

    result: Path
    seg: Path
    outline: Path
    sample: Path
    label_map: Mapping[str, str]
    looked_at: bool = False
    layers: Sequence[tuple[str, Mapping[str, str]]] = ()
    series: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def kept(self) -> Path:
        """Inputs of the result."""
        return self.result / results.KEPT

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Lesson:
        """Undo `to_json`."""
        paths = {name: Path(values[name]) for name in ("result", "seg", "outline", "sample")}
        return cls(**{**values, **paths})


def lesson_json(site: Site, row: CorrectionRow) -> dict[str, Any]:
    """`Lesson` of a correction, as JSON."""
    assert row.result_id is not None  # noqa: S101 - it was queued under one
    # Other bytes, or another meaning of its segments, teach something else.
    layers = [(one.path, one.label_map) for one in layers_of(site, row)]
    parts = [FORMAT, row.sop_instance_uid, row.path, row.label_map, row.looked_at, layers]
    taught = json.dumps(parts, sort_keys=True)
    digest = hashlib.sha256(taught.encode()).hexdigest()[:16]
    folder = site.results.path(row.result_id, ".").absolute()
    return Lesson(
        result=folder,
        seg=Path(row.path),
        outline=folder / f"outline-{digest}.npz",
        sample=folder / f"sample-{digest}.npz",
        label_map=row.label_map,
        looked_at=row.looked_at,
        layers=layers,
    ).to_json()


def with_layers(site: Site, rows: Sequence[CorrectionRow]) -> list[CorrectionRow]:
    """All corrections that lessons are made of: some, and their layers; the earliest first."""
    found = {one.sop_instance_uid: one for row in rows for one in (row, *layers_of(site, row))}
    return sorted(found.values(), key=lambda one: (one.received_at, one.sop_instance_uid))


def layers_of(site: Site, row: CorrectionRow) -> list[CorrectionRow]:
    """Corrections of a result that were taken before this one in its series, the newest first."""
    from glioloop.ledger_schema import TAKEN  # noqa: PLC0415 - children need no database

    series = {i.sop_instance_uid: i.series_uid for i in site.ledger.instances(row.study_uid)}
    mine = series.get(row.sop_instance_uid, "")
    older = [
        one
        for one in site.ledger.corrections(*TAKEN)
        if one.result_id == row.result_id
        and one.received_at < row.received_at
        and mine
        and series.get(one.sop_instance_uid) == mine
    ]
    return sorted(older, key=lambda one: -one.received_at)
