"""Tests of `engine.longitudinal`, `engine.course` and `engine.scanner` on the phantom's anatomy."""

import datetime as dt
from itertools import pairwise

import numpy as np
import pytest
import torch

from engine.anatomy import Substance
from engine.course import LARGEST_RADIUS_MM, MASS_EFFECT, drawn, grown, planned
from engine.longitudinal import DAYS_BETWEEN, dates_from, patient
from engine.phantom import phantom_map
from engine.scanner import CONTRASTS, SCANNERS, Makeup, contrasts, read_off
from study.errors import RefusedError
from study.tissue import Tissue

pytestmark = pytest.mark.slow

SHAPE = (48, 56, 48)
SPACING = 4.0
DATES = [dt.date(2026, 1, 14), dt.date(2026, 4, 14), dt.date(2026, 8, 14)]


@pytest.fixture(scope="module")
def head():
    return phantom_map(np.random.default_rng(4))


@pytest.fixture(scope="module")
def growing(head):
    return patient(
        head,
        DATES,
        SHAPE,
        SPACING,
        np.random.default_rng(3),
        surgery=False,
        scanner_change=True,
    )


@pytest.fixture(scope="module")
def operated(head):
    return patient(
        head,
        DATES[:2],
        SHAPE,
        SPACING,
        np.random.default_rng(8),
        surgery=True,
        scanner_change=False,
    )


def core_ml(visit):
    return visit.volume_ml(Tissue.NECROSIS) + visit.volume_ml(Tissue.ENHANCING)


def test_a_tumour_that_is_not_operated_grows_from_date_to_date(growing):
    assert [visit.date for visit in growing] == DATES
    first, second, third = (core_ml(visit) for visit in growing)
    assert 0.5 < first < second < third
    first, second, third = (np.count_nonzero(visit.truth) for visit in growing)
    assert first < second < third


def test_the_head_stays_the_same_head(growing, operated):
    for visits in (growing, operated):
        volumes = [np.count_nonzero(visit.brain) for visit in visits]
        assert max(volumes) < 1.04 * min(volumes)


def test_the_head_lies_a_little_otherwise_at_each_date(growing):
    first, second = (visit.brain for visit in growing[:2])
    both = np.count_nonzero(first & second)
    assert both < np.count_nonzero(first | second)
    assert 2 * both > 1.8 * np.count_nonzero(first)


def test_after_surgery_a_cavity_holds_fluid_and_no_label(operated):
    before, after = operated
    assert not (before.substances == Substance.CAVITY).any()
    cavity = after.substances == Substance.CAVITY
    assert np.count_nonzero(cavity) >= 5
    assert (after.truth[cavity] == Tissue.BACKGROUND).all()
    assert after.brain[cavity].all()
    white = after.substances == Substance.WHITE
    assert after.ideal["T2"][cavity].mean() > 2.0 * after.ideal["T2"][white].mean()
    assert core_ml(after) < 0.6 * core_ml(before)


def test_labels_are_what_was_drawn(growing):
    visit = growing[0]
    for substance, tissue in (
        (Substance.EDEMA, Tissue.EDEMA),
        (Substance.NECROSIS, Tissue.NECROSIS),
        (Substance.ENHANCING, Tissue.ENHANCING),
        (Substance.WHITE, Tissue.BACKGROUND),
        (Substance.CSF, Tissue.BACKGROUND),
    ):
        assert (visit.truth[visit.substances == substance] == tissue).all()
    assert visit.brain[visit.truth > 0].all()


def test_contrast_agent_brightens_the_enhancing_tumour_alone(growing):
    visit = growing[-1]
    assert set(visit.ideal) == set(visit.images) == set(CONTRASTS) == {"FLAIR", "T1GD", "T2", "T1"}
    rim, white = (visit.substances == s for s in (Substance.ENHANCING, Substance.WHITE))
    assert visit.ideal["T1GD"][rim].mean() > 1.1 * visit.ideal["T1"][rim].mean()
    np.testing.assert_array_equal(visit.ideal["T1GD"][white], visit.ideal["T1"][white])
    fluid = visit.substances == Substance.CSF
    assert visit.ideal["FLAIR"][fluid].mean() < 0.2 * visit.ideal["FLAIR"][white].mean()


def test_a_change_of_scanner_is_one_of_field_strength_and_happens_once(growing, operated):
    names = [visit.scanner.name for visit in growing]
    assert len(set(names)) == 2
    assert names == sorted(names, key=names.index)
    assert len({visit.scanner.tesla for visit in growing}) == 2
    assert len({visit.scanner.name for visit in operated}) == 1


def test_the_same_seed_gives_the_same_patient_and_another_another(head):
    first, again, other = (
        patient(head, DATES[:1], SHAPE, SPACING, np.random.default_rng(seed))[0]
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first.substances, again.substances)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.images["FLAIR"], again.images["FLAIR"])
    assert (first.substances != other.substances).mean() > 0.05


def test_every_scanner_shows_the_tissues_as_its_sequences_do():
    substances = torch.tensor([Substance.WHITE, Substance.GREY, Substance.CSF]).reshape(3, 1, 1)
    plain = Makeup(np.ones((len(Substance), 3)), np.zeros(len(Substance)), torch.zeros(3, 1, 1))
    for scanner in SCANNERS:
        seen = {
            name: image.flatten().tolist()
            for name, image in contrasts(substances.to(torch.uint8), plain, scanner).items()
        }
        white, grey, fluid = seen["T1GD"]
        assert white > grey > fluid
        white, grey, fluid = seen["T2"]
        assert white < grey < fluid
        white, grey, fluid = seen["FLAIR"]
        assert fluid < 0.05 * white < grey


def test_a_reader_of_thick_slices_misses_what_fills_little_of_one():
    labels = torch.zeros((12, 4, 4), dtype=torch.uint8)
    labels[0:6, 0, 0] = 3
    labels[7:8, 3, 3] = 3
    thick = next(one for one in SCANNERS if one.thickness["T1GD"] == 6.0)
    seen = read_off(labels, thick, spacing_mm=2.0)
    assert (seen[1:5, 0, 0] == 3).all()
    assert (seen[:, 3, 3] == 0).all()


def test_a_core_grows_at_every_date_and_never_beyond_the_largest():
    radii = grown(10.0, [0.0, 0.2, 1.0, 30.0], np.random.default_rng(1))
    assert radii[0] == 10.0
    assert list(radii) == sorted(set(radii))
    assert radii[-1] < LARGEST_RADIUS_MM + 1e-9


def test_a_tumour_that_comes_again_was_not_there_before(head):
    """Over several patients with surgery after the first of four dates or later."""
    years = [0.0, 0.3, 0.6, 0.9]
    tensor = torch.from_numpy(head)
    again = 0
    for seed in range(8):
        course = planned(tensor, years, np.random.default_rng(seed), surgery=True)
        since = course.surgery.first_after
        assert all(r > 0 for r in course.foci[0].radii_mm[:since])
        assert all(r == 0 for r in course.foci[0].radii_mm[since:])
        assert all(r == 0 for r in course.surgery.cavity_mm[:since])
        for focus in course.foci[1:]:
            assert focus.radii_mm[0] == 0.0
            assert focus.radii_mm[-1] > 0.0
            again += 1
    assert again >= 3


def test_drawing_leaves_the_head_map_as_it_was(head):
    tensor = torch.from_numpy(head.copy())
    course = planned(tensor, [0.0], np.random.default_rng(2), surgery=False)
    tumour = drawn(tensor, course, 0)
    np.testing.assert_array_equal(tensor.numpy(), head)
    assert (tumour == Substance.ENHANCING).any()
    assert MASS_EFFECT[1] < 1.0


def test_dates_of_follow_ups_lie_apart_as_is_said():
    dates = dates_from(DATES[0], 5, np.random.default_rng(1))
    assert dates[0] == DATES[0]
    apart = [(b - a).days for a, b in pairwise(dates)]
    assert len(apart) == 4
    assert all(DAYS_BETWEEN[0] <= days <= DAYS_BETWEEN[1] for days in apart)


def test_a_patient_is_sent_to_the_scanner_that_is_given(head):
    given = SCANNERS[3]
    visits = patient(head, DATES[:2], SHAPE, SPACING, np.random.default_rng(3), scanner=given)
    assert [visit.scanner for visit in visits] == [given, given]


@pytest.mark.parametrize(
    ("dates", "wanted", "said"),
    [
        ([], {}, "at least one date"),
        (DATES[::-1], {}, "later than the one before"),
        ([DATES[0], DATES[0]], {}, "later than the one before"),
        (DATES[:1], {"surgery": True}, "between two dates"),
        (DATES[:1], {"scanner_change": True}, "between two dates"),
        (DATES, {"scanner_change": True, "scanner": SCANNERS[0]}, "one scanner was given"),
    ],
)
def test_what_no_patient_can_be_made_of_is_refused(head, dates, wanted, said):
    with pytest.raises(RefusedError, match=said):
        patient(head, dates, SHAPE, SPACING, np.random.default_rng(1), **wanted)


def test_a_map_without_white_matter_is_refused():
    with pytest.raises(RefusedError, match="no white matter"):
        patient(np.zeros(SHAPE, np.uint8), DATES, SHAPE, SPACING, np.random.default_rng(1))
