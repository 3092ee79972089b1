"""Storage Commitment with a real Orthanc, on either side."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from small_world import write_study

from acceptance.scene import wait_for
from faults.life import Life, nursery
from glioloop.private_orthanc import PACS_AET, Orthanc, free_port, storescu, storescu_to

# pynetdicom leaves the socket of a refused connection to the garbage collector.
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600), UNCLOSED]


def test_orthanc_commits_itself_and_asks_in_vain(tmp_path: Path) -> None:
    """It keeps what it got; and of what it sends us, nothing is kept for it."""
    port = free_port()
    with nursery() as mother, Orthanc(tmp_path / "orthanc", port) as orthanc:
        pacs = {"name": "pacs", "ae_title": PACS_AET, "host": "127.0.0.1"}
        wanted = [{**pacs, "port": orthanc.dicom_port, "commitment": True}]
        life = Life(tmp_path / "service", mother, wanted, port=port)
        try:
            life.start()
            life.until_it_listens()
            study = write_study(tmp_path / "in")
            assert storescu_to(port, "GLIOLOOP", study.every(), "SCANNER").returncode == 0
            ledger = life.ledger()
            assert wait_for(lambda: [c.state for c in ledger.commitments()] == ["committed"], 60), (
                life.log.read_text()
            )
            ledger.close()
            assert storescu(orthanc, study.files["T2"][:2]).returncode == 0
            names = [
                {
                    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
                    "SOPInstanceUID": f"{study.uid}.3.{n}",
                }
                for n in (1, 2)
            ]
            asked = orthanc.post(
                "/modalities/glioloop/storage-commitment", {"DicomInstances": names}
            )
            give_up = time.monotonic() + 30
            while (found := orthanc.get(asked["Path"]))["Status"] == "Pending":
                assert time.monotonic() < give_up, life.log.read_text()
                time.sleep(0.1)
        finally:
            life.kill()
    assert found["Status"] == "Failure"
    assert found["Success"] == []
    assert [one["FailureReason"] for one in found["Failures"]] == [0x0122, 0x0122]
