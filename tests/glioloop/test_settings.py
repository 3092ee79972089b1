"""Settings: one closed tree, no secret shown, nothing guessed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from glioloop import settings
from glioloop.settings_page import document
from study.errors import RefusedError

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GLIOLOOP_CONFIG", "GLIOLOOP_LISTENER__PORT"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "glioloop.yaml"
    path.write_text(text)
    return path


def test_the_defaults_are_those_of_the_design() -> None:
    found = settings.load()
    assert (found.listener.port, found.listener.ae_title) == (11112, "GLIOLOOP")
    assert found.listener.learn_ae_title == "GLIOLOOP_LEARN"
    assert (found.web.host, found.web.port) == ("127.0.0.1", 8043)
    assert found.completeness.quiet_seconds == 20
    assert found.completeness.incomplete_after_minutes == 15
    assert found.adaptation.wait_minutes == 2
    delivery = found.delivery
    assert (delivery.first_pause_seconds, delivery.longest_pause_minutes) == (5, 15)
    assert delivery.park_after_hours == 72


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "listener: {port: 1}\nnode: here")
    monkeypatch.setenv("GLIOLOOP_LISTENER__PORT", "77")
    found = settings.load(path)
    assert (found.listener.port, found.node) == (77, "here")


def test_a_file_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIOLOOP_CONFIG", str(written(tmp_path, "node: there")))
    assert settings.load().node == "there"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("listener: {prot: 104}", "listener.prot"),
        ("listner: {port: 104}", "listner"),
        ("listener: {port: 70000}", "listener.port"),
        ("listener: {ae_title: SEVENTEEN_LETTERS}", "listener.ae_title"),
        ("listener: {ae_title: 'BACK\\SLASH'}", "listener.ae_title"),
        ("destinations: [{name: pacs, host: there, port: 104}]", "destinations.0.ae_title"),
        ("inference: {mode: slow}", "inference.mode"),
    ],
)
def test_what_is_unknown_or_impossible_is_refused_by_name(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(RefusedError, match=named.replace(".", r"\.")):
        settings.load(written(tmp_path, text))


def test_an_unknown_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIOLOOP_LISTNER__PORT", "104")
    with pytest.raises(RefusedError, match="GLIOLOOP_LISTNER__PORT, which is no setting"):
        settings.load()


def test_a_file_that_is_no_yaml_is_refused_without_quoting_it(tmp_path: Path) -> None:
    path = written(tmp_path, "site_secret: [hush\n")
    with pytest.raises(RefusedError, match="not readable YAML") as caught:
        settings.load(path)
    assert "hush" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="there is no settings file"):
        settings.load(tmp_path / "none.yaml")


def test_a_wrong_value_beside_a_secret_does_not_show_the_secret(tmp_path: Path) -> None:
    path = written(tmp_path, "site_secret: hush\nlistener: {port: many}")
    with pytest.raises(RefusedError, match=r"listener\.port") as caught:
        settings.load(path)
    assert "hush" not in str(caught.value)
    assert "many" not in str(caught.value)


def test_secrets_are_masked_when_settings_are_shown() -> None:
    found = settings.load(site_secret="hush")  # noqa: S106
    assert "hush" not in repr(found)
    assert settings.secret_of_site(found) == b"hush"


def test_the_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush\n")
    found = settings.load(data=tmp_path / "data", site_secret_file=file)
    assert settings.secret_of_site(found) == b"hush"
    assert not (tmp_path / "data").exists()

    file.write_text("\n")
    with pytest.raises(RefusedError, match="is empty; it holds the secret"):
        settings.secret_of_site(found)
    file.unlink()
    with pytest.raises(RefusedError, match=r"cannot be read \(FileNotFoundError\)"):
        settings.secret_of_site(found)


def test_settings_cannot_be_changed() -> None:
    found = settings.load()
    with pytest.raises(ValidationError, match="frozen"):
        found.listener.port = 104  # type: ignore[misc]


def test_the_secret_is_created_once_for_its_owner_alone(tmp_path: Path) -> None:
    found = settings.load(data=tmp_path)
    first = settings.secret_of_site(found)
    assert len(first) == 64
    assert settings.secret_of_site(found) == first
    assert stat.S_IMODE((tmp_path / "site-secret").stat().st_mode) == 0o600


def test_every_setting_is_documented_as_it_is() -> None:
    assert PAGE.read_text() == document(), "run `python -m glioloop.settings_page`"
    assert "| `None` |" not in document()
    assert "| None |" not in document()


def test_a_training_is_alone_unless_torchrun_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert settings.launched() == settings.Launch(0, 1, 0, "127.0.0.1", 29500)
    said = {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "node",
        "MASTER_PORT": "1",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert settings.launched() == settings.Launch(5, 8, 1, "node", 1)
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(RefusedError, match="are whole numbers, as torchrun sets them"):
        settings.launched()
