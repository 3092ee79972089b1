"""What vendors say in private elements."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from converter.private import b_value, pulse_sequence, scanning_technique


@pytest.mark.parametrize(
    ("creator", "group", "offset", "vr", "value", "expected"),
    [
        ("SIEMENS MR HEADER", 0x0019, 0x0C, "IS", 1000, 1000.0),
        ("SIEMENS MR HEADER", 0x0019, 0x0C, "UN", b"1000", 1000.0),
        ("GEMS_PARM_01", 0x0043, 0x39, "IS", [1000000800, 8, 0, 0], 800.0),
        ("GEMS_PARM_01", 0x0043, 0x39, "UN", b"500\\8\\0\\0 ", 500.0),
        ("Philips Imaging DD 001", 0x2001, 0x03, "FL", 700.0, 700.0),
        ("Philips Imaging DD 001", 0x2001, 0x03, "UN", b"\x00\x00\x80\x3f", None),
        ("SOMEBODY ELSE", 0x0019, 0x0C, "IS", 1000, None),
        ("SIEMENS MR HEADER", 0x0019, 0x0C, "LO", "none", None),
    ],
)
def test_the_b_value_of_each_vendor(creator, group, offset, vr, value, expected):
    header = Dataset()
    header.private_block(group, creator, create=True).add_new(offset, vr, value)
    assert b_value(header) == expected


def test_names_of_sequences():
    header = Dataset()
    header.add_new((0x0019, 0x109C), "LO", "efgre3d")
    header.add_new((0x0019, 0x109E), "UN", b"EFGRE3D")
    header.add_new((0x2001, 0x1020), "LO", "DwiSE")
    assert pulse_sequence(header) == "efgre3d EFGRE3D"
    assert scanning_technique(header) == "DwiSE"
    assert (pulse_sequence(Dataset()), scanning_technique(Dataset())) == ("", "")
