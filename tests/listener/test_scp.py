"""The listener as its peers see it: pynetdicom and DCMTK over the loopback."""

from __future__ import annotations

import logging
import socket
import struct
from pathlib import Path

import pytest
from dicom_network import dcmtk, send, wait_until
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts
from pynetdicom.presentation import build_context
from small_dicom import (
    ENHANCED_MR,
    LABEL_MAP,
    MR,
    PATIENT_ID,
    PATIENT_NAME,
    SECONDARY_CAPTURE,
    encode,
    make_instance,
    make_label_map,
    write_file,
    write_instance,
)

from listener import admission
from listener.access import Access, Right
from listener.happenings import Happening, Kind
from listener.header import read_header
from listener.inbox import Received
from listener.limits import Limits
from listener.part10 import data_set_of
from listener.presentation import KEPT_SYNTAXES
from listener.scp import ScpConfig, start
from study.errors import FailedError

# pynetdicom drops such sockets when the peer has hung up before.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def association(port: int, calling: str = "SCANNER", called: str = "GLIOLOOP") -> object:
    """Why an association was rejected: (result, source, diagnostic), or None when accepted."""
    ae = AE(ae_title=calling)
    ae.add_requested_context("1.2.840.10008.1.1")
    established = ae.associate("127.0.0.1", port, ae_title=called)
    if established.is_established:
        established.release()
        return None
    answer = established.acceptor.primitive
    assert answer is not None
    return answer.result, answer.result_source, answer.diagnostic


# --- storing ------------------------------------------------------------------------------------


def test_an_image_sent_by_dcmtk_is_kept_byte_for_byte(listen, tmp_path: Path) -> None:
    running = listen()
    sent = [write_instance(tmp_path / "out", make_instance(number)) for number in (1, 2, 3)]

    done = dcmtk(
        "storescu", "-aet", "SCANNER", "-aec", "GLIOLOOP", "127.0.0.1", str(running.port), *sent
    )

    assert done.returncode == 0, done.stderr
    kept = running.inbox.study("1.2.3.4")
    assert [entry.sop_instance_uid for entry in kept] == [
        "1.2.3.4.1.1",
        "1.2.3.4.1.2",
        "1.2.3.4.1.3",
    ]
    assert running.ledger == kept
    assert {(entry.calling_ae, entry.called_ae) for entry in kept} == {("SCANNER", "GLIOLOOP")}
    assert kept[1].path is not None
    assert kept[1].path.read_bytes().endswith(encode(make_instance(2)))


@pytest.mark.parametrize("called", ["GLIOLOOP", "GLIOLOOP_LEARN"])
def test_dcmtk_gets_its_echo_under_both_names(listen, called: str) -> None:
    running = listen()

    done = dcmtk("echoscu", "-aec", called, "127.0.0.1", str(running.port))

    assert done.returncode == 0, done.stderr


def test_an_rle_image_by_dcmtk_is_kept_as_rle(listen, tmp_path: Path) -> None:
    running = listen()
    plain = write_instance(tmp_path / "out", make_instance())
    packed = tmp_path / "rle.dcm"
    assert dcmtk("dcmcrle", plain, packed).returncode == 0

    done = dcmtk("storescu", "-xr", "-aec", "GLIOLOOP", "127.0.0.1", str(running.port), packed)

    assert done.returncode == 0, done.stderr
    [entry] = running.ledger
    assert entry.transfer_syntax_uid == RLELossless
    assert entry.path is not None
    assert dcmread(entry.path).pixel_array.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1]]


def test_a_label_map_is_kept(listen, tmp_path: Path) -> None:
    running = listen()
    sent = write_instance(tmp_path / "out", make_label_map())

    assert send(running.port, [sent], called="GLIOLOOP_LEARN", sop_class=LABEL_MAP) == [0x0000]

    [entry] = running.ledger
    assert (entry.sop_class_uid, entry.modality) == (LABEL_MAP, "SEG")
    assert entry.called_ae == "GLIOLOOP_LEARN"
    assert entry.path is not None


def test_what_is_neither_mr_nor_seg_is_entered_and_dropped(listen, tmp_path: Path) -> None:
    """Also a Secondary Capture that says its Modality is MR."""
    running = listen()
    capture = make_instance(sop_class=SECONDARY_CAPTURE, modality="MR")
    sent = write_instance(tmp_path / "out", capture)

    assert send(running.port, [sent], sop_class=SECONDARY_CAPTURE) == [0x0000]

    [entry] = running.ledger
    assert (entry.sop_class_uid, entry.modality, entry.path) == (SECONDARY_CAPTURE, "MR", None)
    assert entry.study_uid == "1.2.3.4"
    assert list(running.inbox.root.rglob("*")) == []


def test_a_private_class_of_a_scanner_is_taken_and_dropped(listen, tmp_path: Path) -> None:
    running = listen()
    csa = "1.3.12.2.1107.5.9.1"
    sent = write_instance(tmp_path / "out", make_instance(sop_class=csa))

    assert send(running.port, [sent], sop_class=csa) == [0x0000]
    assert [entry.path for entry in running.ledger] == [None]


def test_an_identical_resend_is_answered_with_success_and_changes_nothing(
    listen, tmp_path: Path
) -> None:
    running = listen()
    sent = write_instance(tmp_path / "out", make_instance())

    assert send(running.port, [sent, sent]) == [0x0000, 0x0000]
    assert send(running.port, [sent]) == [0x0000]

    assert [entry.repeated for entry in running.ledger] == [False, True, True]
    assert len(running.inbox.study("1.2.3.4")) == 1


def test_other_bytes_under_the_same_uid_are_kept_and_told(
    listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = listen()
    first = write_file(tmp_path / "1.dcm", encode(make_instance()))
    other = make_instance()
    other.PixelData = bytes(16)
    second = write_file(tmp_path / "2.dcm", encode(other))

    assert send(running.port, [first, second]) == [0x0000, 0x0000]

    assert [entry.conflict for entry in running.ledger] == [False, True]
    assert len(running.inbox.study("1.2.3.4")) == 2
    assert "1.2.3.4.1.1 came before with other bytes; both are kept" in caplog.text


def test_a_real_study_arrives_whole_and_its_secondary_captures_are_dropped(
    listen, real_data: Path
) -> None:
    """Its expert outline is Secondary Capture of Modality MR: nothing that may become a series."""
    running = listen()
    folder = real_data / "longitudinal" / "PGBM-001" / "19911119"
    files = [path for path in folder.rglob("*") if path.is_file()]

    done = dcmtk(
        "storescu", "-aec", "GLIOLOOP", "+sd", "+r", "127.0.0.1", str(running.port), folder
    )

    assert done.returncode == 0, done.stderr
    assert len(running.ledger) == len(files)
    dropped = [entry for entry in running.ledger if entry.path is None]
    assert len(dropped) == len(list((folder / "MaskTumor").iterdir()))
    assert {entry.modality for entry in dropped} == {"MR"}
    [study_uid] = {entry.study_uid for entry in running.ledger}
    assert len(running.inbox.study(study_uid)) == len(files) - len(dropped)


@pytest.mark.parametrize("name", ["generated_dcmqi_roundtrip", "dcmqi_recompressed"])
def test_real_segmentations_of_other_tools_are_whole(real_data: Path, name: str) -> None:
    files = [
        path
        for path in sorted((real_data / "seg" / name).glob("*.dcm"))
        if read_file_meta_info(path).TransferSyntaxUID in KEPT_SYNTAXES
    ]
    assert len(files) >= 5

    for path in files:
        syntax = read_file_meta_info(path).TransferSyntaxUID
        assert read_header(data_set_of(path), syntax).pixel_sha256


# --- refusing -----------------------------------------------------------------------------------


def test_a_truncated_image_is_not_understood_and_logged(
    listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = listen()
    cut = write_file(tmp_path / "cut.dcm", encode(make_instance())[:-4])

    with caplog.at_level(logging.DEBUG):
        [status] = send(running.port, [cut])

    assert status is not None
    assert 0xC000 <= status <= 0xCFFF
    assert running.ledger == []
    assert list(running.inbox.scan()) == []
    [record] = [one for one in caplog.records if "answered with" in one.getMessage()]
    assert record.levelno == logging.ERROR
    assert "1.2.3.4.1.1 answered with 0xC000: the data set is truncated" in record.getMessage()
    assert (record.calling_ae, record.address) == ("SCANNER", "127.0.0.1")
    assert record.association.isdigit()
    assert PATIENT_NAME not in caplog.text
    assert PATIENT_ID not in caplog.text


def test_random_bytes_are_not_understood(listen, tmp_path: Path) -> None:
    running = listen()
    noise = write_file(tmp_path / "noise.dcm", bytes(range(1, 256)) * 8)

    assert send(running.port, [noise]) == [0xC000]


def test_an_image_that_does_not_say_its_class_is_refused_and_not_dropped(
    listen, tmp_path: Path
) -> None:
    running = listen()
    unnamed = make_instance()
    del unnamed.SOPClassUID

    assert send(running.port, [write_file(tmp_path / "x.dcm", encode(unnamed))]) == [0xA900]
    assert running.ledger == []


def test_what_is_dropped_is_entered_by_the_name_that_its_command_gives(
    listen, tmp_path: Path
) -> None:
    running = listen()
    unnamed = make_instance()
    del unnamed.SOPClassUID
    del unnamed.SOPInstanceUID
    file = write_file(tmp_path / "x.dcm", encode(unnamed), SECONDARY_CAPTURE, "1.2.3.4.1.8")

    assert send(running.port, [file], sop_class=SECONDARY_CAPTURE) == [0x0000]
    [entry] = running.ledger
    assert (entry.sop_class_uid, entry.sop_instance_uid) == (SECONDARY_CAPTURE, "1.2.3.4.1.8")


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # on the sender's side
@pytest.mark.parametrize(
    ("sop_class", "sop_instance", "status"),
    [
        (MR, "1.2.3.4.1.9", 0xA900),
        (ENHANCED_MR, "1.2.3.4.1.1", 0xA900),
        (MR, "1.2.3.abc", 0x0117),
        (MR, "1.2..3", 0x0117),
    ],
)
def test_a_command_that_does_not_fit_its_data_set_is_refused(
    listen, tmp_path: Path, sop_class: str, sop_instance: str, status: int
) -> None:
    running = listen()
    file = write_file(tmp_path / "x.dcm", encode(make_instance()), sop_class, sop_instance)

    assert send(running.port, [file], sop_class=sop_class) == [status]
    assert running.ledger == []


def test_a_disk_that_is_nearly_full_sends_the_sender_away_for_now(listen, tmp_path: Path) -> None:
    running = listen(min_free_bytes=1 << 60)
    sent = write_instance(tmp_path / "out", make_instance())

    assert send(running.port, [sent]) == [0xA700]
    assert running.ledger == []


def test_so_does_an_application_that_is_full(listen, tmp_path: Path) -> None:
    running = listen(is_full=lambda: True)
    sent = write_instance(tmp_path / "out", make_instance())

    assert send(running.port, [sent]) == [0xA700]
    assert running.ledger == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError("the ledger's disk is gone"), 0xA700),
        (FailedError("the ledger is down"), 0xA700),
        (LookupError("nobody thought of this"), 0xC0FF),
    ],
)
def test_success_waits_for_the_ledger(
    listen, tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    def refuse(_entry: Received) -> None:
        raise error

    running = listen(on_received=refuse)
    sent = write_instance(tmp_path / "out", make_instance())

    assert send(running.port, [sent]) == [status]

    assert str(error) in caplog.text
    assert len(list(running.inbox.scan())) == 1


# --- admission ----------------------------------------------------------------------------------

PEERS = {
    "SCANNER": Access(frozenset({"127.0.0.0/8"})),
    "PACS": Access(frozenset({"192.0.2.1"})),
    "ANY": Access(),
}


@pytest.mark.parametrize("calling", ["SCANNER", "ANY"])
def test_a_known_peer_is_let_in(listen, calling: str) -> None:
    assert association(listen(peers=PEERS).port, calling) is None


@pytest.mark.parametrize("calling", ["STRANGER", "scanner", "PACS"])
def test_an_unknown_ae_title_or_address_is_rejected_and_logged(
    listen, caplog: pytest.LogCaptureFixture, calling: str
) -> None:
    running = listen(peers=PEERS)

    assert association(running.port, calling) == (1, 1, 3)

    assert (
        f"of {calling} at 127.0.0.1: rejected, this AE title at this address is not" in caplog.text
    )


def test_who_calls_somebody_else_is_rejected_and_logged(
    listen, caplog: pytest.LogCaptureFixture
) -> None:
    running = listen()

    assert association(running.port, called="OTHER") == (1, 1, 7)

    assert "rejected, nobody here is called 'OTHER'" in caplog.text


def test_dcmtk_is_told_why_it_is_rejected(listen) -> None:
    running = listen(peers=PEERS)

    done = dcmtk("echoscu", "-aet", "STRANGER", "-aec", "GLIOLOOP", "127.0.0.1", str(running.port))

    assert done.returncode != 0
    assert "Calling AE Title Not Recognized" in done.stderr


def test_one_association_too_many_is_asked_to_come_again(listen) -> None:
    running = listen(limits=Limits(associations=1))
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context("1.2.840.10008.1.1")
    first = ae.associate("127.0.0.1", running.port, ae_title="GLIOLOOP")

    assert association(running.port) == (2, 3, 2)
    first.release()


@pytest.mark.parametrize(
    ("may", "image", "seg"),
    [
        ({Right.IMAGES, Right.CORRECTIONS}, 0x0000, 0x0000),
        ({Right.IMAGES}, 0x0000, 0x0124),
        ({Right.CORRECTIONS}, 0x0124, 0x0000),
        (set(), 0x0124, 0x0124),
    ],
)
def test_a_peer_sends_what_it_may(
    listen, tmp_path: Path, may: set[Right], image: int, seg: int
) -> None:
    running = listen(peers={"SCANNER": Access(may=frozenset(may))})
    images = [write_instance(tmp_path / "out", make_instance())]
    segs = [write_instance(tmp_path / "out", make_label_map(2))]

    assert association(running.port) is None
    assert send(running.port, images) == [image]
    assert send(running.port, segs, sop_class=LABEL_MAP) == [seg]
    assert len(running.ledger) == [image, seg].count(0)


def test_what_a_peer_may_not_send_is_said_in_the_log(
    listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = listen(peers={"SCANNER": Access(may=frozenset())})

    send(running.port, [write_instance(tmp_path / "out", make_instance())])

    assert "answered with 0x0124: this AE title may not send images" in caplog.text


def test_who_asks_too_often_is_told_to_come_again(listen) -> None:
    running = listen(limits=Limits(associations_per_minute=2))

    answers = [association(running.port) for _ in range(3)]

    assert answers == [None, None, (2, 3, 1)]


def test_one_association_of_an_address_too_many_is_rejected(listen) -> None:
    running = listen(limits=Limits(associations_per_address=1))
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context("1.2.840.10008.1.1")
    first = ae.associate("127.0.0.1", running.port, ae_title="GLIOLOOP")

    assert association(running.port) == (2, 3, 2)
    first.release()


def test_connections_that_say_nothing_keep_no_peer_out(listen) -> None:
    running = listen(limits=Limits(associations=1, associations_per_address=1))
    silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(3)]
    try:
        assert wait_until(lambda: len(running.scp._ae.active_associations) == 3)
        assert association(running.port) is None
    finally:
        for one in silent:
            one.close()


def test_one_connection_too_many_is_hung_up_on(listen, caplog: pytest.LogCaptureFixture) -> None:
    running = listen(limits=Limits(connections=2))
    silent = []
    for number in range(2):
        silent.append(socket.create_connection(("127.0.0.1", running.port)))
        assert wait_until(lambda most=number + 1: len(running.scp._ae.active_associations) == most)
    silent.append(socket.create_connection(("127.0.0.1", running.port)))
    try:
        assert wait_until(lambda: "2 connections are open already" in caplog.text)
        silent[2].settimeout(10)
        assert silent[2].recv(1) == b""
    finally:
        for one in silent:
            one.close()
    # Their places are free at once, and not only when pynetdicom would stop waiting for a request.
    assert wait_until(lambda: not running.scp._ae.active_associations)
    assert association(running.port) is None


def test_a_flood_of_refusals_does_not_fill_the_log(
    listen, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TOLD_PER_MINUTE", 2)
    told: list[Happening] = []
    running = listen(peers=PEERS, tell=told.append)

    assert [association(running.port, "STRANGER") for _ in range(4)] == [(1, 1, 3)] * 4

    assert caplog.text.count("rejected, this AE title") == 2
    assert [one.kind for one in told] == [Kind.REJECTED] * 2


def test_who_sends_too_much_in_a_minute_is_told_to_come_again(listen, tmp_path: Path) -> None:
    running = listen(limits=Limits(instances_per_minute=2))
    files = [write_instance(tmp_path / "out", make_instance(number)) for number in (1, 2, 3)]

    assert send(running.port, files) == [0x0000, 0x0000, 0xA700]


def test_a_study_does_not_grow_for_ever(listen, tmp_path: Path) -> None:
    running = listen(limits=Limits(instances_per_study=2))
    files = [write_instance(tmp_path / "out", make_instance(number)) for number in (1, 2, 3)]
    other = write_instance(tmp_path / "out", make_instance(1, study="1.2.3.5"))

    assert send(running.port, [*files, other]) == [0x0000, 0x0000, 0xC002, 0x0000]


def test_the_same_image_again_does_not_fill_its_study(listen, tmp_path: Path) -> None:
    running = listen(limits=Limits(instances_per_study=2))
    one, two, three = (
        write_instance(tmp_path / "out", make_instance(number)) for number in (1, 2, 3)
    )

    assert send(running.port, [one, one, one]) == [0x0000, 0x0000, 0x0000]
    assert send(running.port, [two, three]) == [0x0000, 0xC002]


def test_all_data_sets_together_have_a_bound(listen, caplog: pytest.LogCaptureFixture) -> None:
    """Each alone would be small enough."""
    running = listen(limits=Limits(bytes_in_memory=30_000_000))
    fragments = b"\x00" + bytes(100_000)  # of a data set, none of them the last
    senders = []
    for _ in range(2):
        ae = AE(ae_title="SCANNER")
        ae.add_requested_context(MR)
        senders.append(ae.associate("127.0.0.1", running.port, ae_title="GLIOLOOP"))
    pdv = struct.pack(">LB", len(fragments) + 1, 1) + fragments
    pdu = struct.pack(">BBL", 4, 0, len(pdv)) + pdv
    for sender in senders:
        for _ in range(190):
            sender.dul.socket.send(pdu)

    assert wait_until(lambda: "30000000 bytes of data sets are in memory" in caplog.text)
    assert association(running.port) is None
    for sender in senders:
        sender.abort()


def test_a_command_without_end_is_hung_up_on(listen, caplog: pytest.LogCaptureFixture) -> None:
    running = listen()
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context(MR)
    sender = ae.associate("127.0.0.1", running.port, ae_title="GLIOLOOP")
    pdv = struct.pack(">LB", 9002, 1) + b"\x01" + bytes(9000)  # a command, not its last fragment
    for _ in range(3):
        sender.dul.socket.send(struct.pack(">BBL", 4, 0, len(pdv)) + pdv)

    assert wait_until(lambda: "hung up on, a command set of more than 16384" in caplog.text)
    sender.abort()


def test_a_port_in_use_is_said_in_a_sentence(listen, tmp_path: Path) -> None:
    running = listen()
    config = ScpConfig(host="127.0.0.1", port=running.port)

    with pytest.raises(FailedError, match=r"cannot listen on 127.0.0.1:\d+"):
        start(config, running.inbox, running.ledger.append)


# --- negotiation --------------------------------------------------------------------------------


@pytest.mark.parametrize("sop_class", [MR, LABEL_MAP])
def test_what_is_kept_is_taken_uncompressed_or_compressed_without_loss(
    listen, sop_class: str
) -> None:
    taken = [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        RLELossless,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
        JPEG2000,
    ]
    not_taken = [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGBaseline8Bit]
    ae = AE()
    ae.requested_contexts = [build_context(sop_class, syntax) for syntax in taken + not_taken]

    negotiated = ae.associate("127.0.0.1", listen().port, ae_title="GLIOLOOP")
    found = {str(context.transfer_syntax[0]) for context in negotiated.accepted_contexts}
    negotiated.release()

    assert found == set(taken)


@pytest.mark.parametrize("first", [0, 64, 128])
def test_every_storage_class_is_accepted(listen, first: int) -> None:
    """In chunks, as a requestor may propose 128 contexts only."""
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    assert len(classes) >= 170
    ae = AE()
    ae.requested_contexts = [build_context(uid) for uid in classes[first : first + 64]]

    negotiated = ae.associate("127.0.0.1", listen().port, ae_title="GLIOLOOP")
    refused = [context.abstract_syntax for context in negotiated.rejected_contexts]
    accepted = len(negotiated.accepted_contexts)
    negotiated.release()

    assert refused == []
    assert accepted == len(classes[first : first + 64])


# --- abuse --------------------------------------------------------------------------------------

A_ABORT = b"\x07"
"""Type of the PDU (PS3.8 section 9.3.8)."""


def test_a_peer_that_falls_silent_inside_a_pdu_is_disconnected(listen) -> None:
    running = listen(socket_timeout_s=0.3)
    with socket.create_connection(("127.0.0.1", running.port)) as peer:
        peer.sendall(struct.pack(">BBL", 1, 0, 200) + bytes(10))
        peer.settimeout(10)

        assert peer.recv(100) == b""
    assert association(running.port) is None


def test_a_pdu_that_claims_gigabytes_is_not_read(listen, caplog: pytest.LogCaptureFixture) -> None:
    running = listen()
    with socket.create_connection(("127.0.0.1", running.port)) as peer:
        peer.sendall(struct.pack(">BBL", 1, 0, 3_000_000_000))
        peer.settimeout(10)

        assert peer.recv(100) == b""
    assert "a PDU of 3000000000 bytes is announced" in caplog.text


def test_a_data_set_beyond_all_bounds_ends_its_association(
    listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = listen(limits=Limits(object_bytes=500_000), max_pdu=16_384)
    big = make_instance()
    big.PixelData = bytes(1_000_000)
    small = make_instance()

    assert send(running.port, [write_instance(tmp_path / "big", big)]) == [None]

    assert caplog.text.count("hung up on, a data set of more than 500000 bytes") == 1
    assert send(running.port, [write_instance(tmp_path / "small", small)]) == [0x0000]


def test_http_on_the_dicom_port_is_answered_by_an_abort(listen) -> None:
    running = listen()
    with socket.create_connection(("127.0.0.1", running.port)) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: glioloop\r\n\r\n")
        peer.settimeout(10)

        assert peer.recv(100)[:1] == A_ABORT
    assert association(running.port) is None


# --- starting and stopping ----------------------------------------------------------------------


def test_what_a_crash_left_is_swept_away_at_the_start(listen, tmp_path: Path) -> None:
    folder = tmp_path / "inbox" / ("0" * 32)
    folder.mkdir(parents=True)
    (folder / "a.b.local.part").write_bytes(b"half")

    running = listen()

    assert list(running.inbox.root.rglob("*.part")) == []


def test_a_stopped_listener_answers_nobody(listen) -> None:
    running = listen()
    port = running.port
    assert association(port) is None

    running.scp.stop()

    with socket.socket() as peer:
        assert peer.connect_ex(("127.0.0.1", port)) != 0
    assert wait_until(lambda: not running.scp._ae.active_associations)
