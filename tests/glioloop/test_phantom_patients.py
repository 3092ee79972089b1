"""Generated patients on disk, their pictures, and the options of ``glioloop phantom``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import typer
from PIL import Image

from engine.anatomy import HeadMap
from engine.phantom import phantom_map
from engine.scanner import SCANNERS
from glioloop import cli, phantom_orders
from glioloop.cases import Case, read_cases
from glioloop.choice import choose
from glioloop.phantom_patients import Order, Written, heads_of, write_patients
from glioloop.phantom_pictures import write_sheets
from glioloop.phantom_vendors import VENDORS, protocols_of
from glioloop.private_orthanc import program
from study.errors import RefusedError
from study.tissue import Role, Tissue

pytestmark = pytest.mark.slow

COARSE = 4.0


@pytest.fixture(scope="module")
def head() -> HeadMap:
    return phantom_map(np.random.default_rng(4))


def ordered(form: str) -> Order:
    return Order(1, 2, surgery=True, scanner_change=True, form=form, seed=7, spacing_mm=COARSE)


@pytest.fixture(scope="module")
def nifti(head: HeadMap, tmp_path_factory: pytest.TempPathFactory) -> list[Written]:
    folder = tmp_path_factory.mktemp("nifti")
    return list(write_patients(folder, ordered("nifti"), lambda _rng: head))


@pytest.fixture(scope="module")
def dicom(head: HeadMap, tmp_path_factory: pytest.TempPathFactory) -> list[Written]:
    folder = tmp_path_factory.mktemp("dicom")
    return list(write_patients(folder, ordered("dicom"), lambda _rng: head))


@pytest.fixture(scope="module")
def expert_cases(dicom: list[Written]) -> list[Case]:
    return read_cases(dicom[0].folder.parent)


def images_of(written: Written) -> list[Path]:
    return sorted(written.folder.glob("series-*/*.dcm"))


def header_of(written: Written) -> pydicom.Dataset:
    return pydicom.dcmread(images_of(written)[0], stop_before_pixels=True)


def test_nifti_folders_are_read_as_cases_with_the_labels_that_were_drawn(
    nifti: list[Written],
) -> None:
    cases = read_cases(nifti[0].folder.parent)
    assert [case.name for case in cases] == ["PHANTOM-00007-001-001", "PHANTOM-00007-001-002"]
    for case, written in zip(cases, nifti, strict=True):
        assert set(case.volumes) == set(Role)
        file = nib.load(written.folder / f"{case.name}-seg.nii.gz")
        labels = np.asarray(file.dataobj).transpose(2, 1, 0)
        assert set(np.unique(labels)) <= {0, 1, 2, 3}
        np.testing.assert_array_equal(case.truth["enhancing"], labels == 3)
        np.testing.assert_array_equal(case.truth["core"], (labels == 1) | (labels == 3))
        np.testing.assert_array_equal(case.truth["whole"], labels > 0)
        assert case.truth["whole"].any()
        assert case.volumes[Role.FLAIR].geometry.spacing == pytest.approx((4.0, 4.0, 4.0))


def test_nifti_images_are_bright_up_and_the_head_lies_around_the_middle(
    nifti: list[Written],
) -> None:
    [case, _] = read_cases(nifti[0].folder.parent)
    volume = case.volumes[Role.T1GD]
    middle = volume.geometry.world((np.array(volume.geometry.shape) - 1) / 2)
    assert np.allclose(middle, 0.0, atol=1e-3)
    assert 900 < np.percentile(volume.array, 99.5) < 1100
    # Towards the head (+z) is where slices end: the neck is at the other end, the last are air.
    assert volume.array[0].mean() > 2.0 * volume.array[-1].mean()


def test_the_same_order_writes_the_same_patients(
    head: HeadMap, nifti: list[Written], tmp_path: Path
) -> None:
    again = write_patients(tmp_path, ordered("nifti"), lambda _rng: head)
    first = next(again)
    assert first.volumes_ml == nifti[0].volumes_ml
    for path in nifti[0].folder.iterdir():
        other = first.folder / path.name
        one, two = (np.asarray(nib.load(p).dataobj) for p in (path, other))
        np.testing.assert_array_equal(one, two)


def test_dicom_studies_are_those_of_one_patient_on_two_dates(dicom: list[Written]) -> None:
    first, second = (header_of(written) for written in dicom)
    assert first.PatientID == second.PatientID == "PHANTOM-00007-001"
    assert first.PatientName == second.PatientName == "Phantom^Number 1"
    assert first.PatientBirthDate == second.PatientBirthDate
    assert first.StudyDate == "20260114"
    assert second.StudyDate == dicom[1].date.strftime("%Y%m%d") > first.StudyDate
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert first.FrameOfReferenceUID != second.FrameOfReferenceUID


def test_a_change_of_scanner_is_seen_in_the_headers(dicom: list[Written]) -> None:
    first, second = (header_of(written) for written in dicom)
    assert first.Manufacturer != second.Manufacturer
    assert {first.MagneticFieldStrength, second.MagneticFieldStrength} == {1.5, 3}
    for written, header in zip(dicom, (first, second), strict=True):
        assert VENDORS[written.scanner][0].manufacturer == header.Manufacturer


def test_the_three_sequences_are_found_among_each_study(dicom: list[Written]) -> None:
    for written in dicom:
        chosen = choose(images_of(written)).chosen
        names = VENDORS[written.scanner][1]
        assert {role.value: s.header.SeriesDescription for role, s in chosen.items()} == {
            role.value: names[role.value].description for role in Role
        }


def test_images_and_masks_are_valid_dicom(dicom: list[Written]) -> None:
    for written in dicom:
        for path in sorted(written.folder.glob("*/003.dcm")):
            said = subprocess.run(
                [program("dciodvfy"), str(path)], capture_output=True, text=True, check=False
            )
            assert "Error" not in said.stderr, path
            assert ("SCImage" if path.parent.name == "mask" else "MRImage") in said.stderr


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda one: one.name)
def test_every_vendor_has_a_protocol_that_covers_the_head(scanner) -> None:
    protocols = protocols_of(scanner)
    assert [p.contrast for p in protocols] == ["T1", "FLAIR", "T2", "T1GD"]
    assert [bool(p.agent) for p in protocols] == [False, False, False, True]
    for protocol in protocols:
        assert protocol.shape[0] * protocol.spacing[0] >= 152.0
        assert protocol.thickness == scanner.thickness[protocol.contrast]
    assert VENDORS[scanner.name][0].tesla == scanner.tesla


def test_the_experts_mask_is_recognised_and_is_the_enhancing_tumour(
    dicom: list[Written], expert_cases: list[Case]
) -> None:
    folder = dicom[0].folder.parent
    assert [set(case.truth) for case in expert_cases] == [{"enhancing"}, {"enhancing"}]
    for case, number in zip(expert_cases, (1, 2), strict=True):
        path = folder.parent / "truth" / f"PHANTOM-00007-001-{number:03d}-seg.nii.gz"
        labels = np.asarray(nib.load(path).dataobj).transpose(2, 1, 0)
        np.testing.assert_array_equal(case.truth["enhancing"], labels == Tissue.ENHANCING)
    assert expert_cases[0].truth["enhancing"].any()


def test_the_truth_lies_where_the_image_is_bright(expert_cases: list[Case]) -> None:
    [case, _] = expert_cases
    image, mask = case.volumes[Role.T1GD], case.truth["enhancing"]
    k, i, j = np.argwhere(mask).mean(axis=0).round().astype(int)
    around = image.array[k, i - 30 : i + 31, j - 30 : j + 31]
    assert image.array[mask].mean() > 1.1 * np.median(around)


def test_pictures_show_generated_heads_and_cases_beside_them(
    head: HeadMap, nifti: list[Written], tmp_path: Path
) -> None:
    [sheet] = write_sheets(
        tmp_path, lambda _rng: head, 2, 1, [nifti[0].folder.parent], spacing_mm=COARSE
    )
    assert sheet == tmp_path / "sheet-1.png"
    with Image.open(sheet) as picture:
        width, height = picture.size
        pixels = np.asarray(picture.convert("L"), float)
    assert (width, height) == (round(2.2 * 4 * 110), round(2.55 * 4 * 110))
    # Two generated heads and two cases, four rows: every one of the sixteen pictures shows a head.
    for row in np.array_split(pixels[40:], 4):
        for cell in np.array_split(row, 4, axis=1):
            assert (cell > 60).mean() > 0.1


@pytest.mark.parametrize("count", [0, 201])
def test_a_number_of_pictures_out_of_range_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(RefusedError, match="--pictures is from 1 to 200"):
        write_sheets(tmp_path, phantom_map, count, 1)


def test_heads_come_from_the_label_maps_of_a_folder(tmp_path: Path) -> None:
    array = np.zeros((6, 8, 10), np.int16)
    array[:, :, 0], array[:, :, 1] = 2, 24
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "one.nii.gz")
    head = heads_of(tmp_path)(np.random.default_rng(1))
    assert head.shape == (10, 8, 6)
    assert (head[0] == 9).all()
    assert (head[1] == 7).all()
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "one.nii.gz").write_bytes(b"no image")
    with pytest.raises(RefusedError, match=r"one.nii.gz is no readable NIfTI image"):
        heads_of(tmp_path)(np.random.default_rng(1))
    with pytest.raises(RefusedError, match=r"no \*\.nii\.gz head label maps"):
        heads_of(empty)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """A function that runs ``glioloop phantom`` in this process: exit code, what it printed."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["glioloop", "phantom", *map(str, arguments)])
        monkeypatch.setattr(cli, "hush_libraries", lambda: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--patients", 0], "--patients is from 1 to 1000, not 0"),
        (["--dates", 21], "--dates is from 1 to 20, not 21"),
        (["--dates", 1, "--surgery"], "--dates is at least 2"),
        (["--dates", 1, "--scanner-change"], "--dates is at least 2"),
        (["--format", "mha"], "--format is dicom or nifti, not 'mha'"),
        (["--patients", 1, "--spacing", 9], "--spacing is from 0.7 to 4.0, not 9"),
        (["--spacing", 2], "--spacing goes with --patients or --pictures"),
        (["--pictures", 0], "--pictures is from 1 to 200, not 0"),
        (["--pictures", 1, "--beside", "nowhere"], "there is no folder nowhere"),
        (["--beside", "."], "--beside goes with --pictures"),
        (["--anatomy", "nowhere"], "there is no folder nowhere"),
        (["--anatomy", "."], "holds no *.nii.gz head label maps"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("--out", "made", *options)
    assert code == 2
    assert out == ""
    assert said in " ".join(err.split())
    assert not (tmp_path / "made").exists()


def test_the_command_writes_patients_and_says_what(
    run, head: HeadMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phantom_orders, "heads_of", lambda _anatomy: lambda _rng: head)
    options = ("--patients", 1, "--dates", 1, "--format", "nifti", "--spacing", COARSE)
    code, out, _ = run("--out", tmp_path, "--seed", 5, *options, "--json")
    [answer] = json.loads(out)
    assert code == 0
    assert answer["patient"] == "PHANTOM-00005-001"
    assert answer["files"] == len(list(Path(answer["folder"]).iterdir())) == 5
    code, out, _ = run("--out", tmp_path, "--seed", 5, *options)
    assert code == 0
    assert f"5 files in {tmp_path / 'PHANTOM-00005-001-001'}" in out


def test_the_command_writes_pictures_alone_when_pictures_are_asked(
    run, head: HeadMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phantom_orders, "heads_of", lambda _anatomy: lambda _rng: head)
    code, out, _ = run("--out", tmp_path, "--pictures", 1, "--spacing", COARSE)
    assert code == 0
    assert out.strip() == f"picture {tmp_path / 'sheet-1.png'}"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet-1.png"]


def test_without_options_the_demos_patient_is_written(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        phantom_orders, "write_patient", lambda out, seed: asked.append((out, seed)) or ()
    )
    code, out, _ = run("--out", tmp_path, "--seed", 3)
    assert code == 0
    assert asked == [(tmp_path, 3)]
    assert out.strip() == f"in {tmp_path}"


def documented() -> list[list[str]]:
    lines = (Path(__file__).parents[2] / "docs" / "phantom.md").read_text().splitlines()
    return [line.split()[1:] for line in lines if line.startswith("    glioloop ")]


def test_the_document_names_every_option() -> None:
    said = {word for words in documented() for word in words if word.startswith("--")}
    assert said == {
        "--out", "--seed", "--anatomy", "--patients", "--dates", "--surgery", "--no-surgery",
        "--scanner-change", "--no-scanner-change", "--format", "--pictures", "--beside",
        "--spacing", "--json", "--study",
    }  # fmt: skip


@pytest.mark.parametrize("words", documented(), ids=" ".join)
def test_a_command_in_the_document_is_understood(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("LABELMAPS", "CASES"):
        (tmp_path / folder).mkdir()
    asked = []
    monkeypatch.setattr(
        phantom_orders, "carry_out", lambda wish, _console, *, as_json: asked.append(wish.order)
    )
    command = typer.main.get_command(cli.build(["--help"])).commands[words[0]]
    with command.make_context(words[0], words[1:]) as context:
        if words[0] == "phantom":
            command.invoke(context)
            assert len(asked) == 1
