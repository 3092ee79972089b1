"""A data folder of an earlier Glioloop keeps its patients' models."""

from __future__ import annotations

import json
from pathlib import Path

from glioloop import settings
from glioloop.model_import import take_over
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


def test_they_are_there_as_soon_as_the_site_is_opened(tmp_path: Path) -> None:
    write(tmp_path / "data" / "models")
    found = open_site(settings.load(data=tmp_path / "data"))
    assert found.models.patient(PETER).current == {"B1": 1}
