# SPDX-License-Identifier: Apache-2.0
"""C3D (Tran et al. 2015): 3x3x3 convolutions and max pools, then layers that see a whole clip."""

from collections import OrderedDict

from framegate.quant.networks.base import Network, unit
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import max_over_time
from torch import nn


class C3d(Network, family="c3d"):
    """Stages of 3x3x3 convolutions with BatchNorm and ReLU, each with a pool behind it, until one frame is left.

    The first pool takes the largest of pixels, the others of pixels and two frames; a map of odd side is padded by one
    on all sides, which makes the paper's 7x7 a 4x4. `head_hidden` are the widths of its fc6 and fc7.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        channels, frames, side = 3, config.frames, config.size
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for stage, width in enumerate(config.widths):
            for place in range(config.depths[stage]):
                edge = stage == place == 0
                layers[f"conv{stage + 1}{'abcdefgh'[place]}"] = unit(
                    config, frames, channels, width, (3, 3), edge=edge
                )
                channels = width
            pool, padding = config.strides[stage], side % config.strides[stage]
            layers[f"pool{stage + 1}"] = nn.MaxPool2d(pool, padding=padding)
            side = (side + 2 * padding) // pool
            if stage:
                layers[f"pool{stage + 1}_t"] = max_over_time(channels, 2, 2, frames=frames)
                frames //= 2
        self.body = nn.Sequential(layers)
        self.pool = nn.Flatten()
        self.add_head(channels * side**2)
