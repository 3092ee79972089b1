"""Tests of `engine.network`."""

import pytest
import torch

from engine.network import Network, NetworkConfig
from study.errors import RefusedError

TINY = NetworkConfig(channels_in=3, classes=4, filters=(4, 8))


def test_the_reference_network_has_the_published_size():
    network = Network(NetworkConfig())
    count = sum(p.numel() for p in network.parameters())
    # By hand, with f the filters of a level. A residual-inception block has 87 f^2 + 12 f numbers:
    # kernels of 1, 27, 27 + 27, 1 and 4 times f^2, and six norms of 2 f.
    # Blocks down 87 * 48,960 + 12 * 360, blocks up 87 * 12,096 + 12 * 168, stem 1,944 + 48, down
    # and up 27 * 24,192 each with norms 672 and 336, merges 24,192 + 336, head 100.
    assert count == 6_652_204


def test_features_and_logits_have_the_size_of_the_images():
    network = Network(TINY).eval()
    images = torch.zeros(1, 3, 8, 6, 4)
    assert network.backbone(images).shape == (1, 4, 8, 6, 4)
    assert network(images).shape == (1, 4, 8, 6, 4)


def test_the_head_is_a_linear_map_of_the_features():
    network = Network(TINY).eval()
    images = torch.randn(1, 3, 4, 4, 4)
    features = network.backbone(images)
    weight, bias = network.head.weight.flatten(1), network.head.bias
    by_hand = torch.einsum("kf,nfdhw->nkdhw", weight, features) + bias[None, :, None, None, None]
    torch.testing.assert_close(network(images), by_hand)


def test_with_frozen_batch_statistics_a_voxel_does_not_see_its_companions_in_the_batch():
    network = Network(TINY).eval()
    one, other = torch.randn(1, 3, 4, 4, 4), torch.randn(1, 3, 4, 4, 4)
    torch.testing.assert_close(network(torch.cat([one, other]))[:1], network(one))


def test_a_configuration_survives_json():
    assert NetworkConfig.from_json(TINY.to_json()) == TINY


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"filters": (8,)}, "two or more levels"),
        ({"filters": (8, 0)}, "two or more levels"),
        ({"norm": "layer"}, "norm 'layer' is not one of"),
        ({"classes": 1}, "two classes"),
    ],
)
def test_an_impossible_network_is_refused(values, message):
    with pytest.raises(RefusedError, match=message):
        NetworkConfig(**values)


def test_an_unknown_name_in_json_is_refused():
    with pytest.raises(RefusedError, match="no network configuration"):
        NetworkConfig.from_json({"filters": [4, 8], "depth": 3})
