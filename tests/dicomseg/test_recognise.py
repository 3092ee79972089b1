from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicomseg.content import content_digest
from dicomseg.facts import FrameFacts, SegFacts, SegmentFacts, read_facts
from dicomseg.identity import uid_for
from dicomseg.planes import Plane
from dicomseg.recognise import Kind, KnownResult, known_result, recognise
from dicomseg.write import write_seg
from study.volume import Geometry

A, B = "aaaaaaaa11111111", "bbbbbbbb22222222"

FACTS = SegFacts(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
    sop_instance_uid="1.9.1",
    series_uid="1.9",
    study_uid="1.1",
    frame_of_reference_uid="1.4",
    patient_id="ID",
    issuer="",
    birth_date="",
    patient_name="",
    manufacturer="QIICR",
    software="",
    descriptions=("corrected",),
    people=(),
    made=None,
    segmentation_type="BINARY",
    segments=(SegmentFacts(1, "Edema", None, "", "", None, "MANUAL"),),
    frames=(FrameFacts(1, Plane((0.0, 0.0, 5.0), (1, 0, 0, 0, 1, 0), (1.0, 1.0)), ""),),
    rows=4,
    columns=4,
    slice_spacing=5.0,
    slice_thickness=5.0,
    predecessors=(),
    referenced_series=("1.5",),
    referenced_instances=frozenset({"1.5.1", "1.5.2"}),
)
"""A correction in the right study, frame and grid series that says nothing of its result."""


def grid(z=0.0, spacing=5.0):
    """Four axial slices of 4 x 4 voxels."""
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [spacing, 0, 0, z], [0, 0, 0, 1]], float)
    return Geometry((4, 4, 4), affine, "1.4")


RESULT = KnownResult(
    result_id=A,
    sop_instance_uid="1.7.1",
    series_uid="1.7",
    study_uid="1.1",
    frame_of_reference_uid="1.4",
    grid_series_uid="1.5",
    tracking_uids=frozenset({"1.8.1", "1.8.2", "1.8.3"}),
    content="c0ffee",
    patient="key of the patient",
    created=100.0,
    geometry=grid(),
    corrections={"1.6.1": "0ff1ce"},
    correction_series=frozenset({"1.6"}),
)
LATER = replace(
    RESULT,
    result_id=B,
    sop_instance_uid="1.17.1",
    series_uid="1.17",
    tracking_uids=frozenset({"1.18.1"}),
    created=200.0,
    corrections={},
    correction_series=frozenset(),
)


def ask(facts=FACTS, results=(RESULT,), content="new", patient="key of the patient",
        at_learn=False, implicit=False):  # fmt: skip
    """(kind, result, signal) and the reason."""
    found = recognise(
        facts, content, results, patient=patient, at_learn=at_learn, implicit=implicit
    )
    return (found.kind, found.result_id, found.signal), found.reason


def with_tracking(uid):
    return replace(FACTS, segments=(replace(FACTS.segments[0], tracking_uid=uid),))


SIGNALS = {
    "1, predecessor": (replace(FACTS, predecessors=("1.7.1",)), 1),
    "1, predecessor is a correction": (replace(FACTS, predecessors=("1.6.1",)), 1),
    "2, another reference": (replace(FACTS, referenced_instances=frozenset({"1.7.1"})), 2),
    "3, our series": (replace(FACTS, series_uid="1.7"), 3),
    "3, a correction's series": (replace(FACTS, series_uid="1.6"), 3),
    "4, tracking UID": (with_tracking("1.8.2"), 4),
    "5, token": (replace(FACTS, descriptions=("edited Glioloop aaaaaaaa",)), 5),
}


@pytest.mark.parametrize("case", SIGNALS)
def test_signals_1_to_5_suffice_anywhere(case):
    """Each alone names the result, at either address."""
    facts, signal = SIGNALS[case]
    assert ask(facts)[0] == (Kind.CORRECTION, A, signal)
    assert ask(facts, at_learn=True)[0] == (Kind.CORRECTION, A, signal)


def test_signal_6_suffices_at_the_learning_address_only():
    """A rule that routes every vendor's SEG must never train a patient."""
    assert ask(at_learn=True)[0] == (Kind.CORRECTION, A, 6)
    assert ask(at_learn=False)[0] == (Kind.HELD, A, 7)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"study_uid": "1.2"}, "no result of study 1.2 is known, though its patient has results"),
        ({"frame_of_reference_uid": "1.40"}, "frame of reference 1.40, the study's results in 1.4"),
        ({"frame_of_reference_uid": ""}, "frame of reference without UID"),
        ({"referenced_series": ("1.50",)}, "refers to other series"),
        ({"referenced_series": ()}, "refers to other series"),
    ],
)
def test_signal_6_needs_study_frame_and_series(change, match):
    """Without one of them nothing is recognised even there."""
    outcome, reason = ask(replace(FACTS, **change), at_learn=True)
    assert outcome == (Kind.HELD, None, 8)
    assert match in reason


def test_signal_7_waits_for_a_person_unless_a_site_vouches():
    """It fits the only result of its study."""
    outcome, reason = ask()
    assert outcome == (Kind.HELD, A, 7)
    assert "does not say that it corrects it" in reason
    assert ask(implicit=True)[0] == (Kind.CORRECTION, A, 7)


def test_signal_7_needs_an_only_result_and_our_labels():
    """Two results, or a foreign label: nothing."""
    outcome, reason = ask(results=(RESULT, LATER), implicit=True)
    assert outcome == (Kind.HELD, None, 8)
    assert "send it to the learning address" in reason
    foreign = replace(FACTS, segments=(replace(FACTS.segments[0], label="Liver"),))
    assert ask(foreign, implicit=True)[0] == (Kind.HELD, None, 8)


def test_signal_8_is_the_patient_alone():
    """Another study of the patient, a stranger's study, or no result at all."""
    other_study = replace(FACTS, study_uid="1.2")
    assert "though its patient has results" in ask(other_study)[1]
    assert "though" not in ask(other_study, patient="somebody else")[1]
    assert ask(results=())[0] == (Kind.HELD, None, 8)


def test_the_strongest_signal_wins():
    """Its predecessor is the older result, its tracking UID the later one's."""
    facts = replace(with_tracking("1.18.1"), predecessors=("1.7.1",))
    assert ask(facts, results=(LATER, RESULT))[0] == (Kind.CORRECTION, A, 1)
    assert ask(facts, results=(RESULT, LATER), at_learn=True)[0] == (Kind.CORRECTION, A, 1)


def test_of_several_results_the_latest_on_the_same_grid():
    """Both fit; the later one. If that lies on another grid: the earlier. If both do: a person."""
    assert ask(results=(LATER, RESULT), at_learn=True)[0] == (Kind.CORRECTION, B, 6)
    elsewhere = replace(LATER, geometry=grid(z=2.0))
    assert ask(results=(elsewhere, RESULT), at_learn=True)[0] == (Kind.CORRECTION, A, 6)
    unknown = replace(RESULT, geometry=None)
    outcome, reason = ask(results=(elsewhere, unknown), at_learn=True)
    assert outcome == (Kind.HELD, None, 6)
    assert "any of 2 results" in reason


def test_no_grid_is_no_match():
    """Frames that say not where they lie decide no tie."""
    facts = replace(FACTS, frames=(FrameFacts(1, None, ""),))
    assert ask(facts, results=(LATER, RESULT), at_learn=True)[0] == (Kind.HELD, None, 6)
    other_frame = [replace(r, geometry=replace(grid(), frame_of_reference_uid="9"))
                   for r in (RESULT, LATER)]  # fmt: skip
    assert ask(results=other_frame, at_learn=True)[0] == (Kind.HELD, None, 6)


@pytest.mark.parametrize("case", SIGNALS)
def test_another_patient_s_is_held(case):
    """However certain the signal."""
    facts, signal = SIGNALS[case]
    outcome, reason = ask(facts, patient="somebody else")
    assert outcome == (Kind.HELD, A, signal)
    assert "another patient's" in reason
    assert ask(facts, patient=None)[0][0] == Kind.HELD


@pytest.mark.parametrize("case", SIGNALS)
def test_nobody_s_is_held_though_the_result_is_nobody_s_too(case):
    """Two objects without a usable Patient ID need not be of one patient."""
    facts, signal = SIGNALS[case]
    outcome, reason = ask(facts, results=(replace(RESULT, patient=None),), patient=None)
    assert outcome == (Kind.HELD, A, signal)
    assert "no usable Patient ID" in reason


@pytest.mark.parametrize("case", SIGNALS)
def test_another_study_is_held(case):
    """A correction lies where its result lies."""
    facts, signal = SIGNALS[case]
    outcome, reason = ask(replace(facts, study_uid="1.2"))
    assert outcome == (Kind.HELD, A, signal)
    assert "study 1.2, the result that it names in 1.1" in reason


def test_our_own_result_is_an_echo():
    """The same UID with the same content; its bytes may differ."""
    own = replace(FACTS, sop_instance_uid="1.7.1")
    assert ask(own, content="c0ffee")[0] == (Kind.ECHO, A, 0)
    assert ask(own, content="c0ffee", at_learn=True)[0] == (Kind.ECHO, A, 0)


def test_a_known_correction_is_an_echo():
    """It was recognised before."""
    again = replace(FACTS, sop_instance_uid="1.6.1")
    assert ask(again, content="0ff1ce", at_learn=True)[0] == (Kind.ECHO, A, 0)


@pytest.mark.parametrize("uid", ["1.7.1", "1.6.1"])
def test_a_known_uid_with_other_content_is_a_conflict(uid):
    """An editor that keeps UIDs: never taken, whatever else it says."""
    facts = replace(FACTS, sop_instance_uid=uid, predecessors=("1.7.1",))
    outcome, reason = ask(facts, at_learn=True)
    assert outcome == (Kind.HELD, A, 0)
    assert "other pixels, geometry or segments" in reason


def test_a_network_s_result_that_is_unknown_here_is_no_correction():
    """Another installation's, or one of a lost ledger; it may well name its predecessor."""
    facts = replace(
        FACTS,
        sop_instance_uid=uid_for("cccccccc33333333", "seg"),
        predecessors=("1.7.1",),
        segments=(replace(FACTS.segments[0], tracking_id="Glioloop cccccccc33333333 Edema"),),
    )
    outcome, reason = ask(facts, at_learn=True)
    assert outcome == (Kind.HELD, None, 0)
    assert "not one known here" in reason


def test_results_do_not_show_the_patient():
    """They end in logs."""
    assert "key of the patient" not in repr(RESULT)


def test_from_files(series, identity):
    """A result and its correction as they are written."""
    encoded = write_seg(series.labels, series.instances, identity)
    result = known_result(
        encoded,
        result_id=identity.result_id,
        patient="p",
        created=1.0,
        geometry=series.labels.geometry,
    )
    assert result.grid_series_uid == "1.2.826.0.1.3680043.8.498.2"
    echo = recognise(read_facts(encoded), content_digest(encoded), [result],
                     patient="p", at_learn=False)  # fmt: skip
    assert echo.kind == Kind.ECHO
    person = replace(identity, kind="correction 1", algorithm_type="MANUAL", creator="Doe^Jo")
    edited = series.labels.array.copy()
    edited[edited == 1] = 3
    correction = write_seg(series.labels.with_array(edited), series.instances, person)
    found = recognise(read_facts(correction), content_digest(correction), [result],
                      patient="p", at_learn=False)  # fmt: skip
    assert (found.kind, found.signal) == (Kind.CORRECTION, 4)
