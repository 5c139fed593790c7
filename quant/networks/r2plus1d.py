# SPDX-License-Identifier: Apache-2.0
"""R(2+1)D (Tran et al. 2018): residual blocks whose 3-D convolutions are a spatial and a temporal one."""

from framegate.quant.networks.base import Network, Residual, clip_mean, feature_quantizer, shortcut, unit
from framegate.quant.networks.config import NetworkConfig
from torch import nn


class R2plus1d(Network, family="r2plus1d"):
    """A stem, then stages; from the second on, a stage begins with the same stride in time as in the picture.

    A causal network with such strides scores a clip by the frames up to its last step: at 16 frames and three
    strides of 2, frames 0 and 8 and what their windows reach back to. It is meant for streams.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        frames, channels, spatial = config.frames, config.widths[0], (1, config.stem_kernel)
        middle = max(1, 45 * channels // 64)  # the paper's 45 for 64
        layers: list[nn.Module] = [
            unit(config, frames, 3, middle, spatial, (1, config.strides[0]), edge=True),
            unit(config, frames, middle, channels, (3, 1)),
        ]
        for stage, depth in enumerate(config.depths):
            for place in range(depth):
                step = 1 if place else config.strides[stage + 1]
                stride = (step if stage else 1, step)
                layers.append(_block(config, frames, channels, config.widths[stage + 1], stride))
                frames, channels = -(-frames // stride[0]), config.widths[stage + 1]
        self.body = nn.Sequential(*layers)
        self.pool = nn.Sequential(clip_mean(frames), feature_quantizer(config))
        self.add_head(channels)


def middle_channels(channels: int, outputs: int) -> int:
    """Channels between the two, such that they have as many weights as one 3x3x3 convolution."""
    return 27 * channels * outputs // (9 * channels + 3 * outputs)


def _block(
    config: NetworkConfig, frames: int, channels: int, outputs: int, stride: tuple[int, int]
) -> Residual:
    later = -(-frames // stride[0])
    branch = nn.Sequential(
        *_factored(config, frames, channels, outputs, stride, act=True),
        *_factored(config, later, outputs, outputs, (1, 1), act=False),
    )
    return Residual(config, branch, shortcut(config, frames, channels, outputs, stride))


def _factored(
    config: NetworkConfig,
    frames: int,
    channels: int,
    outputs: int,
    stride: tuple[int, int],
    *,
    act: bool,
) -> tuple[nn.Module, nn.Module]:
    """A 1x3x3 and a 3x1x1 convolution."""
    middle = middle_channels(channels, outputs)
    return (
        unit(config, frames, channels, middle, (1, 3), (1, stride[1])),
        unit(config, frames, middle, outputs, (3, 1), (stride[0], 1), act=act),
    )
