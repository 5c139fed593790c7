# SPDX-License-Identifier: Apache-2.0
"""The MobileNet: padding as TensorFlow's, one scale per depthwise channel, a head with hidden layers and bias."""

from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import pytest
import torch
import torch.nn.functional as F
from framegate.errors import UsageError
from framegate.quant.networks.checkpoint import (
    Network,
    NetworkConfig,
    find,
    logits,
    save,
    start_from,
    to_input,
)
from framegate.quant.networks.layers import Bias

from tests.quant.conftest import noise

Settled = Callable[[NetworkConfig], Network]


@pytest.fixture
def small() -> NetworkConfig:
    """Two blocks on four 16x16 frames, one class."""
    return NetworkConfig(
        name="tsm-mobilenet",
        classes=("theft",),
        positive="theft",
        labels="independent",
        size=16,
        frames=4,
        widths=(8, 16, 16),
        strides=(2, 1, 2),
        head_hidden=(8,),
    )


def test_the_usual_one_is_the_paper_s_with_a_quarter_of_its_channels() -> None:
    config = NetworkConfig(name="tsm-mobilenet", classes=("a", "b"))
    assert config.widths == (8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
    assert (config.size, config.alpha, config.head_bias, config.norm_eps) == (96, 0.25, True, 1e-3)
    assert NetworkConfig(**config.model_dump()) == config
    features = Network(config.as_float()).eval().features(torch.zeros(8, 3, 96, 96))
    assert features.shape == (8, 256)
    shifted = [block.gather for block in Network(config).stages if hasattr(block.gather, "groups")]
    assert len(shifted) == 13


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("a",), "labels": "single"}, r"^classes=\('a',\): one class tells nothing apart"),
        ({"size": 48}, r"^size=48 does not divide by 32"),
        ({"alpha": 0.5, "widths": (8, 8), "strides": (2, 2)}, r"^alpha=0.5 means widths=\(16, 32, "),
        (
            {"name": "tsm-lite", "alpha": 0.5},
            r"^alpha=0.5 is not of tsm-lite but of tsm-mobilenet, tsm-mobilenetv2, ",
        ),
        ({"shift_blocks": (0, 13)}, r"^shift_blocks=\(0, 13\): there are 13 blocks; use 0 to 12$"),
        ({"alpha": 0.3}, r"9 channels do not divide by shift_share=8$"),
        ({"alpha": "much"}, r"^alpha='much': "),
        ({"dropout": 1.0}, r"^dropout=1.0: "),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(options: dict, message: str) -> None:
    usual = {"name": "tsm-mobilenet", "classes": ("a",), "labels": "independent"}
    with pytest.raises(UsageError, match=message):
        NetworkConfig(**usual | options)


def test_padding_is_on_the_right_and_at_the_bottom_at_stride_two(small: NetworkConfig) -> None:
    network = Network(small.as_float()).eval()
    x = torch.randn(1, 3, 16, 16)
    padded = F.pad(x, (0, 1, 0, 1))  # what TensorFlow's SAME does to even sizes
    assert torch.equal(network.stem(network.stem_pad(x)), F.conv2d(padded, network.stem.weight, stride=2))
    y, last = torch.randn(1, 16, 8, 8), network.stages[1]
    expected = F.conv2d(F.pad(y, (0, 1, 0, 1)), last.depthwise.weight, stride=2, groups=16)
    assert torch.equal(last.depthwise(last.pad(y)), expected)


def test_only_the_chosen_blocks_shift(small: NetworkConfig) -> None:
    network = Network(NetworkConfig(**small.model_dump() | {"shift_blocks": (1,)}))
    assert [hasattr(block.gather, "groups") for block in network.stages] == [False, True]
    none = Network(NetworkConfig(**small.model_dump() | {"shift": "none"}))
    assert not any(hasattr(block.gather, "groups") for block in none.stages)


@pytest.mark.parametrize("scales", ["max", "learned"])
def test_depthwise_weights_have_a_power_of_two_per_channel(
    small: NetworkConfig, settled: Settled, scales: str
) -> None:
    network = settled(NetworkConfig(**small.model_dump() | {"weight_scales": scales}))
    layer = network.stages[0].depthwise
    with torch.no_grad():
        layer.weight[0] *= 64
    quantized = layer.quant_weight()
    assert quantized.scale.shape == (8, 1, 1, 1)
    assert (torch.frexp(quantized.scale).mantissa == 0.5).all()
    assert (quantized.scale[0] > quantized.scale[1:].max()).item() == (scales == "max")
    assert quantized.int().abs().max() <= 7
    assert network.head.quant_weight().scale.numel() == 1


def test_learned_scales_are_parameters_and_survive_a_checkpoint(
    small: NetworkConfig, settled: Settled, tmp_path: Path
) -> None:
    network = settled(NetworkConfig(**small.model_dump() | {"weight_scales": "learned"})).train()
    network(to_input(noise(small, 2))).sum().backward()
    learned = [p for name, p in network.named_parameters() if "weight_quant" in name]
    assert len(learned) == 1 + 2 * 2 + 2
    assert all(p.grad is not None for p in learned)
    with torch.no_grad():
        learned[1] += 1
    network.eval()
    again = find(str(save(network, tmp_path / "checkpoint.pt")))
    assert torch.equal(logits(again, noise_of(small)), logits(network, noise_of(small)))


def noise_of(config: NetworkConfig) -> torch.Tensor:
    random = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (3, config.frames, 16, 16, 3), generator=random, dtype=torch.uint8)


def test_a_channel_of_zeros_is_no_obstacle(small: NetworkConfig, settled: Settled) -> None:
    network = settled(small)
    with torch.no_grad():
        network.stages[0].depthwise.weight[0] = 0
        network.head.weight[:] = 0
    assert network.stages[0].depthwise.quant_weight().int()[0].abs().max() == 0
    assert logits(network, noise_of(small)).isfinite().all()


def test_every_value_is_exact(small: NetworkConfig, settled: Settled) -> None:
    network = settled(small)
    with torch.no_grad():
        network.head_bias.value[:] = 0.3
    values = logits(network, noise_of(small)).double() * 2.0**24
    assert torch.equal(values, values.round())
    assert values.unique().numel() == 3


def test_the_bias_moves_the_logit_by_itself(small: NetworkConfig, settled: Settled) -> None:
    network = settled(small)
    before = logits(network, noise_of(small))
    with torch.no_grad():
        network.head_bias.value[:] = -1.5
    assert torch.equal(logits(network, noise_of(small)), before - 1.5)
    assert Bias(1, quantized=True)(torch.full((1, 1), 0.0)) == 0
    assert torch.equal(
        network.head_bias.quantizer(torch.tensor([0.2, 500.0])), torch.tensor([51 / 256, 127 + 255 / 256])
    )


def test_dropout_is_for_training_only(small: NetworkConfig, settled: Settled) -> None:
    network = settled(NetworkConfig(**small.model_dump() | {"dropout": 0.5}))
    x = torch.rand(4, 16)
    assert torch.equal(network.classify(x), network.classify(x))
    network.train()
    assert not torch.equal(network.classify(x), network.classify(x))


def test_float_weights_of_every_layer_start_the_quantized_one(small: NetworkConfig, settled: Settled) -> None:
    baseline, network = settled(small.as_float()), Network(small)
    with torch.no_grad():
        baseline.head_bias.value[:] = 0.5
    start_from(network, baseline)
    own = network.state_dict()
    assert all(torch.equal(own[key], value) for key, value in baseline.state_dict().items())
    assert sum(isinstance(layer, qnn.QuantConv2d) for layer in network.modules()) == 1 + 2 * 2
