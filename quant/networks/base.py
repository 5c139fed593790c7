# SPDX-License-Identifier: Apache-2.0
"""What all networks have in common: the head, and the blocks of which their trunks are made."""

from collections import OrderedDict
from itertools import pairwise
from typing import Any, ClassVar

import brevitas.nn as qnn
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import (
    Bias,
    FrameMean,
    PixelQuant,
    SpatialMean,
    conv3d,
    depthwise3d,
    identity,
    linear,
    relu,
    unsigned,
)
from torch import Tensor, nn


class Network(nn.Module):
    """A clip classifier: (N*frames, 3, size, size) float32 of pixel/256 in, (N, classes) logits out.

    `Network(config)` is of the class of the configuration's family, which makes `body` and `pool`, then the head.
    """

    body: nn.Module  # pixels (N*frames, 3, size, size) to what the pool takes
    pool: nn.Module  # to the features of each clip
    _families: ClassVar[dict[str, type["Network"]]] = {}

    def __init_subclass__(cls, family: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if family is not None:
            Network._families[family] = cls

    def __new__(cls, config: NetworkConfig | None = None) -> "Network":
        """One of the family's class; copies are made without a configuration."""
        chosen = Network._families[config.family] if cls is Network and config is not None else cls
        return super().__new__(chosen)

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        quantized = config != config.as_float()
        self.pixels = qnn.QuantIdentity(act_quant=PixelQuant, bit_width=8) if quantized else nn.Identity()

    def add_head(self, features: int) -> None:
        """The layers that make logits of that many features."""
        config, classes = self.config, len(self.config.classes)
        widths = (features, *config.head_hidden)
        self.hidden = nn.Sequential(
            *(HiddenLayer(config, before, after) for before, after in pairwise(widths))
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = linear(widths[-1], classes, config.edge_bits, scales=config.weight_scales)
        quantized = config != config.as_float()
        self.head_bias = Bias(classes, quantized=quantized) if config.head_bias else nn.Identity()

    @property
    def head_parts(self) -> tuple[nn.Module, ...]:
        """What stands behind the features."""
        return self.hidden, self.dropout, self.head, self.head_bias

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the head sees: (N, channels) of each clip, in networks of frames (N*frames, channels)."""
        return self.pool(self.body(self.pixels(x)))

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, classes) of `features`."""
        return self.head_bias(self.head(self.dropout(self.hidden(features))))


class HiddenLayer(nn.Module):
    """Dropout, product, bias, ReLU: a layer of the head before its last. The ReLU's thresholds take in the bias."""

    def __init__(self, config: NetworkConfig, features: int, outputs: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.linear = linear(features, outputs, config.weight_bits, scales=config.weight_scales)
        self.bias = Bias(outputs, quantized=False)
        self.relu = relu(config.act_bits)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bias(self.linear(self.dropout(x))))


class Residual(nn.Module):
    """A branch beside a shortcut, added, and ReLU; both share one quantizer, so that integers add.

    The ReLU's quantizer sees `uses` tensors in each step: more than one if others share it.
    """

    def __init__(self, config: NetworkConfig, branch: nn.Module, shortcut: nn.Module, uses: int = 1) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.joint = identity(config.act_bits)
        self.relu = relu(config.act_bits, uses)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.joint(self.branch(x)) + self.joint(self.shortcut(x)))


def clip_mean(frames: int) -> nn.Sequential:
    """(N*frames, C, H, W) becomes (N, C): the mean over pixels and frames."""
    return nn.Sequential(SpatialMean(), FrameMean(frames) if frames > 1 else nn.Identity())


def feature_quantizer(config: NetworkConfig, uses: int = 1) -> nn.Module:
    """For such means of values that are not negative; `uses` is that of `unsigned`."""
    return unsigned(None if config.act_bits is None else config.feature_bits, uses)


def unit(
    config: NetworkConfig,
    frames: int,
    channels: int,
    outputs: int,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    *,
    act: bool = True,
    edge: bool = False,
    uses: int = 1,
) -> nn.Sequential:
    """Convolution over (time, picture) of clips of `frames`, BatchNorm, and ReLU unless `act` is false.

    `edge` gives it the bits of a first layer; `uses` is that of `relu`.
    """
    product = conv3d(
        channels,
        outputs,
        kernel,
        stride,
        config.edge_bits if edge else config.weight_bits,
        frames=frames,
        causal=config.causal,
        scales=config.weight_scales,
    )
    return _normed(config, product, outputs, act=act, uses=uses)


def depthwise_unit(
    config: NetworkConfig,
    frames: int,
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
) -> nn.Sequential:
    """The same with a convolution of each channel by itself."""
    product = depthwise3d(
        channels,
        kernel,
        stride,
        config.weight_bits,
        frames=frames,
        causal=config.causal,
        scales=config.weight_scales,
    )
    return _normed(config, product, channels, act=True, uses=1)


def shortcut(
    config: NetworkConfig, frames: int, channels: int, outputs: int, stride: tuple[int, int]
) -> nn.Module:
    """What stands beside a branch: nothing, or a 1x1 convolution where the shape changes."""
    if channels == outputs and stride == (1, 1):
        return nn.Identity()
    return unit(config, frames, channels, outputs, (1, 1), stride, act=False)


def _normed(
    config: NetworkConfig, product: nn.Module, outputs: int, *, act: bool, uses: int
) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=product, norm=nn.BatchNorm2d(outputs, eps=config.norm_eps)
    )
    if act:
        layers["relu"] = relu(config.act_bits, uses)
    return nn.Sequential(layers)
