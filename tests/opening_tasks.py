"""Tasks of a confined child of a test: SEGs opened by the dozen, and decoders gone wrong."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dicomseg.content import content_digest
from dicomseg.facts import read_facts
from dicomseg.read import read_seg
from glioloop import failures
from study.errors import GlioloopError
from study.volume import Geometry

Answer = Mapping[str, Any]
Progress = Callable[[float], None]


def open_all(arguments: Answer, progress: Progress) -> Answer:
    """What became of each SEG: how far it came, and the kind of error and its words if any."""
    grid = Geometry(tuple(arguments["shape"]), np.array(arguments["affine"]), arguments["frame"])
    return {
        "opened": [_open(Path(path), grid) for path in arguments["segs"]],
        "peak_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int:
    """Most memory that this process ever had; that of ``getrusage`` is inherited."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024


def _open(path: Path, grid: Geometry) -> list[str]:
    """Header, then contents, then masks, as the service does."""
    at = "header"
    try:
        failures.guarded(read_facts, path)
        at = "contents"
        failures.guarded(content_digest, path)
        at = "masks"
        failures.guarded(read_seg, path, grid)
    except GlioloopError as error:
        return [at, type(error).__name__, str(error)]
    return ["read", "", ""]


def facts(arguments: Answer, progress: Progress) -> Answer:
    """A decoder that never ends."""
    while True:
        pass


def contents(arguments: Answer, progress: Progress) -> Answer:
    """A decoder that reads where it must not."""
    ctypes.string_at(0)
    return {}


def outline(arguments: Answer, progress: Progress) -> Answer:
    """A decoder that asks for more and more."""
    return {"sizes": [len(part) for part in [bytes(1 << 28) for _ in range(100)]]}
