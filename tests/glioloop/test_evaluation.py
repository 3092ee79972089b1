"""Tests of `glioloop.evaluation`; the pipeline is a stand-in."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from engine.network import NetworkConfig
from engine.weights import Manifest, shipped
from glioloop import cli, evaluation, evaluation_adaptation
from glioloop.cases import Case
from glioloop.evaluation import append, model_folders, score_case, table_of
from glioloop.evaluation_adaptation import Transfer
from glioloop.kept import Kept
from glioloop.networks import Networks, Options
from glioloop.pipeline import Segmentation
from glioloop.scores import compare
from study.errors import HeldError, RefusedError
from study.tissue import Role
from study.volume import Geometry, Volume

GEOMETRY = Geometry((6, 8, 10), np.diag([1.0, 1.0, 1.0, 1.0]), "1.2")


def manifest(classes: int, spacing: float, digit: str) -> Manifest:
    return Manifest(
        "m", "7", NetworkConfig(3, classes, (4, 8)), spacing, "n", ("x",) * classes,
        backbone_sha256=digit * 64, weights_sha256=digit * 64,
    )  # fmt: skip


NETWORKS = Networks(
    manifest(4, 2.0, "a"), None, SimpleNamespace(precision="f32"), manifest(3, 3.3, "b"), None
)


@pytest.fixture
def case() -> Case:
    image = np.random.default_rng(0).uniform(1, 2, GEOMETRY.shape).astype(np.float32)
    volumes = {role: Volume(image, GEOMETRY) for role in Role}
    mask = np.zeros(GEOMETRY.shape, bool)
    mask[2, 3, 3:5] = True
    return Case("X 1999", volumes, {"enhancing": mask})


@pytest.fixture
def perfect(case: Case, monkeypatch: pytest.MonkeyPatch) -> Case:
    """The pipeline answers with the truth."""
    labels = np.where(case.truth["enhancing"], 3, 0).astype(np.uint8)
    brain = np.zeros(GEOMETRY.shape, bool)
    brain[1:5, 1:7, 1:9] = True
    kept = Kept(np.zeros((3, *GEOMETRY.shape), np.float16), brain, GEOMETRY, GEOMETRY)
    matrices = {role: np.eye(4) for role in Role}
    made = Segmentation(Volume(labels, GEOMETRY), kept, {"a": 1.0, "b": 2.0}, {}, matrices)
    monkeypatch.setattr(evaluation, "segment_volumes", lambda *_args, **_named: made)
    return case


def run(arguments: list[str], case: Case, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of ``glioloop evaluate``."""
    monkeypatch.setattr(evaluation, "read_cases", lambda _path: [case])
    monkeypatch.setattr(evaluation, "load_networks", lambda *_args: NETWORKS)
    monkeypatch.setattr(sys, "argv", ["glioloop", "evaluate", "DATA", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_case_has_its_seconds_and_the_volume_of_its_brain(perfect: Case) -> None:
    score = score_case(perfect, NETWORKS, Options())
    assert score.regions["enhancing"].dice == 1.0
    assert score.seconds == 3.0
    assert score.brain_ml == pytest.approx(4 * 6 * 8 / 1000)
    assert score.problem == ""


def test_a_picture_is_drawn_of_each_case(perfect: Case, tmp_path: Path) -> None:
    score_case(perfect, NETWORKS, Options(), tmp_path / "pictures")
    with Image.open(tmp_path / "pictures" / "X_1999.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[1] > pixels.shape[0] > 300
    for colour in ((53, 196, 240), (255, 74, 61)):  # brain mask; found
        assert (np.abs(pixels - colour).sum(axis=2) < 30).sum() > 20


@pytest.mark.parametrize("kind", [HeldError, RefusedError])
def test_a_case_that_is_not_segmented_counts_as_an_empty_outline(
    case: Case, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def refuse(*_args: object, **_named: object) -> None:
        raise kind("no brain was found")

    monkeypatch.setattr(evaluation, "segment_volumes", refuse)
    score = score_case(case, NETWORKS, Options())
    assert score.problem == "no brain was found"
    assert score.regions["enhancing"].dice == 0.0


def test_the_table_has_cases_means_and_what_overall_means(perfect: Case) -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table_of([score_case(perfect, NETWORKS, Options())]))
    text = captured.get()
    assert "mean Dice of the regions that somebody outlined" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["X", "1999", "overall", "1.00", "3"] in rows
    assert ["enhancing", "1.00", "0.0", "0.0", "0.0", "0/0", "0"] in rows
    assert ["mean", "overall", "1.00"] in rows


def test_every_evaluation_is_kept_in_the_folder_one_works_in(
    perfect: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["--json"], perfect, monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    assert run(["--mode", "quality"], perfect, monkeypatch) == 0
    lines = [json.loads(t) for t in (tmp_path / "evaluations.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    assert lines[0] == printed
    assert (printed["backbone"], printed["brain_weights"]) == ("a" * 12, "b" * 12)
    assert printed["options"] == {"mode": "standard", "passes": "coarse"}
    assert lines[1]["options"]["mode"] == "quality"
    assert printed["mean_dice"] == {"overall": 1.0, "enhancing": 1.0}


def test_nothing_is_kept_where_nothing_shall_be(
    perfect: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["--no-log"], perfect, monkeypatch) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_is_said_before_the_work(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(evaluation, "score_case", lambda *_: pytest.fail("worked"))
    log = tmp_path / "missing" / "log.jsonl"
    assert run(["--log", str(log)], case, monkeypatch) == 2
    assert "name another file with --log" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(RefusedError, match="cannot be kept"):
        append(log, {"at": "now"})


def test_a_fine_pass_of_a_model_for_coarse_grids_is_refused(
    perfect: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert run(["--passes", "both", "--no-log"], perfect, monkeypatch) == 2
    assert "was trained on 2 mm and coarser" in capsys.readouterr().err


def test_a_model_is_a_folder_of_its_own_or_beside_a_brain_model(tmp_path: Path) -> None:
    alone, both = tmp_path / "alone", tmp_path / "both"
    alone.mkdir()
    (alone / "manifest.json").touch()
    (both / "brain").mkdir(parents=True)
    assert model_folders(None, None) == (shipped("base"), shipped("brain"))
    assert model_folders(alone, None) == (alone, shipped("brain"))
    assert model_folders(alone, both) == (alone, both)
    assert model_folders(both, None) == (both / "base", both / "brain")
    assert model_folders(tmp_path / "other", None) == (
        tmp_path / "other" / "base",
        shipped("brain"),
    )


def test_adaptation_is_judged_and_kept_likewise(
    perfect: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    region = compare(perfect, np.zeros(GEOMETRY.shape, np.uint8))
    one = Transfer("X 1998", "X 1999", True, "accepted: it is better", region, region)
    monkeypatch.setattr(evaluation, "load_prior", lambda _folder, _backbone: None)
    monkeypatch.setattr(evaluation_adaptation, "transfers", lambda *_args: iter([one]))
    monkeypatch.chdir(tmp_path)
    assert run(["--adaptation", "--json"], perfect, monkeypatch) == 0
    printed = capsys.readouterr()
    assert "X 1998, judged at X 1999: accepted: it is better" in printed.err
    answer = json.loads(printed.out)
    assert answer["transfers"][0]["base"]["enhancing"]["hausdorff95_mm"] is None
    assert answer["model"] == "7"
    assert json.loads(Path("evaluations.jsonl").read_text()) == answer


def test_pictures_are_not_drawn_of_adaptation(
    perfect: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["--adaptation", "--pictures", "p"], perfect, monkeypatch) == 2
    assert "leave out --adaptation" in capsys.readouterr().err
