# SPDX-License-Identifier: Apache-2.0
"""SlowFast (Feichtenhofer et al. 2019): a slow pathway of many channels, a fast one of few, joined after each stage."""

from dataclasses import dataclass

import torch
from framegate.quant.networks.base import Network, Residual, clip_mean, feature_quantizer, shortcut, unit
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import FrameGather
from torch import Tensor, nn

_STEM_FRAMES, _LATERAL_FRAMES = 5, 5  # in the kernels of the fast stem and of the lateral convolutions


class SlowFast(Network, family="slowfast"):
    """Two pathways of bottlenecks; the head sees the means of both."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.body = Pathways(config)
        self.pool = PathwayMeans(config)
        self.add_head(self.body.outputs)


class Pathways(nn.Module):
    """Pixels to the last maps of (slow, fast).

    The slow pathway sees every `speed_ratio`-th frame. After the stem's pool and after each stage but the last, a
    lateral convolution over 5 frames brings the fast pathway to the slow one's frames; its output and the slow tensor
    end in one shared quantizer and are concatenated.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        frames, ratio, stages = config.frames, config.speed_ratio, range(config.stages)
        self.skip = FrameGather(((0, 3, 0),), frames, ratio) if ratio > 1 else nn.Identity()
        slow = _Pathway(config, frames // ratio, 1, (1,) * 2 + (3,) * (config.stages - 2), shared=True)
        fast = _Pathway(config, frames, config.channel_ratio, (3,) * config.stages, shared=False)
        self.slow_stem, self.fast_stem = slow.stem(1), fast.stem(_STEM_FRAMES)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.laterals = nn.ModuleList(_lateral(config, fast.outputs(stage - 1)) for stage in stages)
        beside = [2 * fast.outputs(stage - 1) for stage in stages]
        self.slow = nn.ModuleList(slow.stage(stage, beside[stage]) for stage in stages)
        self.fast = nn.ModuleList(fast.stage(stage, 0) for stage in stages)
        self.outputs = slow.outputs(config.stages - 1) + fast.outputs(config.stages - 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        slow, fast = self.pool(self.slow_stem(self.skip(x))), self.pool(self.fast_stem(x))
        quantizer = self.slow_stem.get_submodule("relu")
        for lateral, slow_stage, fast_stage in zip(self.laterals, self.slow, self.fast, strict=True):
            slow = slow_stage(torch.cat([slow, quantizer(lateral(fast))], dim=1))
            fast = fast_stage(fast)
            assert isinstance(slow_stage, nn.Sequential)
            quantizer = slow_stage[-1].get_submodule("relu")
        return slow, fast


class PathwayMeans(nn.Module):
    """Means of both pathways over pixels and frames, through one quantizer, side by side: (N, slow + fast)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.slow = clip_mean(config.frames // config.speed_ratio)
        self.fast = clip_mean(config.frames)
        self.joint = feature_quantizer(config, uses=2)

    def forward(self, pathways: tuple[Tensor, Tensor]) -> Tensor:
        slow, fast = pathways
        return torch.cat([self.joint(self.slow(slow)), self.joint(self.fast(fast))], dim=1)


@dataclass(frozen=True)
class _Pathway:
    """One pathway's shape: its frames, one channel to `ratio` of the slow one, frames in each stage's kernels.

    The last quantizer of stem and stage is `shared` with a lateral convolution.
    """

    config: NetworkConfig
    frames: int
    ratio: int
    kernels_t: tuple[int, ...]
    shared: bool

    def outputs(self, stage: int) -> int:
        """Channels behind a stage, from 0; -1 is the stem."""
        width = self.config.widths[stage + 1] // self.ratio
        return width if stage < 0 else int(width * self.config.expansion)

    def stem(self, kernel_t: int) -> nn.Sequential:
        config = self.config
        kernel, stride = (kernel_t, config.stem_kernel), (1, config.strides[0])
        uses = 1 + self.shared
        return unit(config, self.frames, 3, self.outputs(-1), kernel, stride, edge=True, uses=uses)

    def stage(self, stage: int, beside: int) -> nn.Sequential:
        """Bottlenecks that see `beside` more channels than the stage before gives."""
        shared = self.shared and stage + 1 < self.config.stages
        channels, blocks = self.outputs(stage - 1) + beside, []
        for place in range(self.config.depths[stage]):
            last = place + 1 == self.config.depths[stage]
            stride = 1 if place else self.config.strides[stage + 1]
            blocks.append(self._bottleneck(stage, channels, stride, 1 + (shared and last)))
            channels = self.outputs(stage)
        return nn.Sequential(*blocks)

    def _bottleneck(self, stage: int, channels: int, stride: int, uses: int) -> Residual:
        config, frames = self.config, self.frames
        narrow, wide = config.widths[stage + 1] // self.ratio, self.outputs(stage)
        branch = nn.Sequential(
            unit(config, frames, channels, narrow, (self.kernels_t[stage], 1)),
            unit(config, frames, narrow, narrow, (1, 3), (1, stride)),
            unit(config, frames, narrow, wide, act=False),
        )
        return Residual(config, branch, shortcut(config, frames, channels, wide, (1, stride)), uses)


def _lateral(config: NetworkConfig, channels: int) -> nn.Sequential:
    """A time-strided convolution to twice the channels; its ReLU is that of the slow pathway."""
    kernel, stride = (_LATERAL_FRAMES, 1), (config.speed_ratio, 1)
    return unit(config, config.frames, channels, 2 * channels, kernel, stride, act=False)
