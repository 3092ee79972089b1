"""The page's files: nothing else is served, nothing of elsewhere runs in it, and its words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_site import WebSite, open_web

from glioloop import web_desk
from glioloop.ledger_schema import CorrectionState, StudyState
from glioloop.study_view import CORRECTED, PHASES
from study.errors import RefusedError

DESK = Path(str(web_desk.FOLDER))
EXPLORER = Path(__file__).parents[2] / "orthanc" / "explorer.js"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSite]:
    with open_web(tmp_path / "data") as opened:
        yield opened


def test_the_page_and_its_files_are_served_with_a_strict_policy(web: WebSite) -> None:
    page = web.client.get("/desk/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"] == (
        "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
    for name in ("page.js", "desk.css"):
        assert web.client.get(f"/desk/{name}").status_code == 200
    # Nothing in it needs what the policy refuses.
    assert "<script>" not in page.text
    assert "style=" not in page.text


@pytest.mark.parametrize("name", ["missing.js", "..%2fsettings.py", "..%2f__init__.py", "a%00.js"])
def test_nothing_else_is_served(web: WebSite, name: str) -> None:
    assert web.client.get(f"/desk/{name}").status_code == 404


def test_another_language_takes_the_place_of_english(tmp_path: Path) -> None:
    other = tmp_path / "texts.json"
    other.write_text(json.dumps({"language": "de", "segment": "Gliom segmentieren"}))
    with open_web(tmp_path / "data", texts_file=other) as web:
        found = web.client.get("/desk/texts.json").json()
    assert (found["language"], found["segment"]) == ("de", "Gliom segmentieren")
    assert found["accept"] == "Accept"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "cannot be read as JSON"),
        ('{"segment": 3}', "no object of texts"),
        ("[]", "no object of texts"),
        ('{"sgement": "x"}', "texts that are not asked for: ['sgement']"),
    ],
)
def test_a_file_of_texts_that_cannot_be_used_is_refused(
    tmp_path: Path, content: str, sentence: str
) -> None:
    other = tmp_path / "texts.json"
    other.write_text(content)
    with pytest.raises(RefusedError) as refused:
        web_desk.texts(other)
    assert sentence in str(refused.value)


def test_every_text_that_the_pages_ask_for_is_there_and_no_other() -> None:
    texts = web_desk.texts()
    scripts = "\n".join(path.read_text() for path in [*DESK.glob("*.js"), EXPLORER])
    asked = {text for text in texts if f'"{text}"' in scripts or f"'{text}'" in scripts}
    asked |= {text for text in texts if text.startswith(("phase ", "seg ", "tissue "))}
    assert set(texts) == asked
    named = set(re.findall(r'(?:words|button|facts|table)\("([a-z_]+)"', scripts))
    named |= set(re.findall(r"say\('([a-z_]+)'", scripts))
    assert named - set(texts) == set()


def test_every_state_has_its_words() -> None:
    texts = web_desk.texts()
    phases = {*PHASES.values(), *CORRECTED.values(), "unknown", "sending", "not delivered"}
    assert {f"phase {name}" for name in (*phases, *StudyState)} - set(texts) == set()
    assert {f"seg {name}" for name in CorrectionState} - set(texts) == set()
