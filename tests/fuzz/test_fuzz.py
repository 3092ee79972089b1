"""Hostile bytes over the real port, and hostile SEGs: no crash, no hang, no memory over its cap."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from dicom_network import dcmtk, wait_until
from small_world import write_study

from converter.parts import headers_of, read_part
from converter.volume import to_volume
from dicomseg.identity import ResultIdentity
from dicomseg.write import write_seg
from fuzz import table
from fuzz.hostile_bytes import association, data_sets, messages, pdus
from fuzz.table import Count
from fuzz.target import CHECKOUT, Target, attack, attack_with_data_sets
from glioloop.confinement import LIMITS
from study.tissue import TUMOUR_TISSUES, Tissue

SEED = 20260131
SHORT = {"pdus": 60, "messages": 60, "data sets": 200, "segs": 40}
LONG = {"pdus": 4_000, "messages": 4_000, "data sets": 30_000, "segs": 5_000}


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    found = Target.start(tmp_path / "target")
    yield found
    found.stop()


@pytest.fixture
def seg(tmp_path: Path) -> Path:
    """A good SEG."""
    files = [str(path) for path in write_study(tmp_path / "study").files["T1GD"]]
    volume = to_volume(read_part(files))
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[3:9, 4:10, 5:11] = Tissue.EDEMA
    labels[5:8, 6:9, 6:9] = Tissue.ENHANCING
    identity = ResultIdentity("c0ffee00aa", "a viewer", "1", datetime(2026, 1, 2, tzinfo=UTC))
    path = tmp_path / "seg.dcm"
    sources = headers_of(read_part(files))
    path.write_bytes(write_seg(volume.with_array(labels), sources, identity, TUMOUR_TISSUES))
    return path


def over_the_port(target: Target, numbers: dict[str, int], seed: int) -> list[Count]:
    """All attacks on the listener; after each it answers DCMTK, and nothing is left running."""
    idle = target.sockets()
    found = []
    for number in range(3):
        chance = random.Random(seed + number)  # noqa: S311 - it must be the same each time
        if number == 0:
            made = attack(target, "PDUs", seed, pdus(chance), numbers["pdus"], first=b"")
        elif number == 1:
            made = attack(
                target,
                "messages",
                seed + 1,
                messages(chance),
                numbers["messages"],
                first=association(),
            )
        else:
            made = attack_with_data_sets(target, seed + 2, data_sets(chance), numbers["data sets"])
        found.append(made)
        done = dcmtk("echoscu", "-aec", "GLIOLOOP", "127.0.0.1", str(target.port))
        assert done.returncode == 0, f"no C-ECHO after the {made.kind}: {done.stderr}"
    assert wait_until(lambda: target.sockets() <= idle, 40), "connections are left open"
    return found


def of_segs(seg: Path, number: int, seed: int) -> Count:
    """SEGs, opened under the limits of the child that opens them in truth."""
    paths = os.pathsep.join((str(CHECKOUT), str(CHECKOUT / "tests")))
    script = Path(__file__).with_name("seg_process.py")
    done = subprocess.run(
        [sys.executable, str(script), str(seg), str(seed), str(number)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(done.stdout) if done.returncode == 0 else {"peak_mib": 0, "outcomes": {}}
    count = Count("SEGs", seed, sum(said["outcomes"].values()), said["outcomes"])
    count.crashes = int(done.returncode != 0)
    count.slowest_s, count.peak_mib = said.get("slowest_s", 0.0), said["peak_mib"]
    count.cap_mib = LIMITS.memory_bytes >> 20
    return count


def judge(counts: list[Count], numbers: dict[str, int]) -> None:
    """What must hold."""
    assert [count.inputs for count in counts] == list(numbers.values())
    for count in counts:
        assert (count.crashes, count.hangs, count.unforeseen) == (0, 0, 0), count
        assert 0 < count.peak_mib < count.cap_mib, count


def test_some_hundred_inputs(target: Target, seg: Path) -> None:
    counts = [*over_the_port(target, SHORT, SEED), of_segs(seg, SHORT["segs"], SEED)]

    judge(counts, SHORT)
    assert counts[2].outcomes["0xC000"] > 50  # damage is found
    assert counts[3].outcomes["RefusedError"] > 2


@pytest.mark.fuzz
@pytest.mark.timeout(7200)
def test_tens_of_thousands_of_inputs(target: Target, seg: Path) -> None:
    counts = [*over_the_port(target, LONG, SEED), of_segs(seg, LONG["segs"], SEED)]

    table.write(counts)
    judge(counts, LONG)


def test_the_table_goes_into_its_place(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    count = Count(
        "PDUs", 7, 3, {"closed": 2, "rejected": 1}, slowest_s=0.25, peak_mib=9, cap_mib=10
    )

    table.write([count], page)

    assert "old" not in page.read_text()
    row = "| PDUs | 7 | 3 | closed 2, rejected 1 | 0 | 0 | 0 | 0.2 s | 9 of 10 MiB |"
    assert row in page.read_text()
    assert page.read_text().endswith(f"{table.END}\nafter\n")
