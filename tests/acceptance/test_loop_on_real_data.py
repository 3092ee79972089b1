"""The whole loop on a real patient: two dates after treatment, with an expert's outlines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.day import Day, complaints, is_in_place, on_grid, played
from glioloop.demo_day import algorithm_version
from glioloop.demo_studies import read_studies
from glioloop.ledger_schema import CorrectionState
from study.agreement import dice
from study.tissue import Tissue

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def day(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    patient = real_data / "longitudinal" / "PGBM-001"
    truth = patient / "19911119" / "MaskTumor"
    with played(tmp_path_factory.mktemp("real"), read_studies([patient]), truth) as day:
        yield day


def test_the_experts_masks_are_never_sent(day: Day) -> None:
    for study in day.studies:
        assert study.mask is not None
        described = [s.header.SeriesDescription for s in study.images]
        assert sorted(described) == ["FLAIR_reg", "T1post", "T1pre_reg", "T2_reg"]
        in_pacs = day.demo.orthanc.find(study.study_uid, "MR")
        assert len(in_pacs) == len(study.files)


def test_two_segs_are_in_the_pacs_at_the_right_place(
    day: Day, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for study in day.studies:
        encoded = day.ours(study)
        masks, grid = on_grid(encoded, study)
        assert is_in_place(masks, study.outlined(grid), grid)
        assert complaints(encoded, tmp_path_factory.mktemp("seg")) == ""


def test_the_correction_in_the_pacs_lies_where_the_expert_drew(day: Day) -> None:
    study = day.studies[0]
    orthanc = day.demo.orthanc
    [drawn] = [i for i in orthanc.find(study.study_uid, "SEG") if orthanc.sender(i) == "VIEWER"]
    masks, grid = on_grid(orthanc.file(drawn), study)
    expert = study.outlined(grid)[Tissue.ENHANCING]
    assert expert.any()
    assert dice(masks[Tissue.ENHANCING], expert) == 1.0


def test_the_second_names_the_adapted_model(day: Day) -> None:
    assert day.lesson is not None
    assert day.lesson.state == CorrectionState.ACCEPTED, day.lesson.reason
    assert algorithm_version(day.ours(day.studies[0])).endswith("head base")
    assert algorithm_version(day.ours(day.studies[1])).endswith(".1")


def test_dice_of_the_second_study_with_base_and_adapted_head(
    day: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints both, whatever they are: they say how good the model is, not whether the loop runs."""
    study = day.studies[1]
    images = tmp_path / "images"
    images.mkdir()
    for number, path in enumerate(study.files):
        shutil.copy(path, images / f"{number}.dcm")
    told = day.demo.service.run(
        "segment", str(images), "--out", str(tmp_path / "out"), "--base", "--json"
    )
    assert told.returncode == 0, told.stderr
    [report] = json.loads(told.stdout)
    base, grid = on_grid((Path(report["folder"]) / "seg.dcm").read_bytes(), study)
    adapted, _ = on_grid(day.ours(study), study)
    expert = study.outlined(grid)[Tissue.ENHANCING]
    scores = {name: dice(m[Tissue.ENHANCING], expert) for name, m in
              (("base", base), ("adapted", adapted))}  # fmt: skip
    with capsys.disabled():
        shown = ", ".join(f"{name} head {score:.3f}" for name, score in scores.items())
        print(f"\nPGBM-001, study 2, enhancing lesion, Dice with the expert: {shown}")  # noqa: T201
    assert all(0.0 <= score <= 1.0 for score in scores.values())
