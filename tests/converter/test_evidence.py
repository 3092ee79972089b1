"""Traps of real studies, one header after another: what each series is, and why."""

from __future__ import annotations

from typing import Any

import pytest

from converter.attributes import Attributes
from converter.evidence import Evidence
from converter.identify import weigh


def series(description: str = "", protocol: str = "", **more: Any) -> Attributes:
    """A series with codes (texts, lists), numbers and patterns told apart by their kinds."""
    labels = {"StudyDescription": more.pop("StudyDescription", "")}
    patterns = {k: more.pop(k).lower() for k in ("SequenceName", "ScanningTechnique") if k in more}
    numbers = {k: float(v) for k, v in more.items() if isinstance(v, int | float)}
    codes = {k: tuple(v) for k, v in more.items() if isinstance(v, list)}
    return Attributes(
        "1", "", "1", description, protocol, codes, numbers, patterns, labels, slices=24, images=24
    )


def told(*study: Attributes) -> Evidence:
    return weigh(study)[0]


SE, IR, GR = {"ScanningSequence": ["SE"]}, {"ScanningSequence": ["SE", "IR"]}, ["GR"]
ANY = series("DWI")
"""A second series of the study."""


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        # T1-FLAIR, by option, echo or name
        (series("AX FLAIR", **IR, EchoTime=23, InversionTime=860), "T1"),
        (series("AX T1 FLAIR", **IR, EchoTime=23, InversionTime=860), "T1"),
        (series("T1 FLAIR POST", **IR, EchoTime=23, InversionTime=860), "T1GD"),
        (series("Sag FLAIR", ScanOptions=["T1FLAIR_GEMS", "FC"], EchoTime=23), "T1"),
        (series("Ax FS", ScanOptions=["FAST_GEMS", "T2FLAIR_GEMS"], EchoTime=133), "FLAIR"),
        (series("t1_tirm_tra_dark-fluid", **IR, EchoTime=9.7, InversionTime=860), "T1"),
        # FLAIR that does not say so
        (
            series(
                "t2_spc_sag",
                SequenceName="*spcir_284ns",
                InversionTime=1800,
                EchoTime=397,
                RepetitionTime=5000,
                **IR,
            ),
            "FLAIR",
        ),
        (
            series("t2_tirm_tra", SequenceName="*tir2d1_16", InversionTime=2500, EchoTime=87),
            "FLAIR",
        ),
        (series(AcquisitionContrast=["FLUID_ATTENUATED"], InversionTime=1400), "FLAIR"),
        (series("FLAIR", InversionTime=0, EchoTime=120, **SE), "FLAIR"),
        (series("AX FLAIR gad", **IR, EchoTime=120, InversionTime=2500), "FLAIR"),
        # other inversions
        (series("t1_space_ir_sag", SequenceName="*spcir_257ns", EchoTime=11, **IR), "T1"),
        (series("t2_tirm_cor", SequenceName="*tir2d1_11", InversionTime=150, EchoTime=60), "OTHER"),
        (series("T2 STIR", InversionTime=160, EchoTime=70, **IR), "OTHER"),
        (series("PSIR", EchoTime=90, InversionTime=350, **IR), "OTHER"),
        # T2 and what looks like it
        (series("t2_tse_tra", PulseSequenceName=["*tse2d1_17"], EchoTime=95), "T2"),
        (series(SequenceName="*spc_314ns", EchoTime=563, RepetitionTime=3200, **SE), "T2"),
        (series(ScanningTechnique="DwiSE", EchoTime=86, RepetitionTime=6500, **SE), "OTHER"),
        (series(DiffusionBValue=1000, EchoTime=86, RepetitionTime=6500, **SE), "OTHER"),
        (series(EchoPlanarPulseSequence=["YES"], EchoTime=86, RepetitionTime=6500), "OTHER"),
        (series("T2 TSE", EchoTime=12, RepetitionTime=3000, **SE), "OTHER"),
        (series("T2 ax", ScanningSequence=GR, EchoTime=20), "OTHER"),
        (series("T2 FSE", ImageType=["DERIVED", "PRIMARY", "T2 MAP"], EchoTime=95), "OTHER"),
        # T1 of all kinds
        (series(SequenceName="*tfl3d1_16", ScanningSequence=["GR", "IR"], EchoTime=2.2), "T1"),
        (
            series(
                SequenceName="MP-RAGE",
                ScanningSequence=["RM", "IR"],
                InversionTime=1000,
                EchoTime=3,
            ),
            "T1",
        ),
        (series(ScanningSequence=GR, EchoTime=3.7, RepetitionTime=8.2), "T1"),
        (series("t1_space_sag_cs4", SequenceName="*spcR_42ns", EchoTime=11, **SE), "T1"),
        # what is no candidate
        (series("T1", ImageType=["ORIGINAL", "PRIMARY", "SW_M_FFE"], EchoTime=0), "OTHER"),
        (series("T1 post", ImageType=["DERIVED", "SECONDARY", "SUBTRACTION"]), "OTHER"),
        (series("T1 ax", ImageType=["DERIVED", "PRIMARY", "QMAP", "T1"]), "OTHER"),
        (series("FLAIR", BurnedInAnnotation=["YES"]), "OTHER"),
        (series("AXIAL T1 SI LOC", EchoTime=14, **SE), "OTHER"),
        (series("T1 dyn", AcquisitionContrast=["PERFUSION"]), "OTHER"),
        (series("FLAIR", SOPClassUID=["1.2.840.10008.5.1.4.1.1.66"]), "OTHER"),
        (series("FLAIR", Modality=["SR"]), "OTHER"),
        (series("<script>alert(1)</script>"), "OTHER"),
    ],
)
def test_each_trap(one: Attributes, expected: str):
    found = told(one, ANY)
    assert (found.sequence, found.certain) == (expected, True)


def test_the_contrast_of_an_image_is_evidence_and_unknown_is_none():
    assert told(series("t1_mprage", AcquisitionContrast=["UNKNOWN"])).sequence == "T1"
    b0_map = series("B0map", AcquisitionContrast=["T1"], ImageType=["DERIVED", "PRIMARY", "B0"])
    assert told(b0_map).sequence == "OTHER"


@pytest.mark.parametrize(
    ("one", "fit"),
    [
        (series("T2 tse sag", BodyPartExamined=["LSPINE"]), False),
        (series("T2 tse sag", BodyPartExamined=["BRAIN"]), True),
        (series("t2_tse_sag HWS"), False),
        (series("T2 rachis"), False),
        (series("T2 tse", "knee routine"), False),
        (series("T2 tse", StudyDescription="MR GENOU"), False),
        (series("T2 tse", StudyDescription="MR Brain and c-spine"), True),
        (series("T2 c-spine sag", StudyDescription="MR Brain and c-spine"), False),
        (series("Brain and orbits T2"), True),
        (series("T2 cor orbits"), False),
        (series("T2 tse brain", StudyDescription="MR spine"), True),
        (series("T2 HASTE"), False),
    ],
)
def test_another_region_is_known_but_unfit(one: Attributes, fit: bool):
    found = told(one, ANY)
    assert (found.sequence, found.fit) == ("T2", fit)


def test_why_is_said_in_words():
    assert told(series("AX T1 +C")).why() == "name ('t1'); contrast by its name ('+ c')"
    assert told(series("AX T1 pre")).why() == "name ('t1'); no contrast by its name ('pre')"
    assert told(series("DWI")).why() == "diffusion ('dwi')"
    assert told(series("quite unknown")).why() == "no rule knows it"
    assert told(series("t2_tirm_cor")).why() == (
        "not enough for any class: inversion recovery in the name ('tirm'); name ('t2')"
    )
    assert told(series("T2 knee")).why() == "name ('t2'); left out: another body region ('knee')"


def test_held_is_what_a_person_must_decide():
    assert told(series("AX T1")).held
    assert told(series("T1 T2")).held
    assert not told(series("AX T1 +C")).held
    assert not told(series("DWI")).held
