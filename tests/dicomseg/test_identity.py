from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.uid import UID

from dicomseg.identity import is_own_result, tokens_in, tracking_identifier, tracking_uid, uid_for
from study.tissue import Tissue


def test_a_uid_is_always_the_same_for_the_same_names():
    """Written out: an object that was sent once keeps its name for ever."""
    assert uid_for("0123456789abcdef", "seg") == "2.25.96907093527295122773363436493669130747"


def test_uids_are_valid_and_differ():
    """Five hundred results, two kinds: a thousand valid UIDs."""
    uids = {uid_for(f"{n:08x}", kind) for n in range(500) for kind in ("seg", "seg series")}
    assert len(uids) == 1000
    assert all(UID(uid).is_valid and len(uid) <= 64 for uid in uids)


def test_tracking_uids_belong_to_one_result_and_tissue():
    """Else a correction of last year's study would be taken for one of today's."""
    ids = [(r, t) for r in ("00000001", "00000002") for t in (Tissue.EDEMA, Tissue.NECROSIS)]
    assert len({tracking_uid(*i) for i in ids}) == 4


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Glioloop 00112233", {"00112233"}),
        ("corrected: GLIOLOOP 00AA2233 v2", {"00aa2233"}),
        ("Not for diagnosis. Glioloop 00112233", {"00112233"}),
        ("Glioloop_00112233", {"00112233"}),
        ("Glioloop 001122", set()),
        ("Glioloop 0011223344", set()),
        ("00112233", set()),
        ("myglioloop 00112233", set()),
    ],
)
def test_tokens_in_descriptions(text, tokens):
    """The product's name and eight digits; anything else is no token."""
    assert tokens_in(text) == tokens


def test_a_network_s_result_is_known_by_its_own_uid(identity):
    """What a viewer saves has a UID of its own, though it may keep tracking identifiers."""
    ids = [tracking_identifier(identity.result_id, Tissue.EDEMA)]
    assert is_own_result(identity.sop_instance_uid, ids)
    assert not is_own_result("1.2.3", ids)
    correction = replace(identity, kind="correction 1")
    assert not is_own_result(correction.sop_instance_uid, ids)


def test_long_descriptions_are_cut(identity):
    """(0008,103E) *Series Description* has at most 64 characters."""
    assert len(replace(identity, note="x" * 100).series_description) == 64
    assert len(replace(identity, head_version="v" * 100).algorithm_version) == 64
