# SPDX-License-Identifier: Apache-2.0
"""Weights and multiply-accumulates, counted by hand."""

import torch
from framegate.quant.networks.checkpoint import Network
from framegate.quant.networks.complexity import complexity

from tests.quant.families import small


def test_a_small_network_counts_as_by_hand() -> None:
    config = small("tsn-lite", widths=(8, 16), strides=(2, 2))
    stem, first, second, beside, head = 27 * 8, 72 * 16, 144 * 16, 8 * 16, 16 * 3
    norms = 2 * (8 + 3 * 16)
    macs = 4 * (64 * stem + 16 * (first + second + beside) + head)  # 4 frames; 8x8 pixels, then 4x4
    expected = (stem + first + second + beside + head + norms, macs)
    assert complexity(Network(config.as_float())) == expected
    assert complexity(Network(config.model_copy(update={"weight_scales": "learned"}))) == expected


def test_a_depthwise_layer_counts_each_channel_by_itself() -> None:
    config = small("tsm-mobilenet", widths=(8, 16), strides=(2, 2), head_hidden=())
    stem, depthwise, pointwise, head = 27 * 8, 9 * 8, 8 * 16, 16 * 3
    _, macs = complexity(Network(config.as_float()))
    assert macs == 4 * (64 * stem + 16 * (depthwise + pointwise) + head)


def test_counting_leaves_the_network_as_it_was() -> None:
    network = Network(small("slowfast-lite")).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    complexity(network)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
