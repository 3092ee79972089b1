"""A SEG that waits for a person: its segments, what they may be, and what it may correct."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dicomseg.mapping import map_segments
from glioloop import confinement, label_map, overview
from glioloop.site import Site
from study.errors import HeldError, RefusedError
from study.tissue import TUMOUR_TISSUES


def correction(site: Site, sop_instance_uid: str) -> dict[str, Any]:
    """All that a person needs to decide about a SEG, as plain values.

    Its labels are for that person's eyes, and are in no log: they may be names.

    Raises
    ------
    RefusedError
        If it never came.
    """
    row = site.ledger.correction(sop_instance_uid)
    segments: list[dict[str, Any]] = []
    unreadable = ""
    try:
        segments = _segments(Path(row.path), sop_instance_uid, row.label_map)
    except (RefusedError, HeldError) as error:
        unreadable = str(error)
    return {
        **overview.shown(row),
        "segments": segments,
        "unreadable": unreadable,
        "tissues": [*(tissue.name.lower() for tissue in TUMOUR_TISSUES), label_map.LEFT_OUT],
        "results": [
            {
                "result_id": made.result_id,
                "head": made.head,
                "created_at": overview.time_of(made.created_at),
            }
            for made in site.ledger.results(row.study_uid)
        ],
    }


def _segments(path: Path, sop_instance_uid: str, given: dict[str, str]) -> list[dict[str, Any]]:
    """Each segment, and what it is taken for; empty where nothing names it."""
    facts = confinement.facts(path, confinement.named(sop_instance_uid))
    mapped = map_segments(facts.segments, (), label_map.tissues(given))
    return [
        {
            "number": one.segment.number,
            "label": one.segment.label,
            "tissue": one.tissue.name.lower() if one.tissue else _left_out(one.by),
            "by": one.by,
        }
        for one in mapped
    ]


def _left_out(by: str) -> str:
    """What a segment is that stands for no tissue: left out on purpose, or not known."""
    return "" if by == "nothing" else label_map.LEFT_OUT
