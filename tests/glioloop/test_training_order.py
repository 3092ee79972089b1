"""Tests of `glioloop.training_order`: from what is asked to what holds."""

from pathlib import Path

import pytest

from engine.augment import NONE
from engine.network import Network, NetworkConfig
from engine.weights import Manifest, save
from glioloop.training_order import Wish, order
from study.errors import RefusedError

OUT, DATA, MAPS = Path("out"), (Path("brats"),), Path("maps")


def test_by_default_heads_are_seen_as_the_shipped_model_sees_them():
    found = order(Wish(OUT, anatomy=MAPS))
    assert (found.spacing_mm, found.normalisation) == (2.0, "robust-brain-z/1")
    assert found.network == NetworkConfig(3, 4, (8, 16, 32, 64))
    assert (found.plan.strategy, found.plan.outside) == ("lesions", -2.5)


def test_the_published_plan_brings_its_grid_filters_and_normalisation():
    found = order(Wish(OUT, data=DATA, plan="published"))
    assert (found.spacing_mm, found.normalisation) == (1.0, "brain-z/1")
    assert found.network.filters == (24, 48, 96, 192)
    assert (found.plan.crops, found.plan.edge, found.plan.outside) == (24, 64, -4.0)
    augmentation = found.augmentation
    assert (augmentation.bias, augmentation.noise, augmentation.drop_t2) == (0.5, 0.5, 0.0)


def test_options_change_the_plan():
    wish = Wish(
        OUT, data=DATA, plan="published", strategy="random", output="multi-label", loss="dice"
    )
    found = order(wish)
    assert found.plan.strategy == "random"
    assert found.plan.labels == ("whole", "core", "enhancing")
    assert found.network.classes == 3
    assert found.plan.loss == "dice"


def test_the_norm_is_batch_unless_another_is_asked_for():
    assert order(Wish(OUT, data=DATA)).network.norm == "batch"
    assert order(Wish(OUT, data=DATA, norm="instance")).network.norm == "instance"
    with pytest.raises(RefusedError, match="norm 'layer' is not one of"):
        order(Wish(OUT, data=DATA, norm="layer"))


def test_label_numbers_are_read():
    found = order(Wish(OUT, data=DATA, labels="1=necrosis, 2=edema,4=enhancing,5=none"))
    assert found.label_map == {0: 0, 1: 1, 2: 2, 4: 3, 5: 0}


def test_on_a_finer_grid_generated_heads_are_as_large_in_mm():
    found = order(Wish(OUT, anatomy=MAPS, spacing=1.0))
    assert found.recipe.shape == (192, 224, 192)
    assert found.recipe.spacing_mm == (0.75, 1.1)
    assert found.recipe.fine_share == 0.0


def test_nothing_is_changed_without_augmentation():
    assert order(Wish(OUT, data=DATA, augment=False)).augmentation == NONE


def test_a_model_to_begin_from_brings_its_network_and_grid(tmp_path):
    config = NetworkConfig(3, 4, (2, 4))
    labels = ("background", "necrosis", "edema", "enhancing")
    save(tmp_path, Network(config), Manifest("m", "1", config, 1.5, "brain-z/1", labels))
    found = order(Wish(OUT, data=DATA, start=str(tmp_path)))
    assert found.network == config
    assert (found.spacing_mm, found.normalisation) == (1.5, "brain-z/1")
    with pytest.raises(RefusedError, match=r"tells background, .* apart, this training whole"):
        order(Wish(OUT, data=DATA, start=str(tmp_path), output="multi-label"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "nothing to train on: name head label maps with --anatomy"),
        ({"data": DATA, "task": "spine"}, "task 'spine' is none of"),
        ({"data": DATA, "task": "brain"}, "trained on whole generated heads alone"),
        ({"data": DATA, "plan": "secret"}, "plan 'secret' is none of default, published"),
        ({"data": DATA, "filters": "8;16"}, "filters are numbers with commas"),
        ({"data": DATA, "labels": "one=edema"}, "labels are numbers and tissues"),
        ({"data": DATA, "labels": "1=bone"}, "'bone' is no tissue"),
        ({"data": DATA, "spacing": 0.1}, "a voxel's edge is 0.5 to 5 mm"),
        ({"data": DATA, "generated": 1.0}, "a mixture needs a share between 0 and 1"),
        ({"data": DATA, "normalisation": "min-max/1"}, "normalisation 'min-max/1' is unknown"),
        ({"anatomy": MAPS, "normalisation": "brain-z/1"}, "generated heads are normalised as"),
    ],
)
def test_what_no_training_can_be_is_refused(values, sentence):
    with pytest.raises(RefusedError, match=sentence):
        order(Wish(OUT, **values))
