"""What vendors say in private elements and nowhere else: pulse sequence, technique, b-value."""

from __future__ import annotations

from math import isfinite

from pydicom import Dataset

from converter.files import READ_ERRORS

GE_PULSE_SEQUENCES = ((0x0019, 0x109C), (0x0019, 0x109E))
"""Name of the pulse sequence, and the vendor's own for what it was made from."""

PHILIPS_TECHNIQUE = (0x2001, 0x1020)

B_VALUES = (
    ("SIEMENS MR HEADER", 0x0019, 0x0C),
    ("GEMS_PARM_01", 0x0043, 0x39),
    ("Philips Imaging DD 001", 0x2001, 0x03),
)
"""Creator, group and element of the b-value: (0019,xx0C), (0043,xx39), (2001,xx03)."""

GE_B_VALUE_OFFSET = 100_000
"""GE adds a billion to some b-values; no real one has six digits."""


def pulse_sequence(header: Dataset) -> str:
    """Name of a GE pulse sequence, where (0018,0024) *Sequence Name* is missing."""
    return " ".join(filter(None, (_text(header, tag) for tag in GE_PULSE_SEQUENCES)))


def scanning_technique(header: Dataset) -> str:
    """(2001,1020) of Philips: ``TSE``, ``DwiSE``, ``T1TFE``."""
    return _text(header, PHILIPS_TECHNIQUE)


def b_value(header: Dataset) -> float | None:
    """Diffusion weighting in s/mm2, where only a private element tells it."""
    for creator, group, offset in B_VALUES:
        try:
            value = header.private_block(group, creator)[offset].value
        except READ_ERRORS:
            continue
        if isinstance(value, bytes):
            # An element whose VR is not known: text, or for Philips a four-byte float.
            value = value.decode("ascii", "ignore") if group != 0x2001 else ""
        first = str(value).replace("[", "").replace("\\", ",").split(",")[0].strip()
        try:
            number = float(first)
        except ValueError:
            continue
        return number % GE_B_VALUE_OFFSET if isfinite(number) else None
    return None


def _text(header: Dataset, tag: tuple[int, int]) -> str:
    """A private element as text, or nothing."""
    if tag not in header:
        return ""
    value = header[tag].value
    return value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)
