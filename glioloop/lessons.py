"""Where the files of a correction lie that a patient's head is fitted to."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from glioloop.ledger_schema import CorrectionRow
from glioloop.site import Site


def lesson_json(site: Site, row: CorrectionRow) -> dict[str, Any]:
    """`glioloop.learning.Lesson` of a correction, as JSON."""
    assert row.result_id is not None  # noqa: S101 - it was queued under one
    # Other bytes, or another meaning of its segments, teach something else.
    taught = json.dumps([row.sop_instance_uid, row.path, row.label_map, row.looked_at])
    sample = f"sample-{hashlib.sha256(taught.encode()).hexdigest()[:16]}.npz"
    return {
        "result": str(site.results.path(row.result_id, ".").absolute()),
        "seg": row.path,
        "sample": str(site.results.path(row.result_id, sample).absolute()),
        "label_map": row.label_map,
        "looked_at": row.looked_at,
    }
