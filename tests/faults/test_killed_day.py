"""``kill -9`` of the service at random moments of a day of studies and corrections."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from faults.day import Count, Day
from faults.life import Life, nursery
from faults.table import Row, table
from glioloop.private_orthanc import PACS_AET, Orthanc, free_port

# pynetdicom leaves the socket of a refused connection to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(5400), UNCLOSED]

KILLS = int(os.environ.get("KILLS", "200"))
SEED = 20261126


@pytest.mark.parametrize("kills", [4, pytest.param(KILLS, marks=pytest.mark.faults)])
def test_nothing_accepted_is_lost_or_done_twice(kills: int, tmp_path: Path) -> None:
    rng = random.Random(SEED)  # noqa: S311
    port = free_port()
    with nursery() as mother, Orthanc(tmp_path / "orthanc", port) as orthanc:
        pacs = {
            "name": "pacs",
            "ae_title": PACS_AET,
            "host": "127.0.0.1",
            "port": orthanc.dicom_port,
        }
        life = Life(tmp_path / "service", mother, [pacs], port=port)
        day = Day(tmp_path, life, orthanc)
        try:
            day.begin()
            start_s = 1.0
            for _ in range(kills):
                life.start()
                began = time.monotonic()
                if rng.random() < 0.8:
                    life.until_it_listens()
                    start_s = time.monotonic() - began
                    # On a slow machine it lives longer, and comes as far.
                    time.sleep(rng.uniform(0.0, 2.0 * start_s))
                else:  # it dies while it starts
                    time.sleep(rng.uniform(0.0, start_s))
                life.kill()
            life.start()
            day.end()
            found = day.count()
        finally:
            day.broken.set()
            life.kill()
    assert found.accepted >= max(1, kills // 10)
    assert found.corrections >= 1
    perfect = Count(
        accepted=found.accepted,
        results=found.accepted,
        lost=0,
        duplicates=0,
        corrections=found.corrections,
        learnt=found.corrections,
        twice=0,
        waiting=0,
        altered=0,
    )
    if kills == KILLS:
        table(
            Row(
                f"the service is killed {kills} times in a day",
                found.accepted,
                found.results,
                found.lost,
                found.duplicates,
                found.corrections,
                found.twice,
            )
        )
    assert found == perfect, life.log.read_text()[-6000:]
