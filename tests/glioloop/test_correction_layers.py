"""Files of one series that are one correction: what they teach, and what they taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_dicom import ARRIVED_SEG as SEG

from glioloop import confinement, decisions, model_networks, model_refits, settings
from glioloop.corrections import Corrections
from glioloop.delivery import Deliveries
from glioloop.ledger_schema import CorrectionState
from glioloop.model_refits import AGAIN, Refits
from glioloop.site import Site, open_site
from study.errors import HeldError
from study.patient import PatientKey

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

KEY = PatientKey("ab" * 32)
FIT = {"accepted": True, "reason": "accepted", "head": {"weight": [[1.0]]}, "metrics": {}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A layer that was learnt from, and a newer file of its series that is not yet."""
    monkeypatch.setattr(Site, "manifest", lambda _site: {"backbone_sha256": "B1"})
    monkeypatch.setattr(model_networks, "keep", lambda _site: None)
    monkeypatch.setattr(model_refits, "fit_head", lambda *_: FIT)
    made = open_site(settings.load(data=tmp_path / "data"))
    for number, state in ((1, CorrectionState.ACCEPTED), (2, CorrectionState.LEARNING)):
        uid = f"1.9.{number}"
        made.ledger.enter(
            replace(
                SEG,
                sop_instance_uid=uid,
                received_at=float(number),
                path=tmp_path / f"{number}.dcm",
                sha256=str(number),
            )
        )
        made.ledger.set_correction(uid, state=state, result_id="0" * 32, patient_key=KEY)
    return made


def taught(site: Site) -> list[tuple[str, ...]]:
    """Corrections of each version of the patient's head."""
    return [version.corrections for version in site.models.patient(KEY).versions]


def test_a_head_that_a_layer_taught_is_let_go_with_it(site: Site) -> None:
    Corrections(site, Deliveries(site)).learn("1.9.2")
    assert taught(site) == [("1.9.1", "1.9.2")]
    assert site.models.patient(KEY).current == {"B1": 1}
    decisions._point_elsewhere(site, KEY, {"1.9.1"})
    assert site.models.patient(KEY).current == {}


def test_a_layer_that_is_withdrawn_while_it_is_learnt_has_it_learnt_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(_site: Site, _rows: object, _current: object = None) -> dict[str, Any]:
        site.ledger.set_correction("1.9.1", state=CorrectionState.WITHDRAWN)
        return FIT

    monkeypatch.setattr(model_refits, "fit_head", fit)
    corrections = Corrections(site, Deliveries(site))
    assert corrections.learn("1.9.2") == {"state": AGAIN}
    assert corrections.learn("1.9.2") == {"state": "accepted"}
    assert taught(site) == [("1.9.2",)]


def test_a_head_that_is_fitted_again_is_taught_by_layers_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.ledger.set_correction("1.9.2", state=CorrectionState.NOT_BETTER)
    assert Refits(site).fit(KEY)["state"] == "accepted"
    assert taught(site) == [("1.9.1", "1.9.2")]

    def fit(_site: Site, _rows: object, _current: object = None) -> dict[str, Any]:
        site.ledger.set_correction("1.9.1", state=CorrectionState.WITHDRAWN)
        return FIT

    monkeypatch.setattr(model_refits, "fit_head", fit)
    assert Refits(site).fit(KEY)["state"] == AGAIN


def test_an_older_file_that_is_accepted_after_a_newer_one_is_no_failure(site: Site) -> None:
    site.ledger.set_correction("1.9.1", state=CorrectionState.LEARNING)
    site.ledger.set_correction("1.9.2", state=CorrectionState.ACCEPTED)
    assert Corrections(site, Deliveries(site)).learn("1.9.1")["state"] == "accepted"


def test_what_a_file_says_stays_out_of_the_record_of_a_fit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outline(_lesson: object, _what: str) -> None:
        raise HeldError("nothing says what its segment 1 is (label 'Wombat')")

    monkeypatch.undo()
    monkeypatch.setattr(Site, "manifest", lambda _site: {"backbone_sha256": "B1"})
    monkeypatch.setattr(model_refits, "_lesson", lambda _site, _row: {})
    monkeypatch.setattr(confinement, "outline", outline)
    assert Corrections(site, Deliveries(site)).learn("1.9.2") == {"state": "held"}
    assert "Wombat" in site.ledger.correction("1.9.2").reason
    outcome = Refits(site).fit(KEY)
    assert outcome == {"state": "not fitted", "reason": "SEG 1.9.1 cannot be read"}
