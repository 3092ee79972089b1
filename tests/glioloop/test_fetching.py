"""Studies fetched from a server that answers what a test says; a real Orthanc: tests/acceptance."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from small_dicom import make_instance, write_instance

from glioloop import settings
from glioloop.fetching import Fetcher
from glioloop.settings_dicomweb import DicomwebArchive
from glioloop.site import Site, open_site
from listener.inbox import Inbox, Received

NOW = 1_800_000_000.0


class Archive(HTTPServer):
    """Two studies, the first one of three images; some answers are others."""

    said: dict[str, int]
    """Path to the status that is answered instead."""
    given: dict[str, bytes]


class Handler(BaseHTTPRequestHandler):
    server: Archive

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        status = self.server.said.get(path, 200 if path in self.server.given else 404)
        content = self.server.given.get(path, b"") if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def listed(*items: dict[str, str | int]) -> bytes:
    """An answer in the DICOM JSON Model (PS3.18 section F.2)."""
    return json.dumps(
        [{tag: {"vr": "UI", "Value": [v]} for tag, v in item.items()} for item in items]
    ).encode()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    given: dict[str, bytes] = {}
    counts = {"1.2.3": 3, "1.2.4": 1}
    given["/studies"] = listed(
        *({"0020000D": uid, "00201208": count} for uid, count in counts.items())
    )
    for study, count in counts.items():
        series = f"{study}.1"
        given[f"/studies/{study}/series"] = listed({"0020000E": series, "00080060": "MR"})
        at = f"/studies/{study}/series/{series}/instances"
        uids = [f"{series}.{number}" for number in range(1, count + 1)]
        given[at] = listed(*({"00080018": uid} for uid in uids))
        for number, uid in enumerate(uids, 1):
            path = write_instance(tmp_path / "theirs", make_instance(number, study=study))
            given[f"{at}/{uid}"] = path.read_bytes()
    with Archive(("127.0.0.1", 0), Handler) as server:
        server.said, server.given = {}, given
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = open_site(settings.load(data=tmp_path / "data"))
    yield made
    made.ledger.close()
    made.models.close()


def fetcher(archive: Archive, site: Site, folder: Path, came: list[str]) -> Fetcher:
    """One that looks every minute, and what it fetches."""

    def received(one: Received) -> None:
        came.append(one.sop_instance_uid)
        site.ledger.enter(one)

    url = f"http://127.0.0.1:{archive.server_port}"
    at = DicomwebArchive(url=url, calling_ae="ORTHANC", every_seconds=60)
    return Fetcher(at, site, Inbox(folder / "inbox", 0), received, lambda: True)


@pytest.mark.parametrize("status", [404, 410, 500])
def test_an_instance_that_is_not_given_keeps_no_other_away_and_is_asked_for_again(
    archive: Archive, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    came: list[str] = []
    mine = fetcher(archive, site, tmp_path, came)
    archive.said["/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2"] = status
    mine.look(NOW)
    assert came == ["1.2.3.1.1", "1.2.3.1.3", "1.2.4.1.1"]
    mine.look(NOW + 60)
    assert len(came) == 3
    assert caplog.text.count(f"answers {status} for an instance") == 1
    archive.said.clear()
    mine.look(NOW + 120)
    assert came[3:] == ["1.2.3.1.2"]


def test_an_archive_that_is_busy_is_left_alone_until_the_next_look(
    archive: Archive, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    came: list[str] = []
    mine = fetcher(archive, site, tmp_path, came)
    archive.said["/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2"] = 503
    mine.look(NOW)
    assert came == ["1.2.3.1.1"]
    assert "studies cannot be fetched" in caplog.text
    archive.said.clear()
    mine.look(NOW + 60)
    assert came[1:] == ["1.2.3.1.2", "1.2.3.1.3", "1.2.4.1.1"]
