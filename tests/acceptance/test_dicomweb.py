"""Results by STOW-RS to a real Orthanc with its DICOMweb plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from acceptance.test_orthanc_plugin import image
from glioloop import dicomweb
from glioloop.private_orthanc import Orthanc
from glioloop.settings_dicomweb import DicomwebDestination
from listener.dicomweb import store, verify
from listener.scu import DeliveryError, RejectedDeliveryError

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
