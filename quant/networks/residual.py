# SPDX-License-Identifier: Apache-2.0
"""Small residual networks of frames: with a temporal shift (TSM), without (TSN), with temporal convolutions (I3D)."""

from framegate.quant.networks.base import Network
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import FrameGather, FrameMean, SpatialMean, conv3d, identity, relu
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Gather, 3x3, ReLU, 3x3 beside a shortcut; both branches share one quantizer, so that integers add.

    The gather stands in the branch, or in place: then the shortcut sees the shifted frames too (Lin et al. 2019).
    """

    def __init__(
        self, config: NetworkConfig, channels: int, outputs: int, stride: int, *, shifts: bool
    ) -> None:
        super().__init__()
        groups = config.gather_groups(channels) if shifts else ()
        self.in_place = config.shift_place == "in-place"
        self.gather = FrameGather(groups, config.frames) if groups else nn.Identity()
        self.conv1 = inflated(config, channels, outputs, 3, stride, config.weight_bits)
        self.norm1 = nn.BatchNorm2d(outputs, eps=config.norm_eps)
        self.relu1 = relu(config.act_bits)
        self.conv2 = inflated(config, outputs, outputs, 3, 1, config.weight_bits)
        self.norm2 = nn.BatchNorm2d(outputs, eps=config.norm_eps)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != outputs:
            self.shortcut = nn.Sequential(
                inflated(config, channels, outputs, 1, stride, config.weight_bits),
                nn.BatchNorm2d(outputs, eps=config.norm_eps),
            )
        self.joint = identity(config.act_bits)
        self.relu2 = relu(config.act_bits)

    def forward(self, x: Tensor) -> Tensor:
        gathered = self.gather(x)
        branch = self.relu1(self.norm1(self.conv1(gathered)))
        branch = self.norm2(self.conv2(branch))
        beside = self.shortcut(gathered if self.in_place else x)
        return self.relu2(self.joint(branch) + self.joint(beside))


def inflated(
    config: NetworkConfig, channels: int, outputs: int, kernel: int, stride: int, bits: int | None
) -> nn.Module:
    """A convolution that sees `kernel_t` frames, unless it is 1x1."""
    return conv3d(
        channels,
        outputs,
        (config.kernel_t if kernel > 1 else 1, kernel),
        (1, stride),
        bits,
        frames=config.frames,
        causal=config.causal,
        scales=config.weight_scales,
    )


class FrameNetwork(Network):
    """A picture network on every frame of a clip, and the mean of the frames' logits."""

    def add_frames(self, stem_pad: nn.Module, stem: nn.Module, blocks: list[nn.Module]) -> None:
        """The layers of a network, in order."""
        config = self.config
        self.stem_pad = stem_pad
        self.stem = stem
        self.stem_norm = nn.BatchNorm2d(config.widths[0], eps=config.norm_eps)
        self.stem_relu = relu(config.act_bits)
        self.stages = nn.Sequential(*blocks)
        self.spatial_mean = SpatialMean()
        self.add_head(config.widths[-1])
        self.frame_mean = FrameMean(config.frames)

    def features(self, x: Tensor) -> Tensor:
        """What the head sees: (N*frames, channels of the last block)."""
        x = self.stem_relu(self.stem_norm(self.stem(self.stem_pad(self.pixels(x)))))
        return self.spatial_mean(self.stages(x))

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, classes) of `features`."""
        return self.frame_mean(super().classify(features))


class ResidualNetwork(FrameNetwork, family="residual"):
    """A 3x3 stem and residual blocks.

    With `kernel_t` frames in its kernels it is an inflated picture network (Carreira and Zisserman 2017).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        widths, strides = config.widths, config.strides
        stem = inflated(config, 3, widths[0], 3, strides[0], config.edge_bits)
        shapes = zip(widths, widths[1:], strides[1:], strict=False)
        self.add_frames(
            nn.Identity(),
            stem,
            [ResidualBlock(config, *shape, shifts=config.shifts(i)) for i, shape in enumerate(shapes)],
        )
