"""A store that is read-only, full, damaged or gone: one clear sentence, and nothing changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

from glioloop.models import BASE, ModelStore
from study.errors import FailedError, RefusedError
from study.patient import PatientKey

PETER = PatientKey("ab" * 32)


def given(store: ModelStore, seg: str, size: int = 1) -> int:
    made = store.accept(
        PETER,
        parent=BASE,
        backbone="B1",
        head={"weight": [[1.5] * size]},
        corrections=(seg,),
        metrics={},
        software="0.1.0",
    )
    return made.number


def test_a_read_only_store_is_read_and_not_written(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    given(store, "1.1")
    looking = ModelStore(f"sqlite:///file:{tmp_path / 'models.db'}?mode=ro&uri=true")
    assert looking.patient(PETER).current == {"B1": 1}
    with pytest.raises(FailedError, match="nothing was changed: it is read-only: give this"):
        given(looking, "1.2")
    assert [v.number for v in store.patient(PETER).versions] == [1]


def test_a_full_store_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    given(ModelStore(tmp_path), "1.1")
    store = ModelStore(tmp_path)

    @event.listens_for(store.database.engine, "connect")
    def _no_more_pages(connection, _record) -> None:
        connection.execute("pragma max_page_count=1")  # as many as there are

    store.close()
    with pytest.raises(FailedError, match="nothing was changed: its disk is full: free some space"):
        given(store, "1.2", size=100_000)
    assert [v.number for v in store.patient(PETER).versions] == [1]


WRITES_TOO_MUCH = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_model_database import given
from glioloop.models import ModelStore
from study.errors import FailedError
store = ModelStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    for number in range(100):
        given(store, f"1.{number}", size=10_000)
except FailedError as error:
    print(f"failed: {error}")
"""


def test_a_disk_that_takes_no_more_bytes_loses_nothing(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", WRITES_TOO_MUCH, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nothing was changed: its disk " in found.stdout
    store = ModelStore(tmp_path)
    known = store.patient(PETER)
    assert known.versions
    assert known.current == {"B1": known.versions[-1].number}
    assert given(store, "2.1") == known.versions[-1].number + 1


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "models.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(FailedError, match="the file is no database: put back a copy"):
        ModelStore(tmp_path)


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="it cannot be opened: look whether its folder exists"):
        ModelStore(f"sqlite:///{tmp_path / 'none' / 'models.db'}")


@pytest.mark.parametrize("url", ["mysql://x/y", "models.db", "", "sqlite"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(RefusedError, match="models_url begins with sqlite:/// or postgresql://"):
        ModelStore(url)


def test_a_server_that_is_down_says_so_and_not_its_password(free_port) -> None:
    with pytest.raises(FailedError, match="it cannot be reached") as failed:
        ModelStore(f"postgresql://glioloop:secret@127.0.0.1:{free_port()}/models")
    assert "secret" not in str(failed.value)
