"""Progress in a terminal."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from rich.console import Console
from web_site import open_web

from glioloop import cli_watch
from glioloop.ledger_schema import StudyState


def test_a_study_is_shown_until_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(record=True, width=120, force_terminal=True)
    monkeypatch.setattr(cli_watch, "out", console)
    with open_web(tmp_path / "data") as web:
        ledger = web.site.ledger
        ledger.set_study("1.2", state=StudyState.SEGMENTING, progress=0.5)
        done = threading.Timer(1.0, lambda: ledger.set_study("1.2", state=StudyState.DELIVERED))
        done.start()
        cli_watch.watch(web.site, 0.1)
        done.join()
    said = console.export_text()
    assert "1.2" in said
    assert "segmenting, nobody knows for how long" in said
    assert said.rstrip().endswith("delivered")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "nobody knows for how long"), (0.2, "about 1 s left"), (300, "about 5 min left")],
)
def test_what_is_left_is_said_about(seconds: float | None, words: str) -> None:
    assert cli_watch._left(seconds) == words
