"""Tests of `glioloop.evaluation_adaptation`; pipeline and fit are stand-ins."""

from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from engine.adapt import FitSettings
from glioloop import evaluation_adaptation, results
from glioloop.cases import Case
from glioloop.evaluation_adaptation import known_tissues, mean_dice, plain, table_of, transfers
from glioloop.kept import Kept
from glioloop.networks import Options
from glioloop.pipeline import Segmentation
from study.errors import RefusedError
from study.tissue import Role, Tissue
from study.volume import Geometry, Volume

GRID = Geometry((4, 6, 6), np.diag([1.0, 1.0, 1.0, 1.0]), "1.2")


def case(name: str, patient: str, row: int) -> Case:
    """Two slices of one row are enhancing."""
    mask = np.zeros(GRID.shape, bool)
    mask[1:3, row] = True
    return Case(name, {role: Volume(mask.astype(np.float32), GRID) for role in Role},
                {"enhancing": mask}, patient)  # fmt: skip


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The base head finds half of what is there, an adapted one all; outlines that were learnt."""
    outlined: list[np.ndarray] = []

    def segment(volumes, _networks, head=None, _options=None, *, options=None) -> Segmentation:
        labels = np.where(volumes[Role.T1GD].array > 0, 3, 0).astype(np.uint8)
        if head is None:
            labels[2] = 0
        kept = Kept(np.zeros((3, *GRID.shape), np.float16), labels >= 0, GRID, GRID)
        return Segmentation(Volume(labels, GRID), kept, {})

    def learn(lessons, *_args) -> SimpleNamespace:
        (lesson,) = lessons
        assert (lesson.result / results.LABELS).is_file()
        assert Kept.from_file(lesson.kept).brain.all()
        with np.load(lesson.outline) as file:
            outlined.append(file["labels"])
        row = int(np.argwhere(outlined[-1])[0, 1])
        if row == 5:
            raise RefusedError("the outline is empty")
        accepted = row != 4
        reason = "accepted: it is better" if accepted else "stays at base: it is not better"
        return SimpleNamespace(head="adapted", accepted=accepted, reason=reason)

    monkeypatch.setattr(evaluation_adaptation, "segment_volumes", segment)
    monkeypatch.setattr(evaluation_adaptation, "learn", learn)
    return outlined


def found_in(*cases: Case):
    return list(transfers(cases, None, Options(), FitSettings(), 100))


def test_each_date_is_judged_with_the_head_of_each_other_one(taught: list[np.ndarray]) -> None:
    found = found_in(case("A 1", "a", 1), case("A 2", "a", 2), case("B 1", "b", 1))
    assert [(one.learnt, one.judged) for one in found] == [("A 1", "A 2"), ("A 2", "A 1")]
    assert [np.argwhere(labels)[0].tolist() for labels in taught] == [[1, 1, 0], [1, 2, 0]]
    for one in found:
        assert one.accepted
        assert one.base["enhancing"].dice == pytest.approx(2 / 3)
        assert one.adapted["enhancing"].dice == 1.0


@pytest.mark.parametrize(("row", "reason"), [(4, "stays at base"), (5, "the outline is empty")])
def test_what_is_not_accepted_leaves_the_base_head(
    taught: list[np.ndarray], row: int, reason: str
) -> None:
    first = found_in(case("A 1", "a", row), case("A 2", "a", 2))[0]
    assert not first.accepted
    assert reason in first.reason
    assert first.adapted == first.base


def test_a_patient_with_one_date_cannot_be_judged(taught: list[np.ndarray]) -> None:
    with pytest.raises(RefusedError, match="none of 2 patients has two dates with a known answer"):
        found_in(case("A 1", "a", 1), case("B 1", "b", 1))


def test_means_table_and_json(taught: list[np.ndarray]) -> None:
    found = found_in(case("A 1", "a", 1), case("A 2", "a", 2))
    assert mean_dice(found) == {"enhancing": (pytest.approx(2 / 3), 1.0)}
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table_of(found))
    rows = [line.split() for line in captured.get().splitlines()]
    assert ["A", "1", "A", "2", "enhancing", "0.667", "1.000", "1.0", "0.0"] in rows
    assert ["mean", "enhancing", "0.667", "1.000"] in rows
    values = plain(found)
    assert values["mean_dice"]["enhancing"]["adapted"] == 1.0
    assert values["transfers"][0]["judged"] == "A 2"


def test_tissues_are_what_regions_tell_apart() -> None:
    """Voxels in a row: whole, core, enhancing, and none."""
    rows = {"whole": [1, 1, 1, 0], "core": [0, 1, 1, 0], "enhancing": [0, 0, 1, 0]}
    truth = {name: np.array(row, bool) for name, row in rows.items()}
    found = known_tissues(truth)
    assert {t: m.tolist() for t, m in found.items()} == {
        Tissue.ENHANCING: [False, False, True, False],
        Tissue.NECROSIS: [False, True, False, False],
        Tissue.EDEMA: [True, False, False, False],
    }
    assert set(known_tissues({"enhancing": truth["enhancing"]})) == {Tissue.ENHANCING}
