"""Opens damaged SEGs one after another, under the limits of the children that open them in truth.

``python seg_process.py FILE SEED COUNT``; prints how often each outcome came, as JSON. A child for
each, as in truth, would take seconds.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hostile_segs import damaged

from glioloop import failures, seg_tasks
from glioloop.confinement import LIMITS
from study.errors import GlioloopError

SECONDS = 30


def main(seg: Path, seed: int, count: int) -> None:
    """Open them."""
    failures.hush_libraries()
    most = LIMITS.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    found: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder) / "seg.dcm"
        for content in damaged(seg.read_bytes(), count, seed):
            at.write_bytes(content)
            began = time.monotonic()
            signal.alarm(SECONDS)  # ends this process: a hang is no outcome
            found[outcome(at)] += 1
            signal.alarm(0)
            slowest = max(slowest, time.monotonic() - began)
    sys.stdout.write(json.dumps({"outcomes": found, "slowest_s": slowest, "peak_mib": peak_mib()}))


def peak_mib() -> int:
    """Most address space that this process had at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmPeak"))


def outcome(path: Path) -> str:
    """What came of one."""
    try:
        failures.guarded(seg_tasks.facts, {"seg": str(path)}, lambda _part: None)
        failures.guarded(seg_tasks.contents, {"segs": [str(path)]}, lambda _part: None)
    except GlioloopError as error:
        return type(error).__name__
    return "read"


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
