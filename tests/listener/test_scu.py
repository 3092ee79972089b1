"""Delivery: what counts as delivered, what is tried again, and what never will be."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from dicom_network import storescp
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from small_dicom import (
    LABEL_MAP,
    MR,
    SEGMENTATION,
    encode,
    make_instance,
    make_label_map,
    write_file,
    write_instance,
)

from listener import scu
from listener.scu import DeliveryError, Peer, RejectedDeliveryError, echo, store
from study.errors import FailedError, RefusedError

Handler = Callable[[evt.Event], int]

# pynetdicom drops such sockets when the peer has hung up before.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def archive(stop_later: Callable[[Callable[[], None]], None]) -> Callable[..., Peer]:
    """A function that starts a destination, which answers each object as a handler says."""

    def begin(handler: Handler, syntax: str = ExplicitVRLittleEndian) -> Peer:
        ae = AE(ae_title="ARCHIVE")
        ae.supported_contexts = [build_context(MR, syntax)]
        handlers = [(evt.EVT_C_STORE, handler)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        stop_later(ae.shutdown)
        return Peer("ARCHIVE", "127.0.0.1", server.server_address[1], answer_timeout_s=2.0)

    return begin


def test_files_reach_a_dcmtk_archive_byte_for_byte(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    sent = [write_instance(tmp_path / "out", make_instance(number)) for number in (1, 2)]
    label_map = make_label_map(3)
    label_map.SOPClassUID = SEGMENTATION
    sent.append(write_instance(tmp_path / "out", label_map))
    (tmp_path / "in").mkdir()

    with storescp(tmp_path / "in", port, "--bit-preserving"):
        store(Peer("ARCHIVE", "127.0.0.1", port), sent)

    found = sorted((tmp_path / "in").iterdir())
    assert len(found) == 3
    for path in found:
        instance = dcmread(path)
        assert instance.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        original = tmp_path / "out" / f"{instance.SOPInstanceUID}.dcm"
        assert path.read_bytes().endswith(encode(dcmread(original)))


def test_compressed_pixels_arrive_as_they_are(listen, tmp_path: Path) -> None:
    running = listen()
    packed = tmp_path / "packed.dcm"
    write_file(tmp_path / "plain.dcm", encode(make_instance()))
    plain = dcmread(tmp_path / "plain.dcm")
    plain.compress(RLELossless, generate_instance_uid=False)
    plain.save_as(packed)

    store(Peer("GLIOLOOP", "127.0.0.1", running.port), [packed])

    [entry] = running.ledger
    assert entry.transfer_syntax_uid == RLELossless
    assert entry.path is not None
    assert dcmread(entry.path).PixelData == plain.PixelData


def test_an_archive_that_knows_implicit_vr_only_gets_implicit_vr(archive, tmp_path: Path) -> None:
    got: list[tuple[str, Dataset]] = []

    def take(event: evt.Event) -> int:
        got.append((event.context.transfer_syntax, event.dataset))
        return 0x0000

    store(archive(take, ImplicitVRLittleEndian), [write_instance(tmp_path, make_instance())])

    expected = make_instance()
    expected["PixelData"].VR = "OW"
    assert got == [(ImplicitVRLittleEndian, expected)]


def test_nothing_to_send_needs_no_archive() -> None:
    store(Peer("ARCHIVE", "127.0.0.1", 1), [])


def test_a_dead_port_is_tried_again_later(tmp_path: Path, free_port: Callable[[], int]) -> None:
    peer = Peer("ARCHIVE", "127.0.0.1", free_port())

    with pytest.raises(DeliveryError, match=r"ARCHIVE at 127.0.0.1:[0-9]+ does not answer"):
        store(peer, [write_instance(tmp_path, make_instance())])
    with pytest.raises(DeliveryError, match="does not answer"):
        echo(peer)


def test_a_host_without_an_address_is_tried_again_later() -> None:
    with pytest.raises(DeliveryError, match=r"ARCHIVE at no-such-host.invalid:104 cannot be found"):
        echo(Peer("ARCHIVE", "no-such-host.invalid", 104))


def test_a_rejected_association_is_tried_again_later_and_says_why(listen, tmp_path: Path) -> None:
    running = listen()

    with pytest.raises(DeliveryError, match="rejected the association: Called AE title not recog"):
        store(
            Peer("SOMEONE", "127.0.0.1", running.port), [write_instance(tmp_path, make_instance())]
        )


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xA7FF, 0x0110])
def test_out_of_resources_is_tried_again_later(archive, tmp_path: Path, status: int) -> None:
    peer = archive(lambda _event: status)

    with pytest.raises(DeliveryError, match=rf"cannot take 1.2.3.4.1.1 now \(0x{status:04X}\)"):
        store(peer, [write_instance(tmp_path, make_instance())])


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0117, 0x0122, 0x0124])
def test_any_other_failure_is_for_good(archive, tmp_path: Path, status: int) -> None:
    peer = archive(lambda _event: status)

    with pytest.raises(RejectedDeliveryError, match=rf"1.2.3.4.1.1: status 0x{status:04X}"):
        store(peer, [write_instance(tmp_path, make_instance())])


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_a_warning_is_delivered_and_logged(
    archive, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with caplog.at_level(logging.WARNING):
        store(archive(lambda _event: status), [write_instance(tmp_path, make_instance())])

    assert f"accepted 1.2.3.4.1.1 with 0x{status:04X}" in caplog.text


def test_an_archive_that_hangs_up_instead_of_answering_is_tried_again(
    archive, tmp_path: Path
) -> None:
    def hang_up(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    peer = archive(hang_up)

    with pytest.raises(DeliveryError, match=r"gave no answer to 1.2.3.4"):
        store(peer, [write_instance(tmp_path, make_instance())])


def test_an_empty_status_is_not_a_delivery(tmp_path: Path) -> None:
    """Pynetdicom loses an answer now and then, and shows that as an empty data set."""

    class Forgetful:
        is_established = True
        accepted_contexts = (build_context(MR, ExplicitVRLittleEndian),)

        def send_c_store(self, _path: Path) -> Dataset:
            return Dataset()

    parcel = scu.parcel_of(write_instance(tmp_path, make_instance()))

    with pytest.raises(DeliveryError, match=r"gave no answer to 1.2.3.4.1.1"):
        scu._send(Forgetful(), Peer("ARCHIVE", "127.0.0.1", 1), parcel)  # type: ignore[arg-type]


def test_one_refused_object_does_not_hold_up_the_others(archive, tmp_path: Path) -> None:
    got: list[str] = []

    def choose(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        got.append(uid)
        return 0xC000 if uid.endswith(".1") else 0x0000

    files = [
        write_instance(tmp_path, make_instance(1)),
        write_instance(tmp_path, make_label_map(2)),
        write_instance(tmp_path, make_instance(3)),
    ]
    peer = archive(choose)

    with pytest.raises(RejectedDeliveryError, match="refused 2 of 3 objects") as caught:
        store(peer, files)

    assert got == ["1.2.3.4.1.1", "1.2.3.4.1.3"]
    assert f"1.2.3.4.1.2: SOP class {LABEL_MAP}" in str(caught.value)


def test_an_archive_that_takes_no_such_class_refuses_for_good(archive, tmp_path: Path) -> None:
    peer = archive(lambda _event: 0)

    with pytest.raises(RejectedDeliveryError, match=f"none of these SOP classes .*{LABEL_MAP}"):
        store(peer, [write_instance(tmp_path, make_label_map())])


def test_a_file_that_is_not_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("no DICOM here" * 20)

    with pytest.raises(RejectedDeliveryError, match=r"report.txt is not a DICOM file"):
        store(Peer("ARCHIVE", "127.0.0.1", 1), [tmp_path / "report.txt"])


def test_a_file_that_is_gone_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"gone.dcm cannot be read"):
        store(Peer("ARCHIVE", "127.0.0.1", 1), [tmp_path / "gone.dcm"])


def test_the_errors_tell_the_job_runner_what_to_do() -> None:
    """It repeats a step on OSError, and gives up on what is refused."""
    assert issubclass(DeliveryError, FailedError)
    assert issubclass(DeliveryError, OSError)
    assert issubclass(RejectedDeliveryError, RefusedError)
    assert not issubclass(RejectedDeliveryError, OSError)


def test_an_echo_is_answered(listen) -> None:
    echo(Peer("GLIOLOOP", "127.0.0.1", listen().port))


def test_an_archive_without_verification_fails_the_echo(archive) -> None:
    peer = archive(lambda _event: 0)

    with pytest.raises(RejectedDeliveryError, match="none of"):
        echo(peer)
