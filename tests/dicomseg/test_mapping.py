from __future__ import annotations

import pytest

from dicomseg.codes import lab_of_rgb
from dicomseg.facts import SegmentFacts
from dicomseg.mapping import map_segments, mapped_tissues, unmapped
from study.tissue import Tissue

TISSUE_CODE = ("85756007", "SCT")
VERMILLION = lab_of_rgb((213, 94, 0))


def segment(label="", code=TISSUE_CODE, uid="", colour=None, number=1):
    """A segment that says only what a test gives it."""
    return SegmentFacts(number, label, code, uid, "", colour, "MANUAL")


def one(*args, **kwargs):
    """(tissue, by) of a single segment."""
    mapped = map_segments([segment(*args, **kwargs)])[0]
    return mapped.tissue, mapped.by


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"label": "Edema"}, (Tissue.EDEMA, "label")),
        ({"label": "enhancing_lesion"}, (Tissue.ENHANCING, "label")),
        ({"label": "Edema", "code": ("6574001", "SCT")}, (Tissue.EDEMA, "label")),
        ({"label": "oedeme"}, (Tissue.EDEMA, "synonym")),
        ({"label": "Segment_1", "code": ("M-54000", "SRT")}, (Tissue.NECROSIS, "code")),
        ({"label": "ET", "code": ("M-54000", "SRT")}, (Tissue.ENHANCING, "synonym")),
        ({"label": "Segment_1", "colour": VERMILLION}, (Tissue.ENHANCING, "colour")),
        ({"label": "Segment 3", "number": 3}, (None, "nothing")),
        ({"label": "Segment 1", "colour": (34886, 53484, 50172)}, (None, "nothing")),
        ({"label": "Mass", "code": ("4147007", "SCT")}, (None, "nothing")),
        ({"label": "x", "code": None}, (None, "nothing")),
        ({"label": "Background", "code": ("125040", "DCM")}, (None, "background")),
        ({"label": "", "number": 0}, (None, "background")),
    ],
)
def test_what_names_a_tissue(given, expected):
    """Label, then synonym, code and colour; a number never."""
    assert one(**given) == expected


def test_a_tracking_uid_of_the_original_names_its_tissue():
    """Tools that rename and recode may keep it."""
    ours = segment("Necrosis", uid="1.2.3")
    mapped = map_segments([segment("Label 7", uid="1.2.3")], [ours])[0]
    assert (mapped.tissue, mapped.by) == (Tissue.NECROSIS, "tracking UID")
    assert map_segments([segment("Label 7", uid="1.2.4")], [ours])[0].tissue is None


def test_colours_are_compared_with_those_that_were_sent():
    """An older result had other colours."""
    red = (34886, 53484, 50172)
    ours = segment("Enhancing Lesion", colour=red)
    slightly_off = (35579, 53663, 50858)
    mapped = map_segments([segment("Segment 3", colour=slightly_off)], [ours])[0]
    assert (mapped.tissue, mapped.by) == (Tissue.ENHANCING, "colour")
    assert map_segments([segment("Segment 3", colour=VERMILLION)], [ours])[0].tissue is None


def test_a_person_decides_first():
    """Even against a label; None leaves a segment out."""
    segments = [segment("Edema"), segment("Seg 2", number=2)]
    mapped = map_segments(segments, (), {"Edema": None, "Seg 2": Tissue.NECROSIS})
    assert [(m.tissue, m.by) for m in mapped] == [(None, "person"), (Tissue.NECROSIS, "person")]
    assert unmapped(mapped) == ()
    assert mapped_tissues(mapped) == {Tissue.NECROSIS}
