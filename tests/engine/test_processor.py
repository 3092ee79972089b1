"""Tests of `engine.processor`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from engine.processor import has_bf16, threads_given


@pytest.mark.parametrize(
    ("flags", "expected"), [("fpu avx2 fma", False), ("fpu avx2 avx512_bf16", True)]
)
def test_bf16_is_there_when_a_flag_says_so(tmp_path: Path, flags: str, expected: bool) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"flags\t\t: {flags}\n")
    assert has_bf16(tmp_path) is expected


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
class TestThreads:
    """As many as the process is given."""

    @pytest.fixture(autouse=True)
    def _eight_processors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_without_control_groups_it_is_the_affinity(self, tmp_path: Path) -> None:
        assert threads_given(tmp_path) == 8

    @pytest.mark.parametrize(
        ("quota", "expected"),
        [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("350000 100000", 3)],
    )
    def test_version_2_limits(self, tmp_path: Path, quota: str, expected: int) -> None:
        self.write(tmp_path / "proc/self/cgroup", "0::/a/b\n")
        self.write(tmp_path / "sys/fs/cgroup/a/cpu.max", quota + "\n")
        assert threads_given(tmp_path) == expected

    def test_inside_a_container_of_version_2_the_group_is_the_root(self, tmp_path: Path) -> None:
        self.write(tmp_path / "proc/self/cgroup", "0::/\n")
        self.write(tmp_path / "sys/fs/cgroup/cpu.max", "300000 100000\n")
        assert threads_given(tmp_path) == 3

    @pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("400000", 4)])
    def test_version_1_limits(self, tmp_path: Path, quota: str, expected: int) -> None:
        self.write(tmp_path / "proc/self/cgroup", "3:memory:/m\n2:cpu,cpuacct:/docker/x\n")
        self.write(tmp_path / "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", quota)
        self.write(tmp_path / "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000")
        assert threads_given(tmp_path) == expected

    def test_the_tightest_group_on_the_way_up_counts(self, tmp_path: Path) -> None:
        self.write(tmp_path / "proc/self/cgroup", "0::/pod/container/service\n")
        self.write(tmp_path / "sys/fs/cgroup/pod/cpu.max", "250000 100000\n")
        self.write(tmp_path / "sys/fs/cgroup/pod/container/cpu.max", "600000 100000\n")
        self.write(tmp_path / "sys/fs/cgroup/pod/container/service/cpu.max", "max 100000\n")
        assert threads_given(tmp_path) == 2

    def test_inside_a_container_of_version_1_the_group_is_the_mount(self, tmp_path: Path) -> None:
        """The path names the group as the host sees it; the container sees its own at the top."""
        self.write(tmp_path / "proc/self/cgroup", "4:cpu,cpuacct:/docker/0123\n0::/docker/0123\n")
        self.write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n")
        self.write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
        assert threads_given(tmp_path) == 3

    def test_affinity_counts_too_which_a_cpuset_narrows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5})
        self.write(tmp_path / "proc/self/cgroup", "0::/a\n")
        self.write(tmp_path / "sys/fs/cgroup/a/cpu.max", "600000 100000\n")
        assert threads_given(tmp_path) == 2
