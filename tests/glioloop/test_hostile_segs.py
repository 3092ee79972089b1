"""A SEG that means harm comes to the running service: it is held, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hostile_segs import edited, label_map_bomb
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from small_world import Study, World, write_study

from glioloop import confinement
from listener import scu

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


PATIENCE_S = 240.0
"""Children start one after another, and each imports its libraries."""


def segmented(world: World) -> Study:
    """A study with its result; SEGs are opened in real children from here on."""
    world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.network.confined = True
    return study


def another(path: Path, name: str) -> Path:
    """The same SEG as an instance of its own."""
    uid = generate_uid()

    def rename(ds: Dataset) -> None:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid

    made = path.with_name(name)
    made.write_bytes(edited(path.read_bytes(), rename))
    return made


def uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def answers_echo(world: World) -> None:
    scu.echo(scu.Peer("GLIOLOOP", "127.0.0.1", world.dicom, "SCANNER"))


def test_a_bomb_is_held_with_its_reason_and_the_next_correction_is_taken(world: World) -> None:
    study = segmented(world)
    good = world.correct(study)
    bomb = another(good, "bomb.dcm")
    bomb.write_bytes(label_map_bomb(bomb.read_bytes()))
    world.send([bomb, good])
    answers_echo(world)
    assert world.service is not None
    ledger = world.service.site.ledger
    settled = {"held", "accepted"}
    world.until(lambda: {row.state for row in ledger.corrections()} == settled, PATIENCE_S)
    held = ledger.correction(uid_of(bomb))
    assert held.state == "held"
    assert "its frames have 1258291200 pixels; at most 1073741824 are read" in held.reason
    assert ledger.correction(uid_of(good)).state == "accepted"
    # It is kept, and seen where a person decides.
    assert Path(held.path).is_file()
    page = httpx.get(f"http://127.0.0.1:{world.web}/").text
    assert held.sop_instance_uid in page
    assert "1258291200 pixels" in page
    answers_echo(world)


@pytest.mark.parametrize(
    "module",
    # In a child alone, without the service, test_confinement.py has both.
    [pytest.param("endless_decoder", marks=pytest.mark.slow), "crashing_decoder"],
)
def test_a_decoder_that_hangs_or_crashes_holds_one_seg_and_no_study(
    world: World, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """The stand-ins of the decoder go wrong on the first SEG, and not on the next."""
    study = segmented(world)
    good = world.correct(study)
    poison = another(good, "poison.dcm")
    poison.write_bytes(edited(poison.read_bytes(), lambda ds: setattr(ds, "ContentLabel", "BAD")))
    monkeypatch.setattr(confinement, "SEG_TASKS", module)
    monkeypatch.setattr(confinement, "LIMITS", replace(confinement.LIMITS, cpu_s=3))
    world.send([poison])
    second = write_study(world.folder / "in", 2, PatientID="OTHER-2", StudyDate="20260301")
    world.send([good, *second.every()])
    answers_echo(world)
    assert world.service is not None
    ledger = world.service.site.ledger
    settled = {"held", "accepted"}
    world.until(lambda: {row.state for row in ledger.corrections()} == settled, PATIENCE_S)
    held = ledger.correction(uid_of(poison))
    died = {"endless_decoder": "SIGXCPU", "crashing_decoder": "SIGSEGV"}[module]
    assert f"opening SOP Instance UID {held.sop_instance_uid} ended the process" in held.reason
    assert died in held.reason
    assert "send it again" in held.reason
    assert ledger.correction(uid_of(good)).state == "accepted"
    world.until_state(second, "delivered")
