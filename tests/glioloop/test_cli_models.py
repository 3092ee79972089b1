"""``glioloop models``: every command of docs/models.md runs, and a wrong input is one sentence."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file
from small_world import World, write_study

from glioloop import cli, settings
from glioloop.model_groups import key_of_group
from glioloop.models import ModelStore
from glioloop.site import Site, open_site
from study.patient import PatientKey

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (glioloop models .+)$", PAGE, re.M)
KEY = "5c1e0f2a"
"""Stands for a key in the page."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs a command in this process: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["glioloop", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "250")
        monkeypatch.setattr(cli, "hush_libraries", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


def test_every_command_of_the_page_runs(
    run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world.given = {"adaptation": {"groups": [{"name": "site"}]}}
    config = tmp_path / "glioloop.yaml"
    config.write_text(yaml.safe_dump({"data": str(world.settings.data), **world.given}))
    site = world.start().site
    study = write_study(world.folder / "in", PatientID="OLD-4711")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study, PatientID="OLD-4711")])
    world.until(lambda: list(site.models.patients()))
    (patient,) = site.models.patients()
    said = {}
    for command in COMMANDS:
        words = [patient.patient_key[:8] if w == KEY else w for w in shlex.split(command)[1:]]
        code, out, err = run(*words, "-c", config)
        assert (code, err) == (0, ""), command
        said[command.removeprefix("glioloop models ").replace(KEY, "KEY")] = out.strip()
        if words[1:3] == ["fit", "site"]:
            world.until(lambda: site.models.group("site").versions)
    name = f"patient {patient.patient_key[:8]}"
    assert len(said) == len(COMMANDS) == 14
    assert said["use KEY base"] == f"{name} uses base"
    assert said["use KEY 1"] == f"{name} uses {patient.name(1)}"
    assert said["use KEY auto"] == said["rollback KEY"] == f"{name} uses its group's head, or base"
    assert said["use KEY site"] == f"{name} uses site.1"
    assert "is forgotten, with" in said["forget KEY --yes"]
    assert "what was delivered to an archive stays there" in said["forget KEY --yes"]
    assert load_file(tmp_path / "exported" / "head.safetensors")["weight"].tolist() == [[1.0]]
    record = (tmp_path / "exported" / "head.json").read_text()
    assert json.loads(record)["corrections"] == 1
    for told in (study.uid, "OLD-4711", patient.patient_key[:8]):
        assert told not in record
    told = "".join(said.values())
    assert "4711" not in told


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site where nothing but a version of a patient and one of a group is."""
    monkeypatch.delenv("GLIOLOOP_CONFIG", raising=False)
    monkeypatch.setattr(Site, "manifest", lambda _site: {"backbone_sha256": "B1"})
    config = tmp_path / "glioloop.yaml"
    config.write_text(
        f"data: {tmp_path / 'data'}\nadaptation: {{groups: [{{name: site}}, {{name: trial-7}}]}}\n"
    )
    found = open_site(settings.load(config))
    for key, group in ((PatientKey("ab" * 32), ""), (key_of_group("site"), "site")):
        found.models.accept(
            key, parent=0, backbone="B1", head={"weight": [[1.0]]}, corrections=("1.9",),
            metrics={}, software="0.1.0", group=group,
        )  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "cd"], "no patients with a model have a key that begins with 'cd'"),
        (["show", "OLD-1", "--id"], "nothing is known of a patient with that Patient ID and"),
        (["show", "ANON", "--id"], "stands for nobody"),
        (["show", "abab", "--issuer", "X"], "--issuer goes with a Patient ID: give --id too"),
        (["use", "abab", "7"], "patient abababab has no model version 7, only [1]"),
        (["use", "abab", "trial-7"], "group trial-7 has no head for backbone B1"),
        (["use", "abab", "nonsense"], "group nonsense has no head"),
        (["use", "site", "trial-7"], "a group uses base, auto or the number of a version"),
        (["rollback", "trial-7"], "group trial-7 uses no version of its own: nothing to undo"),
        (["export", "trial-7", "--out", "x"], "group trial-7 uses no version of its own"),
        (["export", "abab", "--out", "x", "--version", "3"], "has no model version 3"),
        (["merge", "ANON", "NEW-1"], "stands for nobody"),
        (["merge", "OLD-1", "NEW-1"], "nothing is known of a patient with that Patient ID"),
        (["merge", "OLD-1", "OLD-1"], "one Patient ID of one issuer"),
        (["split", "OLD-1", "NEW-1"], "was not merged into"),
        (["forget", "cd", "--yes"], "no patients with a model"),
        (["fit", "abab"], "there are no jobs yet"),
    ],
)
def test_a_wrong_input_is_one_sentence(
    run: Run, site: Site, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    code, out, err = run("models", *arguments, "-c", tmp_path / "glioloop.yaml")
    assert (code, out) == (2, "")
    assert err.startswith("glioloop: ")
    assert err.count("\n") == 1
    assert sentence in err
    assert "OLD-1" not in err


def test_groups_and_json(run: Run, site: Site, tmp_path: Path) -> None:
    def told(*arguments: str) -> object:
        code, out, err = run("models", *arguments, "--json", "-c", tmp_path / "glioloop.yaml")
        assert (code, err) == (0, "")
        return json.loads(out)

    rows = told("list")
    assert {row["patient"] for row in rows} == {"abababab", "site"}  # type: ignore[attr-defined]
    assert told("use", "abab", "site") == {"uses": "site.1"}
    assert told("use", "abab", "AUTO") == {"uses": "its group's head, or base"}
    assert told("use", "abab", "1") == {"uses": "abababab.1"}
    assert told("use", "site", "base") == {"uses": "base"}
    assert told("rollback", "ab" * 32) == {"uses": "its group's head, or base"}
    assert told("forget", "site", "--yes") == {"versions": 1}
    shown = told("show", "abab")
    assert [row["action"] for row in shown["audit"]] == ["use", "use", "use", "rollback"]  # type: ignore[index]
    assert ModelStore(tmp_path / "data" / "models").group("site").versions == ()


def test_a_group_is_not_forgotten_without_a_word(
    run: Run, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, out, _ = run("models", "forget", "site", "-c", tmp_path / "glioloop.yaml")
    assert code != 0
    assert "Forget group site: all its versions?" in out
    assert len(site.models.group("site").versions) == 1
