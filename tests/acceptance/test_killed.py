"""``kill -9`` of the whole service at the worst moments: one SEG, and at most two inferences."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from acceptance.scene import open_scene, wait_for
from glioloop.ledger_schema import StudyState
from glioloop.phantom import PhantomStudy
from glioloop.private_orthanc import storescu

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1200)]

SCRIPT = Path(__file__).with_name("pausing_service.py")


@pytest.mark.parametrize(
    ("point", "segs_at_kill", "inferences"),
    [
        pytest.param("inference", 0, 2, marks=pytest.mark.slow),
        pytest.param("encoding", 0, 1, marks=pytest.mark.slow),
        ("stored", 1, 1),
    ],
)
def test_a_killed_service_goes_on_where_it_was(
    small_models: Path,
    patient: PhantomStudy,
    tmp_path: Path,
    point: str,
    segs_at_kill: int,
    inferences: int,
) -> None:
    uid = patient.study_uid
    (tmp_path / "pause").write_text(point)
    command = (sys.executable, shutil.copy(SCRIPT, tmp_path))
    with open_scene(tmp_path, small_models, command) as here:
        assert storescu(here.orthanc, patient.files).returncode == 0
        assert wait_for((tmp_path / "reached").exists), here.said()
        here.service.kill()
        assert len(here.segs(uid)) == segs_at_kill
        (tmp_path / "pause").unlink()
        here.service.start()
        assert here.waits_until(uid, StudyState.DELIVERED), here.said()
        assert len(here.segs(uid)) == 1
        assert len(here.runs(uid)) == inferences
