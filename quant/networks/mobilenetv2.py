# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2 as a frame network: inverted residuals, a temporal shift before those that have a shortcut."""

from framegate.quant.networks.base import Network, clip_mean, depthwise_unit, feature_quantizer, unit
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import FrameGather, identity
from torch import Tensor, nn


class InvertedResidual(nn.Module):
    """1x1 to `wide` channels, ReLU, depthwise 3x3, ReLU, 1x1 without ReLU; a shortcut where the shape stays.

    The paper's ReLU6 is a ReLU whose quantizer saturates where it learns to. A shift stands only in blocks that have
    a shortcut, as in the TSM paper's code.
    """

    def __init__(
        self, config: NetworkConfig, channels: int, wide: int, outputs: int, stride: int, *, shifts: bool
    ) -> None:
        super().__init__()
        frames, acts = config.frames, config.act_bits
        self.has_shortcut = stride == 1 and channels == outputs
        self.in_place = config.shift_place == "in-place"
        groups = config.gather_groups(channels) if shifts and self.has_shortcut else ()
        self.gather = FrameGather(groups, frames) if groups else nn.Identity()
        self.expand = unit(config, frames, channels, wide) if wide != channels else nn.Identity()
        self.depthwise = depthwise_unit(config, frames, wide, (1, 3), (1, stride))
        self.project = unit(config, frames, wide, outputs, act=False)
        self.joint = identity(acts, uses=2 if self.has_shortcut else 1)

    def forward(self, x: Tensor) -> Tensor:
        gathered = self.gather(x)
        branch = self.joint(self.project(self.depthwise(self.expand(gathered))))
        if not self.has_shortcut:
            return branch
        return branch + self.joint(gathered if self.in_place else x)


class MobileNetV2(Network, family="mobilenetv2"):
    """A 3x3 stem, inverted residuals, a 1x1 convolution, means over pixels and frames."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        frames, widths = config.frames, config.widths
        blocks: list[nn.Module] = []
        channels = widths[0]
        for stage, depth in enumerate(config.depths):
            expansion = config.expansion if stage else 1
            for place in range(depth):
                stride = 1 if place else config.strides[stage + 1]
                shifts = config.shifts(len(blocks))
                shape = (channels, int(channels * expansion), widths[stage + 1], stride)
                blocks.append(InvertedResidual(config, *shape, shifts=shifts))
                channels = widths[stage + 1]
        self.body = nn.Sequential(
            unit(config, frames, 3, widths[0], (1, 3), (1, config.strides[0]), edge=True),
            *blocks,
            unit(config, frames, channels, config.last_width),
        )
        self.pool = nn.Sequential(clip_mean(frames), feature_quantizer(config))
        self.add_head(config.last_width)
