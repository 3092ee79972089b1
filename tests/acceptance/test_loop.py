"""The whole loop on the phantom patient, through real ports, with a real Orthanc and storescu."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from acceptance.day import Day, complaints, is_in_place, on_grid, played
from acceptance.patients import both_dates
from acceptance.scene import wait_for
from glioloop.demo_day import algorithm_version
from glioloop.demo_studies import phantom_studies
from glioloop.ledger_schema import CorrectionState

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


KINDS = {"SR": "ComprehensiveSR", "OT": "SCImage"}
"""What dciodvfy calls reports and pictures."""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    with played(folder, phantom_studies(list(both_dates(folder / "phantom")))) as day:
        yield day


def test_each_study_gets_one_seg_on_the_voxels_of_its_t1gd(day: Day) -> None:
    for study in day.studies:
        masks, grid = on_grid(day.ours(study), study)
        assert study.truth is not None
        assert grid.same_place(study.truth.geometry)
        assert all(mask.shape == study.truth.array.shape for mask in masks.values())


def test_the_segs_are_valid_dicom(day: Day, tmp_path_factory: pytest.TempPathFactory) -> None:
    for study in day.studies:
        assert complaints(day.ours(study), tmp_path_factory.mktemp("seg")) == ""


def test_each_result_comes_with_a_report_and_pictures(
    day: Day, tmp_path_factory: pytest.TempPathFactory
) -> None:
    orthanc = day.demo.orthanc
    first, second = (study.study_uid for study in day.studies)
    # Of the first study also the correction is reported; on the second, two dates are compared.
    for uid, modality, count in (
        (first, "SR", 2),
        (first, "OT", 1),
        (second, "SR", 1),
        (second, "OT", 2),
    ):
        assert wait_for(partial(_found, day, uid, modality, count)), (uid, modality)
        for instance in orthanc.find(uid, modality):
            folder = tmp_path_factory.mktemp("object")
            assert complaints(orthanc.file(instance), folder, KINDS[modality]) == ""


def _found(day: Day, study_uid: str, modality: str, count: int) -> bool:
    """Whether so many instances of a study are in the PACS."""
    return len(day.demo.orthanc.find(study_uid, modality)) == count


def test_the_outlines_lie_where_the_lesion_is(day: Day) -> None:
    for study in day.studies:
        masks, grid = on_grid(day.ours(study), study)
        assert is_in_place(masks, study.outlined(grid), grid)


def test_the_correction_is_learnt_and_the_next_study_names_the_adapted_model(day: Day) -> None:
    assert day.lesson is not None
    assert day.lesson.state == CorrectionState.ACCEPTED, day.lesson.reason
    assert algorithm_version(day.ours(day.studies[0])).endswith("head base")
    assert algorithm_version(day.ours(day.studies[1])).endswith(".1")


def test_adaptation_is_measured_on_what_it_did_not_learn_from(day: Day) -> None:
    assert day.lesson is not None
    assert set(day.lesson.dice_base) == set(day.lesson.dice_fitted)
    assert "enhancing" in day.lesson.dice_base


def test_glioloops_own_results_do_not_come_back_to_it(day: Day) -> None:
    ledger = day.demo.service.ledger()
    try:
        segs = ledger.corrections()
    finally:
        ledger.close()
    assert [seg.calling_ae for seg in segs] == ["ORTHANC"]
    assert segs[0].signal == 1
    assert len(day.demo.orthanc.find(day.studies[0].study_uid, "SEG")) == 2
    assert len(day.demo.orthanc.find(day.studies[1].study_uid, "SEG")) == 1


def test_each_study_was_segmented_once(day: Day) -> None:
    ledger = day.demo.service.ledger()
    try:
        inferences = [run.study_uid for run in ledger.runs() if run.kind == "infer"]
    finally:
        ledger.close()
    assert inferences == [study.study_uid for study in day.studies]


def test_the_pictures_are_drawn(day: Day) -> None:
    pictures = [outcome.picture.read_bytes() for outcome in day.demo.outcomes]
    assert [picture[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"] * 2
