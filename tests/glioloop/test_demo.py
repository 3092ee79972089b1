"""The demo's parts; the whole of it runs in tests/acceptance/test_loop.py."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid
from rich.console import Console

from converter.volume import to_volume
from dicomseg.facts import read_facts
from dicomseg.identity import ResultIdentity
from dicomseg.read import read_seg
from dicomseg.write import write_seg
from engine.phantom import PhantomHead
from glioloop import demo, demo_overlay
from glioloop.demo_correction import correct, write_correction
from glioloop.demo_day import algorithm_version
from glioloop.demo_report import Lesson, Outcome, Stages, show
from glioloop.demo_studies import Study, read_studies, read_truth
from glioloop.phantom import FIRST_STUDY, write_study
from study.errors import RefusedError
from study.tissue import Role, Tissue
from study.volume import Volume

MADE = FIRST_STUDY
RESULT = "0123456789abcdef"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T1gd of a cube, without other sequences, and an expert's mask of it."""
    root = tmp_path_factory.mktemp("studies")
    labels = np.zeros((48, 48, 48), np.uint8)
    labels[20:30, 20:30, 20:30] = Tissue.ENHANCING
    body = 1.0 + (labels > 0).astype(np.float32)
    images = {role.value: body for role in Role} | {"T1": body}
    head = PhantomHead(images, labels, body > 0, 4.0, (-96.0, -96.0, -96.0))
    left_out = frozenset({Role.T2, Role.FLAIR})
    made = write_study(root / "study", head, 1, 1, FIRST_STUDY, left_out)
    truth = made.truth.array == Tissue.ENHANCING
    series_uid = generate_uid()
    (root / "study" / "mask").mkdir()
    for path in made.files:
        image = pydicom.dcmread(path)
        if image.SeriesDescription == "t1_tse_tra +Gd":
            mask = truth[int(image.InstanceNumber) - 1].astype(np.uint16)
            image.SOPClassUID = SecondaryCaptureImageStorage
            image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            image.SeriesInstanceUID, image.PixelData = series_uid, mask.tobytes()
            image.save_as(root / "study" / "mask" / path.name, enforce_file_format=True)
    return root


@pytest.fixture(scope="module")
def study(folder: Path) -> Study:
    [found] = read_studies([folder])
    return found


@pytest.fixture(scope="module")
def ours(study: Study) -> bytes:
    """A SEG of Glioloop: all of the upper half is edema, a corner of it enhancing."""
    series = t1gd(study)
    volume = to_volume(series)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[18:] = Tissue.EDEMA
    labels[30:, :20, :20] = Tissue.ENHANCING
    headers = [pydicom.dcmread(i.path, stop_before_pixels=True) for i in series.instances]
    return write_seg(volume.with_array(labels), headers, ResultIdentity(RESULT, "m", "1", MADE))


def t1gd(study: Study):
    return next(s for s in study.images if s.header.SeriesDescription == "t1_tse_tra +Gd")


def test_an_experts_mask_is_kept_apart_from_what_is_sent(study: Study) -> None:
    sent = {pydicom.dcmread(path, stop_before_pixels=True).SOPClassUID for path in study.files}
    assert SecondaryCaptureImageStorage not in sent
    assert study.mask is not None
    assert len(study.files) == 3 + 36 + 24 + 36


def test_an_experts_mask_outlines_the_enhancing_lesion(study: Study) -> None:
    grid = to_volume(t1gd(study)).geometry
    outlined = study.outlined(grid)
    assert set(outlined) == {Tissue.ENHANCING}
    volume = np.count_nonzero(outlined[Tissue.ENHANCING]) * grid.voxel_volume_ml
    assert volume == pytest.approx(64.0, rel=0.1)  # 40 mm cubed


def test_a_truth_is_a_folder_of_masks_or_a_seg(folder: Path, study: Study, ours: bytes) -> None:
    grid = to_volume(t1gd(study)).geometry
    masks = read_truth(folder / "study" / "mask", study, grid)
    assert np.array_equal(masks[Tissue.ENHANCING], study.outlined(grid)[Tissue.ENHANCING])
    path = folder / "truth.seg"
    path.write_bytes(ours)
    assert np.count_nonzero(read_truth(path, study, grid)[Tissue.ENHANCING]) == 6 * 20 * 20
    path.unlink()


def test_a_folder_without_one_series_of_masks_is_no_truth(folder: Path, study: Study) -> None:
    grid = to_volume(t1gd(study)).geometry
    with pytest.raises(RefusedError, match="holds 0 series of masks"):
        read_truth(folder / "study" / "series-2", study, grid)


def test_masks_of_another_study_are_no_truth(folder: Path, study: Study) -> None:
    grid = to_volume(t1gd(study)).geometry
    other = Study("1.2.3", study.images)
    with pytest.raises(RefusedError, match=r"the first study is 1\.2\.3"):
        read_truth(folder / "study" / "mask", other, grid)


def test_studies_of_two_patients_are_refused(folder: Path, tmp_path: Path) -> None:
    image = pydicom.dcmread(next((folder / "study" / "series-2").iterdir()))
    image.PatientID, image.StudyInstanceUID = "another", "1.2.3"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.SeriesInstanceUID = generate_uid()
    image.save_as(tmp_path / "1.dcm")
    with pytest.raises(RefusedError, match="several patients"):
        read_studies([folder, tmp_path])


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no MR images"):
        read_studies([tmp_path])
    with pytest.raises(RefusedError, match="there is no folder"):
        read_studies([tmp_path / "missing"])


def test_a_correction_replaces_the_segments_it_draws_and_no_other(
    study: Study, ours: bytes
) -> None:
    grid = to_volume(t1gd(study)).geometry
    drawn = np.zeros(grid.shape, bool)
    drawn[:2] = True
    labels = correct(read_seg(ours, grid), {Tissue.ENHANCING: drawn})
    assert (labels[:2] == Tissue.ENHANCING).all()
    assert (labels[30:, :20, :20] == Tissue.BACKGROUND).all()
    assert (labels[20] == Tissue.EDEMA).all()


def test_a_correction_is_a_new_seg_that_names_what_it_replaces(study: Study, ours: bytes) -> None:
    series = t1gd(study)
    grid = to_volume(series).geometry
    before = read_facts(ours)
    labels = np.zeros(grid.shape, np.uint8)
    labels[5, 5, 5] = Tissue.ENHANCING
    after = read_facts(write_correction(labels, grid, series, before))
    assert after.predecessors == (before.sop_instance_uid,)
    assert after.sop_instance_uid != before.sop_instance_uid
    assert after.series_uid != before.series_uid
    assert after.people == ("Radiologist^Demo",)


def test_a_seg_that_is_not_ours_cannot_be_corrected_by_the_demo(study: Study, ours: bytes) -> None:
    series = t1gd(study)
    grid = to_volume(series).geometry
    dataset = pydicom.dcmread(io.BytesIO(ours))
    dataset.SeriesDescription = dataset.ContentDescription = "of another"
    foreign = io.BytesIO()
    dataset.save_as(foreign)
    with pytest.raises(RefusedError, match="names no result"):
        write_correction(
            np.zeros(grid.shape, np.uint8), grid, series, read_facts(foreign.getvalue())
        )


def test_a_seg_says_which_model_and_head_made_it(ours: bytes) -> None:
    assert algorithm_version(ours) == "1 head base"


def test_the_picture_shows_the_slice_with_most_of_the_lesion(study: Study, tmp_path: Path) -> None:
    image = to_volume(t1gd(study))
    mask = np.zeros(image.geometry.shape, bool)
    mask[7, :3, :3] = mask[9, :4, :4] = True
    assert demo_overlay.most_of({Tissue.EDEMA: mask}, image) == 9
    assert demo_overlay.most_of({}, image) == 18
    path = tmp_path / "new" / "picture.png"
    demo_overlay.draw(path, image, {Tissue.EDEMA: mask}, {}, "study 1")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_tables_say_volumes_dice_and_seconds() -> None:
    console = Console(file=io.StringIO(), width=120)
    outcome = Outcome(
        1,
        "1.2.3",
        "1 head base",
        {Tissue.NECROSIS: 1.0, Tissue.EDEMA: 22.25, Tissue.ENHANCING: 3.5},
        {Tissue.ENHANCING: 0.75},
        Path("study-1.png"),
    )
    lesson = Lesson("accepted", "it is better", {"enhancing": 0.5}, {"enhancing": 0.625})
    show(console, [outcome], lesson, {"study 1: sent": 1.25})
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for text in ("22.2", "3.5  (0.75)", "0.500", "0.625", "accepted", "1.2", "study-1.png"):
        assert text in shown


def test_a_stage_counts_its_seconds() -> None:
    stages = Stages(Console(file=io.StringIO()))
    with stages.stage("nothing") as tell:
        tell(0.5)
    assert list(stages.seconds) == ["nothing"]
    assert 0.0 <= stages.seconds["nothing"] < 5.0


def test_a_truth_without_studies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="goes with --study"):
        demo.run(Console(file=io.StringIO()), [], tmp_path, keep=False, out=tmp_path)


def test_what_is_known_must_lie_in_the_same_frame_of_reference(study: Study) -> None:
    grid = to_volume(t1gd(study)).geometry
    elsewhere = type(grid)(grid.shape, grid.affine, "1.2.3")
    truth = Volume(np.zeros(grid.shape, np.uint8), elsewhere)
    with pytest.raises(RefusedError, match="frame of reference"):
        Study(study.study_uid, study.images, truth=truth).outlined(grid)
