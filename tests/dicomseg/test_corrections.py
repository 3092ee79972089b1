"""Tool x encoding x edit: what is read exactly, held or refused, as `corrections.yaml` says."""

from __future__ import annotations

import numpy as np
import pytest

from dicomseg.facts import read_facts
from dicomseg.file_grid import stack_of
from dicomseg.read import Original, read_seg
from study.volume import Geometry
from viewers import dcmqi
from viewers.scene import phantom_scene
from viewers.table import (
    PAGE,
    Row,
    Seen,
    complaints,
    document,
    read_written,
    rows,
    seen,
    voxels_of,
    write,
)

ROWS = rows()
LIVE = [row for row in ROWS if row.exporter in ("dcmqi", "highdicom")]
OF_OHIF = [row for row in ROWS if row.exporter == "ohif"]
STORED = [row for row in ROWS if row.folder]


def name(row):
    return row.name


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return phantom_scene(tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="module")
def seg_folder(real_data):
    return real_data / "seg"


@pytest.fixture(scope="module")
def study(seg_folder):
    """Grid and result of the real study, and what is to be read by the name of each truth."""
    path = seg_folder / "generated_highdicom" / "hd_binary_allframes.dcm"
    facts = read_facts(path)
    with np.load(seg_folder / "truth_labels.npz") as arrays:
        original = arrays["original"]
        # The correction was kept without the outer slices, where the result shows nothing.
        shown = np.flatnonzero(original.any(axis=(1, 2)))
        corrected = np.zeros_like(original)
        corrected[shown[0] : shown[-1] + 1] = arrays["corrected"]
    truths = {
        "original": original,
        "corrected": corrected,
        "necrosis erased": np.where(corrected == 1, 3, corrected),
    }
    return stack_of(facts).geometry, Original(original, facts.segments), truths


@pytest.mark.parametrize("row", LIVE, ids=name)
def test_what_is_written_now(row, scene, tmp_path):
    """Read exactly as drawn, or held or refused with the reason."""
    (written,) = write([row], row.exporter, scene, tmp_path)
    assert read_written(row, written, scene) == []


@pytest.fixture(scope="module")
def of_ohif(scene, tmp_path_factory):
    """What the libraries of OHIF write, for each row."""
    folder = tmp_path_factory.mktemp("ohif")
    return dict(zip(map(name, OF_OHIF), write(OF_OHIF, "ohif", scene, folder), strict=True))


@pytest.mark.viewers
@pytest.mark.parametrize("row", OF_OHIF, ids=name)
def test_what_the_libraries_of_ohif_write_now(row, scene, of_ohif):
    """The same, by a viewer's libraries."""
    assert read_written(row, of_ohif[row.name], scene) == []


@pytest.mark.parametrize("row", STORED, ids=name)
def test_what_was_written_once(row, seg_folder, study, tmp_path):
    """The same, of files that tools and people wrote elsewhere."""
    path = seg_folder / row.folder / f"{row.file}.dcm"
    if row.truth in ("original", "corrected", "necrosis erased") or "Segment" in row.reason:
        grid, original, truths = study
        what = seen(lambda: read_seg(path, grid, original=original, overrides=row.overrides))
        labels = what.found.labels() if what.found else None
        assert complaints(row, what, labels, truths.get(row.truth)) == []
        return
    grid = own_grid(path)
    what = seen(lambda: read_seg(path, grid, overrides=row.overrides))
    labels = what.found.labels() if what.found else None
    if isinstance(row.truth, list):
        assert voxels_of(labels) == row.truth
        return
    truth = None
    if row.truth:
        other = row.truth.removeprefix("as dcmqi reads ").replace("it", row.file)
        truth = as_dcmqi_reads(next(seg_folder.rglob(f"{other}.dcm")), grid, tmp_path)
    assert complaints(row, what, labels, truth) == []


def own_grid(path):
    """Grid of a file, where it has one."""
    facts = seen(lambda: read_facts(path)).found
    grid = seen(lambda: stack_of(facts).geometry).found if facts else None
    return grid or Geometry((1, 1, 1), np.eye(4), "none")


def as_dcmqi_reads(path, grid, folder):
    """Edema wherever dcmqi's own reading of a file's only segment shows anything."""
    dcmqi.run("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", folder)
    (file,) = folder.glob("*.nrrd")
    volume = dcmqi.from_itk(file)
    labels = np.zeros(grid.shape, np.uint8)
    where = volume.geometry.world(np.argwhere(volume.array))
    labels[tuple(np.rint(grid.index(where)).astype(int).T)] = 2
    assert labels.any()
    return labels


def test_the_page_says_what_is_tested():
    """`tests/viewers/write_table.py` writes it, after every file was read."""
    assert PAGE.read_text(encoding="utf-8") == document()


def test_every_stored_file_has_a_row(seg_folder):
    """None is forgotten."""
    found = {p.relative_to(seg_folder).as_posix() for p in seg_folder.rglob("*.dcm")}
    assert found == {f"{row.folder}/{row.file}.dcm" for row in STORED}


def test_no_default_export_of_a_viewer_is_held_as_such():
    """What is held of it is a person's edit that nobody can judge, or the wrong place."""
    plain = ("nothing", "brush", "necrosis erased", "edema's segment deleted", "renumbered")
    found = [row for row in ROWS if "default" in row.encoding and row.edit.startswith(plain)]
    assert len(found) >= len(plain)
    assert {row.outcome for row in found} == {"read"}


@pytest.mark.parametrize(
    ("outcome", "reason", "read", "truth", "match"),
    [
        ("read", "", "held", None, "held instead of read: why"),
        ("held", "because", "held", None, "held for another reason: why"),
        ("held", "", "held", None, "held for another reason: why"),
        ("read", "", "read", [0, 1, 2, 2, 3], "Dice of EDEMA is 0.6667"),
    ],
)
def test_the_table_can_fail(outcome, reason, read, truth, match):
    """Another outcome, another reason, no reason, and one voxel that differs."""
    row = Row("tool", "about", "BINARY", "brush", outcome, reason)
    labels = np.array([0, 1, 2, 0, 3])
    found = complaints(row, Seen(read, "why"), labels, None if truth is None else np.array(truth))
    assert found == [match]


def test_both_exports_of_a_browser_agree(seg_folder):
    """BINARY and LABELMAP of one person's edit, on the grid of the label map."""
    folder = seg_folder / "ohif_gui"
    grid = own_grid(folder / "ohif_export_default_labelmap_rle.dcm")
    one, two = (
        read_seg(folder / f"ohif_export_{n}.dcm", grid).labels()
        for n in ("bitmap_explicit", "default_labelmap_rle")
    )
    np.testing.assert_array_equal(one, two)
