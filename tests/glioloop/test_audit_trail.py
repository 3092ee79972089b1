"""The audit trail's files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from audit_schema import parsed

from glioloop.audit_message import Event, Message, Participant, Type
from glioloop.audit_trail import AuditTrail, act_as, acting, actor

STARTED = Message(Event.APPLICATION, "E", (Participant("GLIOLOOP"),), (), (Type.START,))


def lines(trail: AuditTrail) -> list[bytes]:
    return [line for path in trail.files() for line in path.read_bytes().splitlines()]


def test_messages_are_appended_for_their_owner_alone(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "audit", 1 << 20, "us")
    trail.note(STARTED)
    trail.note(STARTED)

    assert [path.name for path in trail.files()] == ["audit.log"]
    assert len([parsed(line) for line in lines(trail)]) == 2
    assert stat.S_IMODE(trail.files()[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(trail.folder.stat().st_mode) == 0o700


def test_a_full_file_is_left_as_it_is_and_the_next_begun(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path, 1, "us")
    for _ in range(3):
        trail.note(STARTED)

    *earlier, current = trail.files()
    assert [path.name.startswith("audit-2") for path in earlier] == [True, True]
    assert current.name == "audit.log"
    assert len(lines(trail)) == 3


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    writing = (
        "import sys; from pathlib import Path; from glioloop.audit_trail import AuditTrail;"
        "from glioloop.audit_message import *;"
        "trail = AuditTrail(Path(sys.argv[1]), 2000, sys.argv[2]);"
        "[trail.note(Message(Event.APPLICATION, 'E', (Participant(str(n)),))) for n in range(50)]"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", writing, str(tmp_path), f"writer-{number}"])
        for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    found = [parsed(line) for line in lines(AuditTrail(tmp_path, 2000, "us"))]
    said = sorted((one[-1].attrib["AuditSourceID"], int(one[1].attrib["UserID"])) for one in found)
    assert said == [(f"writer-{number}", n) for number in range(3) for n in range(50)]


def test_what_cannot_be_written_is_logged_and_hinders_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")

    AuditTrail(tmp_path / "audit", 1, "us").note(STARTED)

    assert "an audit message was not written (FileExistsError): look at the disk" in caplog.text


def test_who_acts_is_known_as_long_as_they_act() -> None:
    assert actor() == ("", "")
    with acting("alice", "10.1.2.3"):
        assert actor() == ("alice", "10.1.2.3")
    assert actor() == ("", "")


def test_a_command_acts_for_its_account(monkeypatch: pytest.MonkeyPatch) -> None:
    import contextvars  # noqa: PLC0415

    def command() -> tuple[str, str]:
        act_as("root")
        return actor()

    assert contextvars.copy_context().run(command) == ("root", "")


def test_a_message_that_is_written_by_half_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trail, write = AuditTrail(tmp_path, 1 << 20, "us"), os.write
    trail.note(STARTED)
    before = trail.files()[0].read_bytes()
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, line: write(handle, line[: len(line) // 2]))
        trail.note(STARTED)
    assert trail.files()[0].read_bytes() == before
    assert "an audit message was not written (OSError)" in caplog.text
    trail.note(STARTED)
    assert len([parsed(line) for line in lines(trail)]) == 2
