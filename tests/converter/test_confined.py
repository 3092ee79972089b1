"""A child process keeps to its limits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from converter.confined import Limits, run

ROOMY = Limits(cpu_s=20, wall_s=60.0, memory_bytes=2**31, file_bytes=2**20)


def python(source: str, folder: Path, limits: Limits = ROOMY) -> bool:
    return run([sys.executable, "-I", "-c", source], folder, limits)


def test_a_program_that_ends_well_leaves_its_files(tmp_path):
    assert python("open('made', 'w').write('whole')", tmp_path)
    assert (tmp_path / "made").read_text() == "whole"


def test_a_program_that_fails_is_told_from_one_that_does_not(tmp_path):
    assert not python("raise SystemExit(3)", tmp_path)


def test_a_crash_is_a_failure(tmp_path):
    assert not python("import os; os.abort()", tmp_path)
    assert list(tmp_path.iterdir()) == []  # no core was dumped


@pytest.mark.parametrize(
    ("source", "limits"),
    [
        ("while True: pass", Limits(1, 60.0, 2**31, 2**20)),
        ("import time; time.sleep(600)", Limits(20, 1.0, 2**31, 2**20)),
        ("bytearray(2**30)", Limits(20, 60.0, 2**29, 2**20)),
        ("open('large', 'wb').write(bytes(2**21))", Limits(20, 60.0, 2**31, 2**20)),
    ],
    ids=["processor", "clock", "memory", "file"],
)
def test_a_limit_that_is_passed_ends_the_program(tmp_path, source, limits):
    assert not python(source, tmp_path, limits)


def test_nothing_of_the_environment_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("GLIOLOOP_SITE_SECRET", "secret")
    assert python("import os; open('seen', 'w').write(' '.join(sorted(os.environ)))", tmp_path)
    seen = set((tmp_path / "seen").read_text().split())
    assert "GLIOLOOP_SITE_SECRET" not in seen
    assert {"PATH", "HOME", "TMPDIR"} <= seen


def test_a_program_that_is_not_there_is_a_failure(tmp_path):
    assert not run(["no-such-program"], tmp_path, ROOMY)
