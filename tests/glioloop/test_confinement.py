"""SEGs that mean harm: each is refused or read within its memory, and none ends the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_segs import HOSTILE, damaged, edited, label_map_bomb, numbered
from pydicom import dcmread
from small_world import write_study

from converter.series import read_series
from converter.volume import to_volume
from dicomseg.content import content_digest
from dicomseg.facts import read_facts
from dicomseg.identity import ResultIdentity
from dicomseg.write import write_seg
from glioloop import confinement, outlines, results
from glioloop.label_file import labels_to_bytes
from glioloop.lessons import Lesson
from study.errors import HeldError, RefusedError
from study.tissue import Tissue
from study.volume import Geometry, Volume

MIB = 2**20
SMALL = replace(confinement.LIMITS, memory_bytes=400 * MIB)
UID = "1.2.840.99.1"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, bytes]:
    """Labels, and a SEG of them: 12 slices of 16 x 16."""
    study = write_study(tmp_path_factory.mktemp("study"))
    (t1gd,) = read_series(study.files["T1GD"])
    grid = to_volume(t1gd).geometry
    array = np.zeros(grid.shape, np.uint8)
    array[3:9, 4:10, 5:11] = Tissue.EDEMA
    array[5:8, 6:9, 6:9] = Tissue.ENHANCING
    array[6, 7, 7] = Tissue.NECROSIS
    labels = Volume(array, grid)
    sources = [dcmread(path, stop_before_pixels=True) for path in study.files["T1GD"]]
    identity = ResultIdentity(
        "0123456789abcdef", "a viewer", "1", datetime(2026, 1, 2, tzinfo=UTC), kind="correction"
    )
    return labels, write_seg(labels, sources, identity)


def written(folder: Path, segs: Sequence[bytes]) -> list[str]:
    """Files of SEGs."""
    paths = [folder / f"{number:04}.dcm" for number in range(len(segs))]
    for path, seg in zip(paths, segs, strict=True):
        path.write_bytes(seg)
    return [str(path) for path in paths]


def opened(grid: Geometry, segs: list[str]) -> dict[str, Any]:
    """What became of SEGs that a child opened with 400 MiB."""
    arguments = {
        "segs": segs,
        "shape": grid.shape,
        "affine": grid.affine.tolist(),
        "frame": grid.frame_of_reference_uid,
    }
    return confinement.run("open_all", arguments, "the SEGs", SMALL, "opening_tasks")


def test_each_hostile_seg_is_refused_before_it_takes_memory(
    good: tuple[Volume, bytes], tmp_path: Path
) -> None:
    labels, seg = good
    segs = written(tmp_path, [make(seg) for make, _ in HOSTILE.values()])
    found = opened(labels.geometry, segs)
    for (name, (_, said)), (at, kind, words) in zip(HOSTILE.items(), found["opened"], strict=True):
        assert kind == "RefusedError", (name, at, kind, words)
        with pytest.raises(RefusedError, match=said):
            raise RefusedError(words)
    assert found["peak_bytes"] < 400 * MIB


def test_the_bomb_is_small(good: tuple[Volume, bytes]) -> None:
    assert len(label_map_bomb(good[1])) < 300 * 1024


def test_numbers_of_segments_need_not_count_from_one(
    good: tuple[Volume, bytes], tmp_path: Path
) -> None:
    labels, seg = good
    renumbered = [edited(seg, numbered(*numbers)) for numbers in ((5, 9, 200), (3, 1, 2))]
    segs = written(tmp_path, renumbered)
    assert [at for at, *_ in opened(labels.geometry, segs)["opened"]] == ["read", "read"]


def test_several_hundred_damaged_copies_are_read_or_refused(
    good: tuple[Volume, bytes], tmp_path: Path
) -> None:
    labels, seg = good
    copies = list(damaged(seg, 250, seed=20260114))
    found = opened(labels.geometry, written(tmp_path, copies))
    kinds = [kind for _, kind, _ in found["opened"]]
    unforeseen = [one for one in found["opened"] if one[1] == "FailedError"]
    assert unforeseen == []
    # What asks for more than a child has is refused by who started it.
    assert set(kinds) <= {"", "RefusedError", "HeldError", "OutOfMemoryError"}
    assert kinds.count("") > 50
    assert kinds.count("RefusedError") > 50
    assert found["peak_bytes"] < 400 * MIB


def test_many_items_are_more_than_a_seg_is_given(
    good: tuple[Volume, bytes], tmp_path: Path
) -> None:
    _, seg = good
    later = seg.index(b"\x10\x00\x10\x00PN")
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 200_000
    many = b"\x08\x00\x40\x11SQ\0\0" + len(items).to_bytes(4, "little") + items
    path = tmp_path / "many.dcm"
    path.write_bytes(seg[:later] + many + seg[later:])
    tiny = replace(SMALL, memory_bytes=20 * MIB)
    with pytest.raises(RefusedError, match=rf"{UID} takes more than 20 MiB to open: send"):
        confinement.run("facts", {"seg": str(path)}, UID, tiny, confinement.SEG_TASKS)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("facts", r"1\.2\.840\.99\.1 ended the process .*SIGXCPU"),
        ("contents", r"1\.2\.840\.99\.1 ended the process .*SIGSEGV"),
    ],
)
def test_a_decoder_that_never_ends_or_crashes_costs_one_object(task: str, said: str) -> None:
    quick = replace(SMALL, cpu_s=1)
    with pytest.raises(HeldError, match=said):
        confinement.run(task, {}, UID, quick, "opening_tasks")


def test_a_decoder_that_sleeps_is_ended_by_the_clock_on_the_wall() -> None:
    with pytest.raises(HeldError, match=r"hang was ended after 0\.1 minutes\): send it again"):
        confinement.run("hang", {}, UID, replace(SMALL, wall_s=6.0), "child_tasks")


def test_a_decoder_that_asks_for_more_and_more_is_told_so() -> None:
    with pytest.raises(RefusedError, match=r"takes more than 400 MiB"):
        confinement.run("outline", {}, UID, SMALL, "opening_tasks")


def test_header_and_contents_are_those_that_are_read_without_a_child(
    good: tuple[Volume, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "good.dcm"
    path.write_bytes(good[1])
    assert confinement.facts(path, UID) == read_facts(path)
    assert confinement.contents([path, path], UID) == [content_digest(path)] * 2


def test_what_a_correction_outlines_is_kept_as_a_file(
    good: tuple[Volume, bytes], tmp_path: Path
) -> None:
    labels, seg = good
    (tmp_path / "correction.dcm").write_bytes(seg)
    (tmp_path / results.SEG).write_bytes(seg)
    (tmp_path / results.LABELS).write_bytes(labels_to_bytes(labels))
    paths = {name: tmp_path / name for name in ("outline", "sample")}
    lesson = Lesson(tmp_path, tmp_path / "correction.dcm", **paths, label_map={})
    confinement.outline(lesson.to_json(), UID)
    masks = outlines.from_file(paths["outline"])
    assert sorted(masks) == [Tissue.NECROSIS, Tissue.EDEMA, Tissue.ENHANCING]
    for tissue, mask in masks.items():
        np.testing.assert_array_equal(mask, labels.array == tissue)
    # It is read once: what lies there is taken.
    lesson.seg.unlink()
    confinement.outline(lesson.to_json(), UID)


def test_a_tissue_that_was_erased_stays_spoken_of(tmp_path: Path) -> None:
    masks = {Tissue.EDEMA: np.zeros((2, 2, 2), bool), Tissue.ENHANCING: np.ones((2, 2, 2), bool)}
    (tmp_path / "outline.npz").write_bytes(outlines.to_bytes(masks))
    found = outlines.from_file(tmp_path / "outline.npz")
    assert {tissue: mask.sum() for tissue, mask in found.items()} == {
        Tissue.EDEMA: 0,
        Tissue.ENHANCING: 8,
    }
