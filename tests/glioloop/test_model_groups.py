"""Groups: which studies belong to one, and whose head a patient gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from glioloop import settings
from glioloop.model_groups import groups_of, key_of_group
from glioloop.models import BASE, ModelStore, Used
from study.errors import RefusedError
from study.patient import PatientKey

PETER, PAULA = PatientKey("ab" * 32), PatientKey("cd" * 32)


def given(store: ModelStore, seg: str, *, group: str = "", patient: PatientKey = PETER) -> int:
    made = store.accept(
        key_of_group(group) if group else patient,
        parent=BASE,
        backbone="B1",
        head={"weight": [[float(len(seg))]]},
        corrections=(seg,),
        metrics={},
        software="0.1.0",
        group=group,
    )
    return made.number


def name(used: Used | None) -> str:
    return used.name if used else "base"


def test_own_head_then_the_first_group_with_one_then_base(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    groups = ["trial-7", "skyra", "site"]
    assert name(store.used(PETER, "B1", groups)) == "base"
    given(store, "1.1", group="site")
    assert name(store.used(PETER, "B1", groups)) == "site.1"
    given(store, "1.22", group="skyra")
    used = store.used(PETER, "B1", groups)
    assert name(used) == "skyra.1"
    assert used is not None
    assert (used.owner, used.version.head) == (key_of_group("skyra"), {"weight": [[4.0]]})
    given(store, "1.333")
    assert name(store.used(PETER, "B1", groups)) == "abababab.1"
    assert name(store.used(PAULA, "B1", groups)) == "skyra.1"
    assert name(store.used(PAULA, "B1")) == "base"
    assert name(store.used(PAULA, "B2", groups)) == "base"


def test_a_person_chooses_base_a_version_a_group_or_nothing(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1", group="site")
    given(store, "1.22", group="trial-7")
    given(store, "1.333")
    store.use(PETER, BASE, "B1")
    assert name(store.used(PETER, "B1", ["site"])) == "base"
    store.use_group(PETER, "trial-7", "B1")
    assert name(store.used(PETER, "B1", ["site"])) == "trial-7.1"
    assert store.patient(PETER).groups == {"B1": "trial-7"}
    store.use_nothing(PETER, "B1")
    assert name(store.used(PETER, "B1", ["site"])) == "site.1"
    store.use(PETER, 1, "B1")
    assert name(store.used(PETER, "B1", ["site"])) == "abababab.1"
    # A group that goes back to the base head takes its patients along.
    store.use_group(PETER, "trial-7", "B1")
    store.rollback(key_of_group("trial-7"), "B1")
    assert name(store.used(PETER, "B1", ["site"])) == "base"


def test_a_group_without_a_head_cannot_be_used(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(RefusedError, match="group trial-7 has no head for backbone B1"):
        store.use_group(PETER, "trial-7", "B1")
    given(store, "1.1", group="trial-7")
    with pytest.raises(RefusedError, match="no head for backbone B2"):
        store.use_group(PETER, "trial-7", "B2")
    assert store.group("trial-7").title == "group trial-7"
    assert store.group("nobody").versions == ()


def header(**values: str) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def test_a_study_belongs_to_the_groups_whose_patterns_all_fit(tmp_path: Path) -> None:
    path = tmp_path / "glioloop.yaml"
    path.write_text(
        "adaptation:\n  groups:\n"
        "  - {name: trial-7, trials: ['GLIO-7*']}\n"
        "  - {name: skyra, scanners: ['skyra*'], calling_aes: [MR1, MR2]}\n"
        "  - {name: upstairs, stations: [AWP4711]}\n"
        "  - {name: site}\n"
    )
    groups = settings.load(path).adaptation.groups
    assert groups_of(header(), "MR1", groups) == ["site"]
    skyra = header(ManufacturerModelName="Skyra_fit")
    assert groups_of(skyra, "MR2", groups) == ["skyra", "site"]
    assert groups_of(skyra, "MR3", groups) == ["site"]
    in_trial = header(ClinicalTrialProtocolID="GLIO-7b", StationName="AWP4711 ")
    assert groups_of(in_trial, "X", groups) == ["trial-7", "upstairs", "site"]
    assert groups_of(in_trial, "X", ()) == []


@pytest.mark.parametrize("wrong", ["base", "auto", "12", "cafe", "Site", "a b", ""])
def test_a_group_is_not_called_like_a_version_or_a_key(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "glioloop.yaml"
    path.write_text(f"adaptation:\n  groups:\n  - {{name: '{wrong}'}}\n")
    with pytest.raises(RefusedError, match=r"adaptation\.groups\.0\.name"):
        settings.load(path)
