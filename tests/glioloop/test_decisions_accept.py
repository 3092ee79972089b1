"""What a person may accept, on the stores alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glioloop import confinement, decisions, settings
from glioloop.ledger_schema import CorrectionRow, CorrectionState, ResultRow
from glioloop.site import Site, open_site
from study.errors import RefusedError
from study.patient import patient_key

RESULT = "0" * 32


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A result of study 1, and a held SEG."""
    made = open_site(settings.load(data=tmp_path / "data"))
    with made.ledger.transaction() as session:
        session.add(
            ResultRow(
                result_id=RESULT,
                study_uid="1",
                patient_key=patient_key(made.secret, "HERE", "P-1"),
                patient_id_key=patient_key(made.secret, "", "P-1"),
                choice="",
                request=0,
                model="",
                backbone="",
                head="base",
                sop_instance_uid="1.1",
                series_uid="1.2",
                created_at=1.0,
            )
        )
        session.add(
            CorrectionRow(
                sop_instance_uid="1.9",
                study_uid="1",
                state=CorrectionState.HELD,
                calling_ae="VIEWER",
                called_ae="GLIOLOOP",
                received_at=2.0,
                path="nowhere.dcm",
                result_id=RESULT,
            )
        )
    monkeypatch.setattr(decisions, "Board", lambda _url: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(decisions, "start_again", lambda _site, _board, _row: "adapt:1.9:1")
    return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that says what is found in the SEG, and what happens meanwhile."""

    def call(meanwhile: Callable[[], object] = nullcontext, **found: str) -> None:
        facts = {"study_uid": "1", "patient_id": "P-1", "issuer": "", **found}

        def read(_path: Path, _what: str) -> Any:
            meanwhile()
            return SimpleNamespace(**facts)

        monkeypatch.setattr(confinement, "facts", read)

    return call


@pytest.mark.parametrize("issuer", ["", "HERE"])
def test_a_held_seg_of_the_patient_is_accepted(site: Site, opened: Any, issuer: str) -> None:
    opened(issuer=issuer)
    assert decisions.accept(site, "1.9", {"Segment 1": "edema"}) == "adapt:1.9:1"
    row = site.ledger.correction("1.9")
    assert (row.state, row.label_map) == ("learning", {"Segment 1": "edema"})


@pytest.mark.parametrize("found", [{"issuer": "ELSEWHERE"}, {"patient_id": "P-2"}])
def test_another_patients_seg_is_not_accepted(
    site: Site, opened: Any, found: dict[str, str]
) -> None:
    """An issuer that the SEG names counts, as where it is recognised."""
    opened(**found)
    with pytest.raises(RefusedError, match="the SEG is another patient's than the result"):
        decisions.accept(site, "1.9", {})
    assert site.ledger.correction("1.9").state == "held"


def test_a_seg_of_another_study_is_not_accepted(site: Site, opened: Any) -> None:
    """There is no report of it: it would be of the images of another study."""
    opened(study_uid="2")
    with pytest.raises(RefusedError, match="the SEG lies in study 2, the result in 1"):
        decisions.accept(site, "1.9", {})


def test_what_was_rejected_while_it_was_opened_stays_so(site: Site, opened: Any) -> None:
    opened(lambda: decisions.reject(site, "1.9"))
    with pytest.raises(RefusedError, match="is no longer held: it is rejected"):
        decisions.accept(site, "1.9", {})
    assert site.ledger.correction("1.9").state == "rejected"
