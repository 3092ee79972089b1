"""Names of a result and its objects: they derive from the result, so that making an object
twice gives the same object.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dicomseg.codes import STYLES
from study.errors import RefusedError
from study.tissue import Tissue

PRODUCT = "Glioloop"
TOKEN_LENGTH = 8
"""Digits of a result id that are shown to people and survive in free text."""

AlgorithmType = Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]

Encoding = Literal["BINARY", "LABELMAP"]
"""(0062,0001) *Segmentation Type* of what is written."""

SEG_KIND, LABEL_MAP_KIND = "seg", "label map"
"""Kinds of a network's own outline: a Segmentation, and the same as a Label Map Segmentation."""


@dataclass(frozen=True)
class Predecessor:
    """The object that an object replaces, (0040,A360) *Predecessor Documents Sequence*."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True)
class ResultIdentity:
    """Who made an object, when, and of what result it is.

    Parameters
    ----------
    result_id
        Id of the result, at least eight hexadecimal digits in lower case.
    model_name, model_version
        The shipped model.
    head_version
        ``"base"``, or the version of the patient's own head.
    created
        When it was made; the object's dates and times. One that knows its time zone is brought to
        the zone that the source declares.
    series_number
        (0020,0011) *Series Number*.
    predecessor
        What it replaces.
    kind
        Which object of the result it is. `SEG_KIND` and `LABEL_MAP_KIND` are the network's own;
        corrections that Glioloop itself writes are called otherwise.
    algorithm_type
        (0062,0008) *Segment Algorithm Type*.
    creator
        (0070,0084) *Content Creator's Name*; empty for the network's own.
    note
        Follows the product and result in the (0008,103E) *Series Description*.

    Raises
    ------
    RefusedError
        If the result id is not hexadecimal or too short.
    """

    result_id: str
    model_name: str
    model_version: str
    created: datetime
    head_version: str = "base"
    series_number: int = 901
    predecessor: Predecessor | None = None
    kind: str = SEG_KIND
    algorithm_type: AlgorithmType = "AUTOMATIC"
    creator: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"[0-9a-f]{{{TOKEN_LENGTH},64}}", self.result_id):
            raise RefusedError(
                f"a result id has {TOKEN_LENGTH} to 64 digits 0-9 a-f, not {self.result_id!r}"
            )

    @property
    def sop_instance_uid(self) -> str:
        """(0008,0018) *SOP Instance UID* of this object."""
        return uid_for(self.result_id, self.kind)

    @property
    def series_uid(self) -> str:
        """(0020,000E) *Series Instance UID* of this object."""
        return series_uid_for(self.result_id, self.kind)

    @property
    def series_description(self) -> str:
        """``Glioloop 1a2b3c4d`` and the note: viewers copy it into what they save."""
        return f"{PRODUCT} {self.result_id[:TOKEN_LENGTH]} {self.note}".strip()[:64]

    @property
    def algorithm_version(self) -> str:
        """Version of model and head, so that a reader sees an adapted model."""
        return f"{self.model_version} head {self.head_version}"[:64]


def uid_for(result_id: str, kind: str) -> str:
    """UID of one object of a result, always the same for the same two names.

    A UUID-derived UID, ``2.25.`` and a decimal number (PS3.5 section B.2), whose UUID is a hash
    as RFC 9562 version 8 allows.

    Parameters
    ----------
    result_id
        Id of the result.
    kind
        Which of its objects.

    Returns
    -------
    str
        At most 44 characters.
    """
    digest = hashlib.sha256(f"{PRODUCT}\x00{result_id}\x00{kind}".encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | (0x8 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return f"2.25.{uuid.UUID(int=number).int}"


def series_uid_for(result_id: str, kind: str) -> str:
    """(0020,000E) *Series Instance UID* of one object of a result: each has a series of its own."""
    return uid_for(result_id, f"{kind} series")


def tracking_uid(result_id: str, tissue: Tissue) -> str:
    """(0062,0021) *Tracking UID* of a result's segment; another for each result."""
    return uid_for(result_id, f"tracking {STYLES[tissue].label}")


def tracking_identifier(result_id: str, tissue: Tissue) -> str:
    """(0062,0020) *Tracking ID* of a result's segment; it holds the whole result id."""
    return f"{PRODUCT} {result_id} {STYLES[tissue].label}"


def is_own_result(sop_instance_uid: str, tracking_identifiers: Iterable[str]) -> bool:
    """Whether an object is a network's own result of any Glioloop, known here or not.

    Its tracking identifiers name a result, and its UID is the one that derives from that. What a
    viewer saves has a UID of its own.
    """
    found = (re.match(rf"{PRODUCT} ([0-9a-f]{{8,64}}) ", text) for text in tracking_identifiers)
    return any(
        sop_instance_uid == uid_for(match[1], kind)
        for match in found
        if match
        for kind in (SEG_KIND, LABEL_MAP_KIND)
    )


def tokens_in(text: str) -> frozenset[str]:
    """Result tokens, eight hexadecimal digits each, that follow the product's name in a text."""
    pattern = rf"\b{PRODUCT}[ _-]+([0-9a-f]{{{TOKEN_LENGTH}}})\b"
    return frozenset(t.lower() for t in re.findall(pattern, text, re.IGNORECASE))
