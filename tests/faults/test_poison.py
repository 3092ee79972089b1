"""A study whose inference ends the whole service each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from small_world import write_study

from faults.day import Sent
from faults.life import Life, nursery
from faults.phantom_service import POISON
from glioloop import overview, settings
from glioloop.site import open_site
from listener import scp
from listener.inbox import Inbox

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    """A service that a test starts, and an archive."""
    config = scp.ScpConfig(host="127.0.0.1", port=0, ae_titles=("PACS",))
    archive = scp.start(config, Inbox(tmp_path / "archive", 0), lambda _: None)
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": archive.port}
    with nursery() as mother:
        made = Life(tmp_path / "service", mother, [pacs])
        yield made
        made.kill()
    archive.stop(0.5)


def until(life: Life, done: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for something, and start the service again each time that it died."""
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, life.log.read_text()[-4000:]
        if not life.runs():
            life.start()
        time.sleep(0.1)


def test_it_is_parked_with_its_reason_and_no_other_study_waits_for_it(
    life: Life, tmp_path: Path
) -> None:
    bad, *good = (
        write_study(tmp_path / "in" / str(n), n, PatientID=f"ZQ-{n}") for n in range(1, 4)
    )
    life.folder.mkdir()
    poison = life.folder / POISON
    poison.write_text(bad.uid)
    life.start()
    life.until_it_listens()
    sent = [Sent(study.every()) for study in (bad, *good)]

    def all_sent() -> bool:
        for one in sent:
            one.send(life.port, "SCANNER")
        return all(one.whole for one in sent)

    def states() -> dict[str, str]:
        with closing(life.ledger()) as ledger:
            return {study.study_uid: study.state for study in ledger.studies()}

    until(life, all_sent)
    wanted = {bad.uid: "failed", **{study.uid: "delivered" for study in good}}
    until(life, lambda: states() == wanted)
    with closing(life.ledger()) as ledger:
        reason = ledger.study(bad.uid).reason
    assert "ended the whole process 2 times" in reason
    assert 3 <= life.starts <= 6  # beside others it may have died twice more
    poison.unlink()
    site = open_site(settings.load(data=life.data), create=False)
    overview.request_study(site, bad.uid)
    site.ledger.close()
    site.models.close()
    until(life, lambda: states() == dict.fromkeys(wanted, "delivered"))
