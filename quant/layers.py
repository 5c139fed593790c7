# SPDX-License-Identifier: Apache-2.0
"""The layers of which the networks are made: each in float (bits of None) and quantized, temporal ones beside.

A clip is `frames` pictures; frames ride on the batch axis, so that all layers but `FrameGather` and `FrameMean`
are 2-D. Every scale of a quantized network is a power of two: its values are exact in float32 in any order of
summation.
"""

import math
from typing import Literal

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from brevitas.inject.enum import ScalingImplType
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant.fixed_point import Int8WeightPerChannelFixedPoint
from torch import Tensor, nn

Scales = Literal["max", "learned"]

CALIBRATION_STEPS = (
    30  # training-mode batches from which an activation scale is initialised, then it is learned
)


class PixelQuant(Uint8ActPerTensorFixedPoint):
    """Unsigned 8 bit at the constant scale 2^-8: pixel/256 passes through unchanged."""

    scaling_impl_type = ScalingImplType.CONST
    scaling_init = 1.0


class BiasQuant(Int8ActPerTensorFixedPoint):
    """Signed 16 bit at the constant scale 2^-8: -128 … 127.996 in steps of a 256th."""

    bit_width = 16
    scaling_impl_type = ScalingImplType.CONST
    scaling_init = 128.0


class TensorMaxQuant(Int8WeightPerTensorFixedPoint):
    """The smallest power of two at which the largest weight fits; all-zero weights keep a scale."""

    scaling_min_val = 2.0**-16


class ChannelMaxQuant(Int8WeightPerChannelFixedPoint):
    """The same per output channel."""

    scaling_min_val = 2.0**-16


class TensorLearnedQuant(TensorMaxQuant):
    """A power of two that starts there and is learned."""

    scaling_impl_type = ScalingImplType.PARAMETER_FROM_STATS


class ChannelLearnedQuant(ChannelMaxQuant):
    """The same per output channel."""

    scaling_impl_type = ScalingImplType.PARAMETER_FROM_STATS


_TENSOR = {"max": TensorMaxQuant, "learned": TensorLearnedQuant}
_CHANNEL = {"max": ChannelMaxQuant, "learned": ChannelLearnedQuant}


class FrameGather(nn.Module):
    """Output frame t: the concatenated channel ranges of frames t*stride_t + offset; zero outside the clip.

    (N*frames, C, H, W) becomes (N*ceil(frames/stride_t), total width of `groups`, H, W).
    """

    def __init__(self, groups: tuple[tuple[int, int, int], ...], frames: int, stride_t: int = 1) -> None:
        super().__init__()
        self.groups = groups
        self.frames = frames
        self.stride_t = stride_t

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return self._node(x)
        clips = x.unflatten(0, (-1, self.frames))
        return torch.cat([self._part(clips, *group) for group in self.groups], dim=2).flatten(0, 1)

    def _part(self, clips: Tensor, begin: int, end: int, offset: int) -> Tensor:
        padding = (0, 0) * 3 + (max(0, -offset), max(0, offset))
        start = max(0, offset)
        return F.pad(clips[:, :, begin:end], padding)[:, start : start + self.frames : self.stride_t]

    def _node(self, x: Tensor) -> Tensor:
        channels = sum(end - begin for begin, end, _ in self.groups)
        return torch.onnx.ops.symbolic(
            "framegate.hls.finn_ops::FrameGather",
            (x,),
            {
                "groups": [number for group in self.groups for number in group],
                "stride_t": self.stride_t,
                "frames": self.frames,
                "data_layout": "NCHW",
            },
            dtype=x.dtype,
            shape=(-(-self.frames // self.stride_t), channels, *x.shape[2:]),
            version=1,
        )


class FrameMean(nn.Module):
    """(N*frames, K) becomes (N, K): the sum over a clip's frames times 2^-ceil(log2(frames))."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        return self._sum(x) * inverse_power_of_two(self.frames)

    def _sum(self, x: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():
            return x.unflatten(0, (-1, self.frames)).sum(dim=1)
        return torch.onnx.ops.symbolic(
            "framegate.hls.finn_ops::FrameMean",
            (x,),
            {"frames": self.frames, "data_layout": "NC"},
            dtype=x.dtype,
            shape=(1, x.shape[1]),
            version=1,
        )


class SpatialMean(nn.Module):
    """(N, C, H, W) becomes (N, C): the sum over a frame's pixels times 2^-ceil(log2(H*W))."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.sum((2, 3), keepdim=True) * inverse_power_of_two(x.shape[2] * x.shape[3])).flatten(1)


def inverse_power_of_two(count: int) -> float:
    return 2.0 ** -math.ceil(math.log2(count))


class Bias(nn.Module):
    """Adds one value per feature; quantized, it is a whole number of accumulator steps."""

    def __init__(self, features: int, *, quantized: bool) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(features))
        self.quantizer = qnn.QuantIdentity(act_quant=BiasQuant) if quantized else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.quantizer(self.value)


def conv(
    channels: int,
    outputs: int,
    kernel: int,
    stride: int,
    bits: int | None,
    *,
    padding: int | None = None,
    scales: Scales = "max",
) -> nn.Module:
    """A convolution without bias; `padding` of None is half the kernel."""
    shape = {"kernel_size": kernel, "stride": stride, "bias": False}
    shape["padding"] = kernel // 2 if padding is None else padding
    if bits is None:
        return nn.Conv2d(channels, outputs, **shape)  # type: ignore[arg-type]
    quantizer = {"weight_quant": _TENSOR[scales], "weight_bit_width": bits}
    return qnn.QuantConv2d(channels, outputs, **shape, **quantizer)


def depthwise(
    channels: int, kernel: int, stride: int, bits: int | None, *, padding: int, scales: Scales = "max"
) -> nn.Module:
    """A convolution of each channel by itself, without bias; a scale per channel."""
    shape = {"kernel_size": kernel, "stride": stride, "padding": padding, "groups": channels, "bias": False}
    if bits is None:
        return nn.Conv2d(channels, channels, **shape)  # type: ignore[arg-type]
    quantizer = {"weight_quant": _CHANNEL[scales], "weight_bit_width": bits}
    return qnn.QuantConv2d(channels, channels, **shape, **quantizer)


def linear(features: int, outputs: int, bits: int | None, *, scales: Scales = "max") -> nn.Module:
    """A matrix product without bias."""
    if bits is None:
        return nn.Linear(features, outputs, bias=False)
    quantizer = {"weight_quant": _TENSOR[scales], "weight_bit_width": bits}
    return qnn.QuantLinear(features, outputs, bias=False, **quantizer)


def relu(bits: int | None) -> nn.Module:
    """ReLU, with a learned power-of-two scale when quantized."""
    if bits is None:
        return nn.ReLU()
    return qnn.QuantReLU(
        act_quant=Uint8ActPerTensorFixedPoint, bit_width=bits, collect_stats_steps=CALIBRATION_STEPS
    )


def identity(bits: int | None) -> nn.Module:
    """A signed quantizer for the two branches of a residual block, which see it in turn."""
    if bits is None:
        return nn.Identity()
    return qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFixedPoint, bit_width=bits, collect_stats_steps=2 * CALIBRATION_STEPS
    )  # twice: one instance sees both branches of a residual block in each step
