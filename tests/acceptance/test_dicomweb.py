"""Results by STOW-RS to a real Orthanc with its DICOMweb plugin, and studies fetched from it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from acceptance.test_orthanc_plugin import image
from glioloop import dicomweb, settings
from glioloop.fetching import Fetcher
from glioloop.private_orthanc import Orthanc, storescu
from glioloop.settings_dicomweb import DicomwebArchive, DicomwebDestination
from glioloop.site import open_site
from listener.dicomweb import store, verify
from listener.inbox import Inbox, Received
from listener.part10 import data_set_of
from listener.scu import DeliveryError, RejectedDeliveryError

PIXEL = {
    "Rows": 1,
    "Columns": 1,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "PixelData": b"\0\0",
}

pytestmark = pytest.mark.acceptance


def test_objects_are_stored_once_and_damaged_ones_refused(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    files = [image(tmp_path, number, "1.2.3") for number in range(2)]
    with Orthanc(tmp_path / "orthanc", free_port()) as orthanc:
        secret = tmp_path / "password"
        secret.write_text(f"{orthanc.password}\n")
        url = f"{orthanc.url}/dicom-web"
        at = DicomwebDestination(name="web", url=url, user=orthanc.user, password_file=secret)
        verify(dicomweb.server(at))
        store(dicomweb.server(at), files)
        store(dicomweb.server(at), files)  # a repetition is harmless
        stored = orthanc.find("1.2.3", "MR")
        assert sorted(map(orthanc.file, stored)) == sorted(path.read_bytes() for path in files)
        damaged = tmp_path / "damaged.dcm"
        damaged.write_bytes(b"no DICOM")
        with pytest.raises((DeliveryError, RejectedDeliveryError)):
            store(dicomweb.server(at), [damaged])
        secret.write_text("wrong")
        with pytest.raises(DeliveryError, match="answers 401"):
            store(dicomweb.server(at), files)
        secret.unlink()
        with pytest.raises(DeliveryError, match="the secret"):
            dicomweb.server(at)


def test_studies_are_fetched_once_with_the_bytes_that_the_archive_has(
    tmp_path: Path, free_port: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    now = dt.datetime.now().astimezone()
    today, earlier = f"{now:%Y%m%d}", f"{now - dt.timedelta(days=9):%Y%m%d}"
    seg = image(
        tmp_path, 2, "1.2.3", "SEG", StudyDate=today, **PIXEL
    )  # its SOP class is MR's: it is kept
    files = [image(tmp_path, number, "1.2.3", StudyDate=today, **PIXEL) for number in range(2)]
    other = image(tmp_path, 3, "1.2.3", "OTHER", StudyDate=today, **PIXEL)
    old = image(tmp_path, 9, "1.2.9", StudyDate=earlier, **PIXEL)
    came: list[Received] = []
    site = open_site(settings.load(data=tmp_path / "data"))

    def received(one: Received) -> None:
        came.append(one)
        site.ledger.enter(one)

    with Orthanc(tmp_path / "orthanc", free_port()) as orthanc:
        assert storescu(orthanc, [*files, seg, other, old]).returncode == 0
        secret = tmp_path / "password"
        secret.write_text(orthanc.password)
        at = DicomwebArchive(
            url=f"{orthanc.url}/dicom-web",
            user=orthanc.user,
            password_file=secret,
            calling_ae="ORTHANC",
            every_seconds=60,
        )
        inbox = Inbox(tmp_path / "data" / "inbox", min_free_bytes=0)
        fetcher = Fetcher(at, site, inbox, received, lambda: True)
        fetcher.look(now.timestamp())
        kept = {data_set_of(one.path) for one in came if one.path}
        assert kept == {data_set_of(path) for path in [*files, seg]}
        assert {(one.calling_ae, one.called_ae) for one in came} == {("ORTHANC", "GLIOLOOP")}
        # Not before its time, and what is here is not fetched again, also after a restart.
        later = image(tmp_path, 4, "1.2.3", StudyDate=today, **PIXEL)
        assert storescu(orthanc, [later]).returncode == 0
        fetcher.look(now.timestamp() + 59)
        assert len(came) == 3
        Fetcher(at, site, inbox, received, lambda: False).look(now.timestamp())
        assert len(came) == 3
        Fetcher(at, site, inbox, received, lambda: True).look(now.timestamp())
        assert len(came) == 4
    fetcher.look(now.timestamp() + 60)
    fetcher.look(now.timestamp() + 120)
    assert [record.message for record in caplog.records].count(
        f"studies cannot be fetched: {orthanc.url}/dicom-web does not answer (ConnectError)"
    ) == 1
    site.ledger.close()
    site.models.close()
