"""Bytes that mean harm, or are badly damaged: PDUs, DIMSE messages and data sets."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import encode as encode_command
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context
from small_dicom import ENHANCED_MR, LABEL_MAP, MR, encode, make_instance, make_label_map

VERIFICATION = "1.2.840.10008.1.1"
RELEASE = struct.pack(">BBL", 5, 0, 4) + bytes(4)
ABORT = struct.pack(">BBL", 7, 0, 4) + bytes(4)
LAST_COMMAND, COMMAND, LAST_DATA, DATA = 3, 1, 2, 0
ECHO_CONTEXT, MR_CONTEXT, SEG_CONTEXT = 1, 3, 5
EVIL = (
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "%s%n%x",
    "a\x00b",
    "\x1b$B",
    "A" * 70_000,
    "'; drop table studies; --",
)


def association(contexts: int = 3) -> bytes:
    """A proper A-ASSOCIATE-RQ."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = "FUZZ", "GLIOLOOP"
    longest, version = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 16384
    version.implementation_class_uid = "1.2.3.4"
    asked.user_information = [longest, version]
    classes = [VERIFICATION, MR, LABEL_MAP, *[ENHANCED_MR] * contexts][:contexts]
    listed = [build_context(uid, ExplicitVRLittleEndian) for uid in classes]
    for number, context in enumerate(listed):
        context.context_id = (2 * number + 1) % 256
    asked.presentation_context_definition_list = listed
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(asked)
    return bytes(pdu.encode())


def data(*values: tuple[int, int, bytes]) -> bytes:
    """A P-DATA-TF with PDVs: context, control header, bytes."""
    pdvs = b"".join(struct.pack(">LBB", len(v) + 2, c, h) + v for c, h, v in values)
    return struct.pack(">BBL", 4, 0, len(pdvs)) + pdvs


def command(field: int, **values: object) -> bytes:
    """A command set."""
    found = Dataset()
    found.AffectedSOPClassUID = MR
    found.CommandField, found.MessageID, found.CommandDataSetType = field, 1, 0x0001
    for keyword, value in values.items():
        if value is None:
            found.pop(keyword, None)
        else:
            setattr(found, keyword, value)
    return bytes(encode_command(found, True, True) or b"")


def store(uid: str = "1.2.3.4.1.1", sop_class: str = MR, **values: object) -> bytes:
    """The command of a C-STORE request."""
    given = {"AffectedSOPInstanceUID": uid, "Priority": 0, "AffectedSOPClassUID": sop_class}
    return command(0x0001, **{**given, **values})


def flipped(content: bytes, chance: random.Random, start: int = 0) -> bytes:
    """Some bits, bytes or pieces of it changed; sometimes cut short."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(start, len(found)) if len(found) > start else 0
        what = chance.randrange(5)
        if what == 0:
            found[at] ^= 1 << chance.randrange(8)
        elif what == 1:
            found[at] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))
        elif what == 2:
            found[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
        elif what == 3:
            found[at:at] = found[at : at + chance.randrange(64)]
        else:
            del found[at : at + chance.randrange(16)]
        if not found:
            break
    if chance.random() < 0.2 and found:
        del found[chance.randrange(len(found)) :]
    return bytes(found)


def of_list() -> list[bytes]:
    """PDUs that are wrong on purpose (section 5.3 of the notes on practice)."""
    rq = association()
    return [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        struct.pack(">BBL", 1, 0, 0),
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + bytes(1000),
        struct.pack(">BBL", 9, 0, 10) + bytes(10),
        struct.pack(">BBL", 2, 0, 4) + bytes(4),
        data((MR_CONTEXT, LAST_DATA, b"before any association")),
        RELEASE,
        ABORT,
        rq + rq,
        rq + struct.pack(">BBL", 4, 0, 0),
        rq + struct.pack(">BBL", 4, 0, 4) + struct.pack(">L", 0),
        rq + struct.pack(">BBL", 4, 0, 5) + struct.pack(">LB", 1, 1),
        rq + struct.pack(">BBL", 4, 0, 6) + struct.pack(">LBB", 0xFFFFFFFF, 1, 3),
        rq + data((77, LAST_COMMAND, store())),
        rq + data((MR_CONTEXT, COMMAND, bytes(70_000))),
        rq + data((MR_CONTEXT, LAST_COMMAND, store()), (MR_CONTEXT, DATA, b"half")) + RELEASE,
        association(128),
        association(127) + rq,
    ]


def pdus(chance: random.Random) -> Iterator[bytes]:
    """Association requests and what follows, damaged: any number."""
    yield from of_list()
    whole = association() + data((ECHO_CONTEXT, LAST_COMMAND, store())) + RELEASE
    while True:
        if chance.random() < 0.05:
            yield chance.randbytes(chance.randrange(1, 2000))
        else:
            yield flipped(whole, chance)


def messages(chance: random.Random) -> Iterator[bytes]:
    """Messages on an association that is open, damaged: any number."""
    small = encode(make_instance())
    made: list[Callable[[], bytes]] = [
        lambda: command(0x0030, AffectedSOPClassUID=VERIFICATION, CommandDataSetType=0x0101),
        store,
        lambda: store(AffectedSOPInstanceUID=None),
        lambda: store(CommandDataSetType=0x0101),
        lambda: store(MessageID=None),
        lambda: store(sop_class=LABEL_MAP),
        lambda: command(0x0FFF, MessageIDBeingRespondedTo=1),  # C-CANCEL
        lambda: command(0x0100, EventTypeID=1, AffectedSOPInstanceUID="1.2"),  # N-EVENT-REPORT
        lambda: command(0x0130, ActionTypeID=1, RequestedSOPInstanceUID="1.2"),  # N-ACTION
        lambda: command(0x8001, MessageIDBeingRespondedTo=1, Status=0),  # a response to nothing
        lambda: command(chance.randrange(0x10000)),
    ]
    while True:
        asked = chance.choice(made)()
        if chance.random() < 0.6:
            asked = flipped(asked, chance)
        context = chance.choice((ECHO_CONTEXT, MR_CONTEXT, SEG_CONTEXT, 7, 255))
        header = chance.choice((LAST_COMMAND, LAST_COMMAND, COMMAND, LAST_DATA, DATA, 255))
        pdu = data((context, header, asked))
        if chance.random() < 0.7:
            pdu += data((context, chance.choice((LAST_DATA, DATA)), small))
        yield (flipped(pdu, chance) if chance.random() < 0.3 else pdu) * chance.choice((1, 1, 8))


def data_sets(chance: random.Random) -> Iterator[bytes]:
    """Data sets, damaged: any number."""
    good = [encode(make_instance()), encode(make_label_map())]
    text = ("PatientName", "PatientID", "SeriesDescription", "StudyDescription", "StudyInstanceUID")
    while True:
        what = chance.randrange(6)
        if what == 0:
            yield nested(chance.choice((10, 40, 300, 3000)), undefined=chance.random() < 0.5)
        elif what == 1:
            yield with_bytes(chance.choice(text), chance.choice(EVIL))
        elif what == 2:
            yield with_numbers(chance)
        else:
            yield flipped(chance.choice(good), chance)


def nested(levels: int, *, undefined: bool) -> bytes:
    """A sequence in a sequence, and so on."""
    inner = b""
    for _ in range(levels):
        if undefined:
            inner = (
                b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
                + inner
                + b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
            )
        else:
            item = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(inner)) + inner
            inner = b"\x40\x00\x30\xa7SQ\0\0" + struct.pack("<L", len(item)) + item
    return encode(make_instance()) + inner


def with_bytes(keyword: str, text: str) -> bytes:
    """An instance with a text that pydicom would not write."""
    marked = make_instance()
    setattr(marked, keyword, "1.99.99.99.99" if keyword.endswith("UID") else "MARKMARKMARK")
    content = encode(marked)
    mark = b"1.99.99.99.99\x00" if keyword.endswith("UID") else b"MARKMARKMARK"
    value = text.encode()[: 65_000 // 2 * 2]
    value += b" " * (len(value) % 2)
    at = content.index(mark)
    return content[: at - 2] + struct.pack("<H", len(value)) + value + content[at + len(mark) :]


def with_numbers(chance: random.Random) -> bytes:
    """An instance whose numbers do not fit its pixels."""
    wrong = make_instance()
    wrong.Rows = chance.choice((0, 1, 65535))
    wrong.Columns = chance.choice((0, 4, 65535))
    wrong.BitsAllocated = chance.choice((0, 1, 7, 8, 64))
    wrong.NumberOfFrames = chance.choice((1, 0, 10**9))
    wrong.SamplesPerPixel = chance.choice((0, 1, 3, 65535))
    return encode(wrong)
