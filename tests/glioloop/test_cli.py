"""The command line: one clear sentence and exit code 2 for a wrong input, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_world import World, write_study

from glioloop import cli


class Answer:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """A function that runs a command in this process."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["glioloop", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "250")
        # It is for a process of its own, and would hush the tests that follow.
        monkeypatch.setattr(cli, "hush_libraries", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "glioloop.yaml"
    path.write_text(f"data: {tmp_path / 'data'}\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["jobs", "list", "-c", "none.yaml"], "there is no settings file none.yaml"),
        (["identify", "nowhere"], "there is no file or folder nowhere"),
        (["segment", "nowhere", "--out", "x"], "there is no file or folder nowhere"),
        (["learn", "nowhere.dcm", "--images", "x"], "there is no file nowhere.dcm"),
        (["train", "--out", "x"], "there is nothing to train on"),
        (["train", "--out", "x", "--data", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_a_wrong_input_is_one_sentence(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run(*arguments)
    assert found.code == 2
    assert found.err.strip().splitlines()[-1].startswith("glioloop: ")
    assert sentence in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize("name", ["jobs", "corrections", "models"])
def test_looking_where_glioloop_never_ran_says_so(run, config: Path, name: str) -> None:
    found = run(name, "list", "-c", config)
    assert found.code == 2
    assert "did it ever run?" in found.err


def test_unknown_commands_and_options_are_usage_errors(run) -> None:
    assert run("segmnet").code == 2
    assert run("jobs", "list", "--jsn").code == 2


def test_a_folder_without_images_says_what_it_found(run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no DICOM")
    found = run("identify", tmp_path)
    assert found.code == 2
    assert "is a readable DICOM image" in found.err


def test_version_is_printed(run) -> None:
    found = run("version")
    assert (found.code, found.out.strip()) == (0, "0.1.0")


def test_identify_prints_json_for_each_study(run, tmp_path: Path) -> None:
    study = write_study(tmp_path / "in")
    found = run("identify", tmp_path / "in", "--json")
    told = json.loads(found.out)
    assert told[study.uid]["chosen"] == {
        "FLAIR": f"{study.uid}.1",
        "T1GD": f"{study.uid}.2",
        "T2": f"{study.uid}.3",
    }


def test_what_a_running_service_does_is_seen_and_decided(run, world: World, config: Path) -> None:
    service = world.start()
    study = write_study(world.folder / "in")
    world.send(study.every("T1GD", "T2"))
    world.until_state(study, "held")
    world.until(lambda: '"held"' in run("jobs", "list", "--json", "-c", config).out)
    listed = json.loads(run("jobs", "list", "--json", "-c", config).out)
    (job,) = [job for job in listed if job["study_uid"]]  # the others deliver the answer
    assert "FLAIR is missing" in job["note"]
    assert "FLAIR is missing" in run("jobs", "list", "-c", config).out
    shown = json.loads(run("jobs", "show", job["id"], "-c", config).out)
    assert shown["steps"][0] == "plan"
    refused = run("jobs", "retry", job["id"], "--as", "T2", "-c", config)
    assert (refused.code, "NAME=VALUE is needed, not" in refused.err) == (2, True)
    assert run("jobs", "show", "infer:9", "-c", config).code == 2
    world.send(study.every("FLAIR"))
    world.until_state(study, "delivered")
    assert run("jobs", "retry", job["id"], "-c", config).code == 0
    world.until(lambda: len(world.archived) == 2)
    assert service.site.ledger.results(study.uid)[0].request == 1


def test_a_held_seg_is_accepted_or_rejected_by_a_person(run, world: World, config: Path) -> None:
    service = world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study)])
    world.until(lambda: service.site.ledger.corrections("accepted"))  # type: ignore[arg-type]
    (row,) = json.loads(run("corrections", "list", "--json", "-c", config).out)
    uid = row["sop_instance_uid"]
    assert row["state"] == "accepted"
    assert "is not held" in run("corrections", "reject", uid, "-c", config).err
    assert "is not held" in run("corrections", "accept", uid, "-c", config).err
    assert run("corrections", "accept", "1.9", "-c", config).code == 2
    service.site.ledger.set_correction(uid, state="held", reason="to be sure")
    unknown = run("corrections", "accept", uid, "--map", "Edema=swelling", "-c", config)
    assert "'swelling' is no tissue" in unknown.err
    assert run("corrections", "reject", uid, "-c", config).code == 0
    assert run("corrections", "accept", uid, "--map", "Edema=edema", "-c", config).code == 0
    world.until(lambda: len(world.network.lessons) == 2)
    assert world.network.lessons[1][0]["label_map"] == {"Edema": "edema"}
    assert world.network.lessons[1][0]["looked_at"] is True


def test_looking_at_jobs_does_not_load_the_network() -> None:
    script = (
        "import sys; from glioloop import cli; cli.build(['jobs', 'list']);"
        "sys.exit(sorted({'torch', 'openvino', 'SimpleITK', 'highdicom'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_service_does_not_load_the_network() -> None:
    script = (
        "import sys; import glioloop.service;"
        "sys.exit(sorted({'torch', 'openvino', 'SimpleITK', 'highdicom'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
