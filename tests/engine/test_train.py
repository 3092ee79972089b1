"""Tests of `engine.train` and `engine.examples` on phantoms, with tiny networks."""

import json

import numpy as np
import pytest
import torch

from engine.crops import Example, crops
from engine.examples import Recipe, examples, imperfect
from engine.network import NetworkConfig
from engine.normalise import DROPPED, OUTSIDE
from engine.outputs import decode, output_of
from engine.phantom import phantom_map
from engine.plan import Plan, learning_rate
from engine.train import Trainer, train
from engine.weights import Manifest, load_network, save
from study.errors import FailedError, RefusedError

TINY = NetworkConfig(filters=(4, 8))
RECIPE = Recipe(shape=(48, 56, 48), spacing_mm=(3.5, 3.5), fine_share=0.0, phantoms=0.0)


@pytest.fixture(scope="module")
def ring() -> list[Example]:
    """Four heads, two renderings of each of two geometries."""
    head = phantom_map(np.random.default_rng(2))
    source = examples([head], RECIPE, np.random.default_rng(7))
    return [next(source) for _ in range(4)]


def test_an_example_is_normalised_over_its_mask(ring):
    example = ring[0]
    assert example.images.dtype == np.float16
    assert (example.images[0][~example.brain] == OUTSIDE).all()
    assert abs(float(np.median(example.images[1][example.brain]))) < 0.3
    assert not example.labels[~example.brain].any()


def test_examples_are_the_same_for_the_same_seed(ring):
    head = phantom_map(np.random.default_rng(2))
    again = next(examples([head], RECIPE, np.random.default_rng(7)))
    np.testing.assert_array_equal(again.images, ring[0].images)


def test_t2_is_missing_as_often_as_the_recipe_says():
    head = phantom_map(np.random.default_rng(2))
    recipe = Recipe(
        shape=(48, 56, 48), spacing_mm=(3.5, 3.5), fine_share=0.0, phantoms=0.0, drop_t2=1.0
    )
    example = next(examples([head], recipe, np.random.default_rng(7)))
    assert (example.images[2] == DROPPED).all()
    assert (example.images[1] != DROPPED).any()


def test_a_brain_example_shows_the_whole_head():
    head = phantom_map(np.random.default_rng(2))
    recipe = Recipe("brain", (48, 56, 48), (3.5, 3.5), fine_share=0.0, phantoms=0.0)
    example = next(examples([head], recipe, np.random.default_rng(1)))
    assert set(np.unique(example.labels)) <= {0, 1, 2}
    assert example.images.min() >= 0.0


def test_an_unknown_task_is_refused():
    with pytest.raises(RefusedError, match="neither 'tumour' nor 'brain'"):
        Recipe(task="spine")


def test_an_imperfect_mask_keeps_the_brain_and_leaks_no_farther_than_the_scalp():
    brain = np.zeros((60, 60, 60), bool)
    brain[20:40, 20:40, 20:40] = True
    leaks = upwards = 0
    for seed in range(12):
        mask = imperfect(brain, 2.0, np.random.default_rng(seed))
        assert mask[22:38, 22:38, 22:38].all()
        assert not mask[:9].any()  # 22 mm are 11 voxels
        assert not mask[:, :9].any()
        assert not mask[56:].any()  # 22 mm, and 9 mm more towards the head: 16 voxels
        leaks += bool(mask[:16].any())
        upwards += mask[40:].sum() > 1.5 * mask[:20].sum()
    assert 0 < leaks < 12
    assert 0 < upwards < 12
    assert brain.sum() == 20**3  # what is passed in stays as it is


def test_crops_keep_labels_and_images_together():
    """An image that holds its own labels still does after cropping and flipping."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (24, 24, 24)).astype(np.uint8)
    images = np.stack([labels] * 3).astype(np.float16)
    images_out, labels_out = crops(
        [Example(images, labels, np.ones(labels.shape, bool))], 16, 8, rng
    )
    assert images_out.shape == (16, 3, 8, 8, 8)
    for channel in range(3):
        np.testing.assert_array_equal(images_out[:, channel].numpy(), labels_out.numpy())


def test_learning_rate_rises_then_falls_along_a_cosine():
    plan = Plan(steps=110, rate=1.0, warm_up=10)
    assert learning_rate(plan, 0) == pytest.approx(0.1)
    assert learning_rate(plan, 10) == pytest.approx(1.0)
    assert learning_rate(plan, 60) == pytest.approx(0.505)
    assert learning_rate(plan, 110) == pytest.approx(0.01)
    assert learning_rate(plan, 500) == pytest.approx(0.01)


def test_a_tiny_network_overfits_one_phantom(ring):
    plan = Plan(steps=100, crops=4, edge=16, rate=1e-2, warm_up=5)
    trainer = Trainer(TINY, plan, "cpu", seed=3)
    first = np.mean([trainer.step(ring[:1])["dice"] for _ in range(5)])
    for _ in range(90):
        trainer.step(ring[:1])
    last = np.mean([trainer.step(ring[:1])["dice"] for _ in range(5)])
    assert last < first - 0.25


def test_a_step_is_reproducible_from_its_seed(ring):
    plan = Plan(steps=5, crops=2, edge=16)
    losses = [Trainer(TINY, plan, "cpu", seed=5).step(ring) for _ in range(2)]
    assert losses[0] == losses[1]


def test_training_resumes_where_it_stopped(ring, tmp_path):
    plan = Plan(steps=4, crops=2, edge=16, ring=4)
    first = Trainer(TINY, plan, "cpu", seed=5)
    heads = iter(ring * 4)
    train(first, lambda _wait: next(heads), minutes=5.0, folder=tmp_path, report=lambda _: None)
    assert first.steps_done == 4
    second = Trainer(TINY, plan, "cpu", seed=5)
    second.resume(tmp_path)
    assert second.steps_done == 4
    for ours, theirs in zip(
        first.network.state_dict().values(), second.network.state_dict().values(), strict=True
    ):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    second.step(ring)


def test_a_state_of_another_network_is_refused(ring, tmp_path):
    trainer = Trainer(TINY, Plan(steps=1), "cpu", seed=5)
    trainer.save(tmp_path)
    other = Trainer(NetworkConfig(filters=(4, 4)), Plan(steps=1), "cpu", seed=5)
    with pytest.raises(RefusedError, match="holds another network"):
        other.resume(tmp_path)


def test_weights_of_another_shape_are_no_start():
    trainer = Trainer(TINY, Plan(steps=1), "cpu", seed=5)
    other = Trainer(NetworkConfig(filters=(4, 4)), Plan(steps=1), "cpu", seed=5)
    with pytest.raises(RefusedError, match="do not fit"):
        trainer.start_from(other.network)


def test_the_finished_network_has_fresh_batch_statistics(ring):
    trainer = Trainer(TINY, Plan(steps=3, crops=2, edge=16), "cpu", seed=5)
    for _ in range(3):
        trainer.step(ring)
    finished = trainer.finished(ring, batches=3)
    assert not finished.training
    mean = finished.backbone.stem[1].running_mean
    assert float(mean.abs().max()) > 0.0


@pytest.fixture(scope="module")
def heads() -> list[Example]:
    """Two heads of noise, whose labels follow from the first channel."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(2):
        images = rng.normal(size=(3, 16, 16, 16)).astype(np.float16)
        labels = np.digitize(images[0], (0.5, 1.0, 1.5)).astype(np.uint8)
        found.append(Example(images, labels, np.ones(labels.shape, bool)))
    return found


REGIONAL = NetworkConfig(classes=3, filters=(4, 8))


@pytest.mark.parametrize("loss", ["dice", "dice+cross-entropy"])
@pytest.mark.parametrize("output", ["multi-class", "multi-label"])
def test_both_answers_learn_by_both_losses(heads, output, loss):
    plan = Plan(crops=2, edge=8, rate=2e-2, warm_up=1).changed(output=output, loss=loss)
    trainer = Trainer(TINY if output == "multi-class" else REGIONAL, plan, "cpu", seed=3)
    losses = [trainer.step(heads) for _ in range(30)]
    first, last = (np.mean([x["dice"] for x in part]) for part in (losses[:4], losses[-4:]))
    assert last < first - 0.05
    assert (losses[-1]["entropy"] == 0.0) == (loss == "dice")


def test_a_multi_label_model_is_written_read_and_decoded(heads, tmp_path):
    plan = Plan(steps=2, crops=2, edge=8).changed(output="multi-label")
    trainer = Trainer(REGIONAL, plan, "cpu", seed=3)
    trainer.step(heads)
    network = trainer.finished(heads, batches=2)
    save(tmp_path, network, Manifest("m", "1", REGIONAL, 1.0, "brain-z/1", plan.labels))
    again, manifest = load_network(tmp_path)
    assert output_of(manifest.labels) == "multi-label"
    with torch.no_grad():
        logits = again(torch.zeros(1, 3, 8, 8, 8))[0].numpy()
    labels = decode(logits, manifest.labels)
    assert labels.shape == (8, 8, 8)
    assert set(np.unique(labels)) <= {0, 1, 2, 3}


def test_a_network_of_other_classes_does_not_fit_the_plan():
    with pytest.raises(RefusedError, match="a network of 4 classes does not fit labels"):
        Trainer(TINY, Plan().changed(output="multi-label"), "cpu", seed=1)


PUBLISHED_SMALL = Plan(
    steps=6,
    crops=2,
    edge=8,
    rate=1e-3,
    ring=2,
    strategy="balanced",
    per_volume=2,
    optimiser="adam",
    weight_decay=0.0,
    schedule="plateau",
    patience=1,
    epoch=1,
    averaging=0.0,
)


def test_the_rate_falls_on_a_plateau_and_the_best_network_is_kept(heads, tmp_path):
    trainer = Trainer(TINY, PUBLISHED_SMALL, "cpu", seed=3)
    kept = []

    def validate(network):
        kept.append(network.state_dict()["head.bias"].clone())
        return (0.9, 0.5, 0.6, 0.7, 0.8, 0.9)[len(kept) - 1]

    source = iter(heads * 20)
    train(
        trainer,
        lambda _wait: next(source),
        minutes=5.0,
        folder=tmp_path,
        report=lambda _: None,
        validate=validate,
    )
    # Epochs 3 and 4 were worse than the second, then 5 and 6: halved after the fourth and sixth.
    assert trainer.rate == pytest.approx(2.5e-4)
    assert trainer.best_loss == 0.5
    best = trainer.best(tmp_path)
    np.testing.assert_array_equal(best.state_dict()["head.bias"].numpy(), kept[1].numpy())
    again = Trainer(TINY, PUBLISHED_SMALL, "cpu", seed=3)
    again.resume(tmp_path)
    assert (again.rate, again.best_loss) == (trainer.rate, 0.5)
    assert again.plateau == trainer.plateau


def test_a_plateau_without_validation_is_refused(heads, tmp_path):
    trainer = Trainer(TINY, PUBLISHED_SMALL, "cpu", seed=3)
    with pytest.raises(RefusedError, match="none is held out"):
        train(
            trainer,
            lambda _wait: heads[0],
            minutes=1.0,
            folder=tmp_path,
            report=lambda _: None,
        )


def test_a_training_is_resumed_only_as_it_began(tmp_path):
    Trainer(TINY, Plan(), "cpu", seed=5).save(tmp_path)
    other = Trainer(TINY, Plan(optimiser="adam"), "cpu", seed=5)
    with pytest.raises(RefusedError, match="whose optimiser is 'adamw', not 'adam'"):
        other.resume(tmp_path)


def test_the_state_of_an_earlier_version_is_resumed(tmp_path):
    Trainer(TINY, Plan(), "cpu", seed=5).save(tmp_path)
    kept = json.loads((tmp_path / "progress.json").read_text())
    first = {name: kept[name] for name in ("steps_done", "network")}
    (tmp_path / "progress.json").write_text(json.dumps(first))
    trainer = Trainer(TINY, Plan(), "cpu", seed=5)
    trainer.resume(tmp_path)
    assert trainer.steps_done == 0


def test_no_head_is_a_failure(tmp_path):
    trainer = Trainer(TINY, Plan(steps=2), "cpu", seed=5)
    with pytest.raises(FailedError, match="no head came"):
        train(trainer, lambda _wait: None, minutes=1.0, folder=tmp_path, report=lambda _: None)


def test_validation_loss_is_the_mean_over_batches(heads):
    """Dice loss of a network that knows nothing: equal shares of four classes."""
    plan = Plan(crops=1, edge=16, loss="dice", averaging=0.0)
    trainer = Trainer(TINY, plan, "cpu", seed=3)
    network = trainer.finished(heads)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
    labels = torch.zeros(1, 16, 16, 16, dtype=torch.int64)
    images = torch.zeros(1, 3, 16, 16, 16)
    empty, full = (images, labels), (images, labels + 3)
    # 4096 voxels: the regions' shares are 3072, 2048, 1024; 20 are added on both sides.
    of_none = np.mean([1 - 20 / (n + 20) for n in (3072, 2048, 1024)])
    of_all = np.mean([1 - (2 * n + 20) / (n + 4096 + 20) for n in (3072, 2048, 1024)])
    found = trainer.validation_loss(network, [empty, full])
    assert found == pytest.approx((of_none + of_all) / 2, abs=1e-5)
