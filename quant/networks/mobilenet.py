# SPDX-License-Identifier: Apache-2.0
"""MobileNetV1 as a frame network: depthwise separable blocks, TensorFlow's SAME padding, a shift before each."""

from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import FrameGather, conv, depthwise, relu
from framegate.quant.networks.residual import FrameNetwork
from torch import Tensor, nn


def same_padding(stride: int) -> tuple[nn.Module, int]:
    """What stands before a 3x3 convolution, and its own padding: pictures of even size at stride 2 get it on
    the right and at the bottom only.
    """
    return (nn.Identity(), 1) if stride == 1 else (nn.ZeroPad2d((0, 1, 0, 1)), 0)


class SeparableBlock(nn.Module):
    """Gather, depthwise 3x3, BatchNorm, ReLU, pointwise 1x1, BatchNorm, ReLU."""

    def __init__(
        self, config: NetworkConfig, channels: int, outputs: int, stride: int, *, shifts: bool
    ) -> None:
        super().__init__()
        bits, scales = config.weight_bits, config.weight_scales
        groups = config.gather_groups(channels) if shifts else ()
        self.gather = FrameGather(groups, config.frames) if groups else nn.Identity()
        self.pad, padding = same_padding(stride)
        self.depthwise = depthwise(channels, 3, stride, bits, padding=padding, scales=scales)
        self.norm1 = nn.BatchNorm2d(channels, eps=config.norm_eps)
        self.relu1 = relu(config.act_bits)
        self.pointwise = conv(channels, outputs, 1, 1, bits, scales=scales)
        self.norm2 = nn.BatchNorm2d(outputs, eps=config.norm_eps)
        self.relu2 = relu(config.act_bits)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.norm1(self.depthwise(self.pad(self.gather(x)))))
        return self.relu2(self.norm2(self.pointwise(x)))


class MobileNet(FrameNetwork, family="mobilenet"):
    """A 3x3 stem and separable blocks (Howard et al. 2017)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        widths, strides = config.widths, config.strides
        pad, padding = same_padding(strides[0])
        stem = conv(
            3, widths[0], 3, strides[0], config.edge_bits, padding=padding, scales=config.weight_scales
        )
        shapes = zip(widths, widths[1:], strides[1:], strict=False)
        self.add_frames(
            pad,
            stem,
            [SeparableBlock(config, *shape, shifts=config.shifts(i)) for i, shape in enumerate(shapes)],
        )
