"""What the processor of this machine can do, and how much of it is ours."""

from __future__ import annotations

import os
from pathlib import Path

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
"""Processor flags that make bf16 faster; without them it is imitated, many times slower."""


def has_bf16(root: Path = Path("/")) -> bool:
    """Whether the processor computes in bf16 itself.

    Parameters
    ----------
    root
        Where ``/proc`` is, for tests.
    """
    return bool(BF16_FLAGS & instructions(root))


def instructions(root: Path = Path("/")) -> frozenset[str]:
    """Names of the processor's abilities; what is compiled for some may not run without them.

    Parameters
    ----------
    root
        Where ``/proc`` is, for tests.
    """
    lines = _text(root / "proc/cpuinfo").splitlines()
    return frozenset(
        word
        for line in lines
        if line.split(":")[0].strip() in ("flags", "Features")
        for word in line.partition(":")[2].split()
    )


def threads_given(root: Path = Path("/")) -> int:
    """Processors that this process may use: its affinity, and the quota of its control groups.

    Parameters
    ----------
    root
        Where ``/proc`` and ``/sys`` are, for tests.
    """
    given = float(len(os.sched_getaffinity(0)))
    lines = _text(root / "proc/self/cgroup").splitlines()
    for _, controllers, group in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "cpu" not in controllers.split(","):
            continue
        inner = Path(group.lstrip("/"))
        # Version 1 is mounted under the controllers' names, most often with a link for each.
        for mount in (root / "sys/fs/cgroup" / name for name in {"", "cpu", controllers}):
            for folder in (mount / inner, *(mount / up for up in inner.parents)):
                given = min(given, _quota(folder))
    return max(1, int(given))


def _quota(folder: Path) -> float:
    """Processors that one control group allows, version 2 or 1; infinite where it says nothing."""
    words = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    if len(words) != 2 or words[0] in ("max", "-1"):
        return float("inf")
    return float(words[0]) / float(words[1])


def _text(path: Path) -> str:
    """Text of a file, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
