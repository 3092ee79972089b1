"""The codes, labels and colours by which a tissue is known in DICOM.

Labels must be unique and stable: several viewers drop every code of a segment and keep its
(0062,0005) *Segment Label* alone. Codes: CID 7159 (lesion segmentation types), CID 7150
(property categories), CID 7162 (algorithm families).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from study.tissue import Tissue


class Code(NamedTuple):
    """A coded concept: (value, scheme, meaning)."""

    value: str
    scheme: str
    meaning: str


class SegmentStyle(NamedTuple):
    """How one tissue is written."""

    label: str
    """(0062,0005) *Segment Label*; English ASCII."""
    type_code: Code
    rgb: tuple[int, int, int]
    """Colour, 0 to 255; written as CIELab."""


CATEGORY = Code("49755003", "SCT", "Morphologically Abnormal Structure")
"""(0062,0003) *Segmented Property Category Code Sequence*, CID 7150."""
REGION = Code("12738006", "SCT", "Brain")
"""(0008,2218) *Anatomic Region Sequence*."""
FAMILY = Code("123110", "DCM", "Artificial Intelligence")
"""Algorithm family, CID 7162."""
BACKGROUND_CODE = ("125040", "DCM")
"""(value, scheme) of the background segment of a LABELMAP."""

STYLES: Mapping[Tissue, SegmentStyle] = {
    Tissue.NECROSIS: SegmentStyle("Necrosis", Code("6574001", "SCT", "Necrosis"), (0, 114, 178)),
    Tissue.EDEMA: SegmentStyle("Edema", Code("79654002", "SCT", "Edema"), (240, 228, 66)),
    Tissue.ENHANCING: SegmentStyle(
        "Enhancing Lesion", Code("C113842", "NCIt", "Enhancing Lesion"), (213, 94, 0)
    ),
}
"""How each tissue is written.

The colours can be told apart by the colour-blind (Okabe and Ito 2008), and are not the pure
primaries that other tools give to their first, second and third segment whatever these are: a
colour is also evidence when a correction is read.
"""

TYPE_CODES: Mapping[tuple[str, str], Tissue] = {
    ("6574001", "SCT"): Tissue.NECROSIS,
    ("M-54000", "SRT"): Tissue.NECROSIS,
    ("M-54000", "SNM3"): Tissue.NECROSIS,
    ("M-54000", "99SDM"): Tissue.NECROSIS,
    ("C81175", "NCIt"): Tissue.NECROSIS,
    ("79654002", "SCT"): Tissue.EDEMA,
    ("M-36300", "SRT"): Tissue.EDEMA,
    ("M-36300", "SNM3"): Tissue.EDEMA,
    ("M-36300", "99SDM"): Tissue.EDEMA,
    ("C113842", "NCIt"): Tissue.ENHANCING,
}
"""(value, scheme) of (0062,000F) *Segmented Property Type Code Sequence* to tissue."""


def lab_of_rgb(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """(0062,000D) *Recommended Display CIELab Value* of an sRGB colour (PS3.3 C.10.7.1.1).

    sRGB is linearised and brought to CIE XYZ, then to CIELab, both at the white of D65 as the
    viewers do; L* 0..100 and a*, b* -128..127 fill 0..65535.
    """
    linear = [c / 255 for c in rgb]
    linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in linear]
    r, g, b = linear
    xyz = (
        (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047,
        0.2126729 * r + 0.7151522 * g + 0.0721750 * b,
        (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883,
    )
    x, y, z = (v ** (1 / 3) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in xyz)
    lightness, a, b_ = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    return (
        round(lightness * 65535 / 100),
        round((a + 128) * 65535 / 255),
        round((b_ + 128) * 65535 / 255),
    )
