"""A data folder of an earlier Glioloop keeps its patients' models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_world import World

from glioloop.model_import import files_of, take_over
from glioloop.models import ModelStore
from glioloop.site import open_site
from study.patient import PatientKey

PETER = PatientKey("ab" * 32)


def write(folder: Path) -> Path:
    """Two versions, the first one in use."""
    versions = [
        {
            "number": number,
            "parent": number - 1,
            "backbone": "B1",
            "head": {"weight": [[float(number)]]},
            "corrections": [f"1.{number}"],
            "metrics": {},
            "software": "0.1.0",
            "created_at": 1.0,
        }
        for number in (1, 2)
    ]
    path = folder / "ab" / f"{PETER}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"versions": versions, "current": {"B1": 1}}))
    return path


def test_models_of_files_are_entered_once_and_kept(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    store = ModelStore(tmp_path)
    assert take_over(tmp_path, store) == 1
    known = store.patient(PETER)
    assert [(v.number, v.parent, v.corrections) for v in known.versions] == [
        (1, 0, ("1.1",)),
        (2, 1, ("1.2",)),
    ]
    assert known.current == {"B1": 1}
    assert path.with_suffix(".json.entered").read_bytes() == content
    # As after a crash before the file was marked.
    path.with_suffix(".json.entered").rename(path)
    assert take_over(tmp_path, store) == 1
    assert store.patient(PETER) == known
    assert take_over(tmp_path, store) == 0


def test_they_are_there_when_the_service_has_started_and_not_before(world: World) -> None:
    write(world.folder / "data" / "models")
    assert open_site(world.settings).models.patient(PETER).versions == ()
    site = world.start().site
    assert site.models.patient(PETER).current == {"B1": 1}
    assert [v.created_at for v in site.models.patient(PETER).versions] == [1.0, 1.0]


@pytest.mark.parametrize(
    "content",
    [
        '{"versions": [{"num',
        "[]",
        '{"versions": []}',
        '{"versions": [{"number": 1}], "current": {}}',
        '{"versions": [], "current": {"B1": 1}}',
        '{"versions": [], "current": []}',
    ],
)
def test_a_damaged_file_stops_nobody_and_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    good = write(tmp_path)
    bad = tmp_path / "cd" / f"{'cd' * 32}.json"
    bad.parent.mkdir()
    bad.write_text(content)
    others = [tmp_path / "ef" / name for name in ("no key.json", "efef.json")]
    others[0].parent.mkdir()
    for other in others:
        other.write_bytes(good.read_bytes())
    store = ModelStore(tmp_path)
    assert take_over(tmp_path, store) == 1
    assert bad.read_text() == content
    assert all(other.is_file() for other in others)
    assert [models.patient_key for models in store.patients()] == [PETER]
    assert "the earlier models of patient cdcdcdcd were not taken over" in caplog.text
    assert "cd" * 5 not in caplog.text


def test_a_file_that_another_process_took_over_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path)
    store = ModelStore(tmp_path)
    use = store.use

    def use_while_another_does(*given: Any) -> None:
        use(*given)
        path.rename(path.with_suffix(".json.entered"))

    monkeypatch.setattr(store, "use", use_while_another_does)
    assert take_over(tmp_path, store) == 0
    assert store.patient(PETER).current == {"B1": 1}


def test_the_files_of_a_patient_are_found_entered_or_not(tmp_path: Path) -> None:
    path = write(tmp_path / "models")
    entered = path.with_suffix(".json.entered")
    entered.write_text("{}")
    (path.parent / f"{'ab' * 31}ac.json").write_text("{}")
    assert sorted(files_of(tmp_path, PETER)) == [path, entered]
    assert list(files_of(tmp_path, PatientKey("cd" * 32))) == []
