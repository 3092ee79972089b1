"""Tests of `engine.generator`, `engine.tumour` and `engine.phantom` on the phantom's anatomy."""

import numpy as np
import pytest
import torch

from engine.anatomy import Substance
from engine.generator import Geometry, brain_mask, geometry, render
from engine.phantom import SIZE, phantom_head, phantom_map
from engine.tumour import Lesion, draw, made_of, white_matter_disease
from study.tissue import Role, Tissue

SHAPE = (64, 72, 64)
SPACING = 3.0


@pytest.fixture(scope="module")
def head():
    return torch.from_numpy(phantom_map(np.random.default_rng(4)))


@pytest.fixture(scope="module")
def scene(head):
    return geometry(head, SHAPE, SPACING, np.random.default_rng(11))


def test_the_phantom_head_has_every_tissue_of_a_brain(head):
    assert head.shape == SIZE
    for substance in (Substance.GREY, Substance.WHITE, Substance.CSF, Substance.BRAINSTEM):
        assert int((head == substance).sum()) > 1000


def test_a_geometry_is_reproducible_from_its_seed(head, scene):
    again = geometry(head, SHAPE, SPACING, np.random.default_rng(11))
    np.testing.assert_array_equal(again.substances, scene.substances)
    np.testing.assert_array_equal(again.labels, scene.labels)


def test_another_seed_gives_another_head(head, scene):
    other = geometry(head, SHAPE, SPACING, np.random.default_rng(12))
    assert (other.substances != scene.substances).float().mean() > 0.05


def test_a_rendering_is_reproducible_and_finite(scene):
    first = render(scene, np.random.default_rng(1))
    again = render(scene, np.random.default_rng(1))
    assert first.images.shape == (3, *SHAPE)
    assert first.images.isfinite().all()
    np.testing.assert_array_equal(first.images, again.images)


def _quiet(head: torch.Tensor) -> Geometry:
    """One geometry without lesions drawn at random: a healthy head with a solid tumour."""
    healthy = geometry(head, SHAPE, SPACING, np.random.default_rng(3), tumours=False)
    white = (healthy.substances == Substance.WHITE).nonzero()
    k, i, j = white[len(white) // 2].tolist()
    lesion = Lesion((k, i, j), 15.0, "solid")
    drawn, labels = draw(healthy.substances, lesion, SPACING, np.random.default_rng(0))
    return Geometry(drawn, labels, healthy.brain, SPACING)


def test_every_rendering_shows_the_tumour_where_its_labels_are(head):
    """Over many scanners: tumour is brighter than the same shape moved into the white matter."""
    scene = _quiet(head)
    white = scene.substances == Substance.WHITE
    brighter = {"FLAIR edema": 0, "T1gd enhancing": 0, "T2 edema": 0}
    for seed in range(12):
        sample = render(scene, np.random.default_rng(seed))
        flair, t1gd, t2 = sample.images
        edema, enhancing = sample.labels == Tissue.EDEMA, sample.labels == Tissue.ENHANCING
        brighter["FLAIR edema"] += bool(flair[edema].median() > flair[white].median())
        brighter["T1gd enhancing"] += bool(t1gd[enhancing].median() > t1gd[edema].median())
        brighter["T2 edema"] += bool(t2[edema].median() > t2[white].median())
    assert min(brighter.values()) >= 11, brighter


def test_fluid_is_dark_on_flair_and_bright_on_t2_in_most_renderings(head):
    scene = _quiet(head)
    fluid, white = (scene.substances == s for s in (Substance.CSF, Substance.WHITE))
    ratios = []
    for seed in range(12):
        flair, _t1gd, t2 = render(scene, np.random.default_rng(seed)).images
        ratios.append(
            (
                float(flair[fluid].median() / flair[white].median()),
                float(t2[fluid].median() / t2[white].median()),
            )
        )
    dark, bright = (float(np.median(r)) for r in zip(*ratios, strict=True))
    assert dark < 0.7
    assert bright > 1.4


def test_invented_contrasts_keep_labels_and_change_images(scene):
    plain = render(scene, np.random.default_rng(1))
    invented = render(scene, np.random.default_rng(1), invented=1.0)
    assert torch.equal(plain.brain, invented.brain)
    assert float((plain.images - invented.images).abs().mean()) > 0.01


def test_labels_lie_where_tumour_substances_are(scene):
    tumour = made_of(
        scene.substances,
        (Substance.EDEMA, Substance.NECROSIS, Substance.ENHANCING, Substance.INFILTRATED),
    )
    np.testing.assert_array_equal(scene.labels > 0, tumour)
    assert scene.brain[scene.labels > 0].all()


def test_a_healthy_head_has_no_labels(head):
    healthy = geometry(head, SHAPE, SPACING, np.random.default_rng(3), tumours=False)
    assert not healthy.labels.any()


def _block() -> torch.Tensor:
    """White matter with a plane of fluid at row 30, behind which lies white matter again."""
    block = torch.full((40, 40, 40), int(Substance.WHITE), dtype=torch.uint8)
    block[:, 30:32] = Substance.CSF
    return block


def test_edema_does_not_cross_fluid():
    lesion = Lesion((20, 18, 20), 5.0, "solid")
    _drawn, labels = draw(_block(), lesion, 1.0, np.random.default_rng(0))
    assert int((labels == Tissue.EDEMA).sum()) > 100
    assert not labels[:, 32:].any()


def test_a_solid_tumour_enhances_throughout_its_core():
    drawn, labels = draw(
        _block(), Lesion((20, 15, 20), 6.0, "solid"), 1.0, np.random.default_rng(2)
    )
    assert labels[20, 15, 20] == Tissue.ENHANCING
    np.testing.assert_array_equal(drawn == Substance.ENHANCING, labels == Tissue.ENHANCING)
    assert not (labels == Tissue.NECROSIS).any()


def test_a_ring_has_necrosis_inside_enhancement():
    _drawn, labels = draw(
        _block(), Lesion((20, 15, 20), 12.0, "ring"), 1.0, np.random.default_rng(1)
    )
    assert labels[20, 15, 20] == Tissue.NECROSIS
    assert int((labels == Tissue.ENHANCING).sum()) > 100


def test_the_fluid_of_a_resection_cavity_is_no_tumour():
    drawn, labels = draw(
        _block(), Lesion((20, 15, 20), 10.0, "cavity"), 1.0, np.random.default_rng(5)
    )
    assert drawn[20, 15, 20] == Substance.CAVITY
    assert not labels[drawn == Substance.CAVITY].any()


def test_an_infiltrative_tumour_does_not_enhance():
    drawn, labels = draw(
        _block(), Lesion((20, 15, 20), 8.0, "infiltrative"), 1.0, np.random.default_rng(1)
    )
    assert set(labels.unique().tolist()) == {0, Tissue.EDEMA}
    assert not (drawn == Substance.ENHANCING).any()


def test_white_matter_disease_touches_white_matter_only():
    block = _block()
    spotted = white_matter_disease(block, 1.0, np.random.default_rng(0))
    changed = spotted != block
    assert changed.any()
    assert (block[changed] == Substance.WHITE).all()


def test_brain_mask_is_one_piece_without_holes(head):
    small = head[::3, ::3, ::3]
    mask = brain_mask(small, 3.0)
    assert 700 < int(mask.sum()) * 0.027 < 2000  # mL
    assert not mask[small == Substance.EYE].any()


def test_a_phantom_patient_is_the_same_at_every_date_and_the_lesion_grows():
    first, second = phantom_head(5, spacing_mm=3.0), phantom_head(5, growth=0.4, spacing_mm=3.0)
    assert set(first.images) == {Role.FLAIR, Role.T1GD, Role.T2, "T1"}
    same = (first.labels == 0) & (second.labels == 0)
    assert np.abs(first.images["T2"] - second.images["T2"])[same].mean() < 1e-3
    assert np.count_nonzero(second.labels) > 1.2 * np.count_nonzero(first.labels)


def test_contrast_agent_shows_only_after_it_was_given():
    head = phantom_head(5, spacing_mm=3.0)
    enhancing = head.labels == Tissue.ENHANCING
    assert head.images["T1GD"][enhancing].mean() > 1.4 * head.images["T1"][enhancing].mean()


def test_tumour_that_was_left_stands_into_the_fluid_of_some_cavities():
    block = torch.full((32, 32, 32), int(Substance.WHITE), dtype=torch.uint8)
    amid = 0
    for seed in range(10):
        lesion = Lesion((16, 16, 16), 11.0, "cavity")
        drawn, labels = draw(block, lesion, 1.0, np.random.default_rng(seed))
        fluid = (drawn == Substance.CAVITY).float()[None, None]
        share = torch.nn.functional.avg_pool3d(fluid, 5, 1, 2)[0, 0]
        left = (drawn == Substance.ENHANCING) & (share > 0.75)
        assert (labels[left] == Tissue.ENHANCING).all()
        amid += bool(left.any())
    assert 3 <= amid <= 7
