# SPDX-License-Identifier: Apache-2.0
"""X3D (Feichtenhofer 2020): bottlenecks that are wide inside, around depthwise 3x3x3 convolutions.

Two things differ from the paper: Swish is ReLU, which becomes thresholds as any monotone activation (Swish is none),
and there is no squeeze-and-excitation: its factors depend on the data, which no layer of this hardware can multiply by.
"""

from framegate.quant.networks.base import (
    Network,
    Residual,
    clip_mean,
    depthwise_unit,
    feature_quantizer,
    shortcut,
    unit,
)
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import identity
from torch import nn


class X3d(Network, family="x3d"):
    """A spatial and a temporal stem, stages, a 1x1 convolution, means, and the head's hidden layer.

    Between the two convolutions of the stem stand a BatchNorm and a signed quantizer.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        frames, channels = config.frames, config.widths[0]
        layers: list[nn.Module] = [
            unit(config, frames, 3, channels, (1, 3), (1, config.strides[0]), act=False, edge=True),
            identity(config.act_bits, uses=1),
            depthwise_unit(config, frames, channels, (5, 1)),
        ]
        for stage, depth in enumerate(config.depths):
            for place in range(depth):
                outputs, stride = config.widths[stage + 1], 1 if place else config.strides[stage + 1]
                layers.append(_block(config, channels, outputs, stride))
                channels = outputs
        layers.append(unit(config, frames, channels, config.last_width))
        self.body = nn.Sequential(*layers)
        self.pool = nn.Sequential(clip_mean(frames), feature_quantizer(config))
        self.add_head(config.last_width)


def _block(config: NetworkConfig, channels: int, outputs: int, stride: int) -> Residual:
    frames, inner = config.frames, int(outputs * config.expansion)
    branch = nn.Sequential(
        unit(config, frames, channels, inner),
        depthwise_unit(config, frames, inner, (3, 3), (1, stride)),
        unit(config, frames, inner, outputs, act=False),
    )
    return Residual(config, branch, shortcut(config, frames, channels, outputs, (1, stride)))
