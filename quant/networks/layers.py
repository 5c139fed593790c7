# SPDX-License-Identifier: Apache-2.0
"""The layers of which the networks are made: each in float (bits of None) and quantized, temporal ones beside.

A clip is `frames` pictures; frames ride on the batch axis, so that all layers but `FrameGather` and `FrameMean`
are 2-D. Every scale of a quantized network is a power of two: its values are exact in float32 in any order of
summation.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
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
from framegate.errors import UsageError
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


Groups = tuple[tuple[int, int, int], ...]  # (channel begin, channel end, frame offset)


def _exported() -> bool:
    """Whether a graph is made for others; up to torch 2.11 a network that torch.compile traces says so as well."""
    return torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()


class FrameGather(nn.Module):
    """Output frame j: the concatenated channel ranges of frames j*stride_t + offset; zero outside the clip.

    (N*frames, C, H, W) becomes (N*outputs, total width of `groups`, H, W); `outputs` of 0 stands for
    ceil(frames/stride_t).
    """

    def __init__(self, groups: Groups, frames: int, stride_t: int = 1, outputs: int = 0) -> None:
        super().__init__()
        self.groups = groups
        self.frames = frames
        self.stride_t = stride_t
        self.outputs = outputs
        self.taps = _side_by_side(groups)

    @property
    def frames_out(self) -> int:
        """Frames of a clip that it gives."""
        return self.outputs or -(-self.frames // self.stride_t)

    def forward(self, x: Tensor) -> Tensor:
        if _exported():
            return self._node(x)
        clips = x.permute(0, 2, 3, 1).unflatten(0, (-1, self.frames))  # channels last: as in `to_input`
        if self.taps:
            each = clips[..., : len(self.groups) // len(self.taps)]
            gathered = torch.stack([self._moved(each, tap) for tap in self.taps], dim=-1).flatten(-2)
        else:
            parts = [self._moved(clips[..., begin:end], offset) for begin, end, offset in self.groups]
            gathered = torch.cat(parts, dim=-1)
        return gathered.flatten(0, 1).permute(0, 3, 1, 2)

    def _moved(self, clips: Tensor, offset: int) -> Tensor:
        """Frames j*stride_t + offset of clips (N, T, H, W, C)."""
        last = (self.frames_out - 1) * self.stride_t + offset
        padding = (max(0, -offset), max(0, last + 1 - self.frames))
        if any(padding):
            clips = F.pad(clips, (0, 0) * 3 + padding)
        start = max(0, offset)
        return clips[:, start : start + last - offset + 1 : self.stride_t]

    def _node(self, x: Tensor) -> Tensor:
        channels = sum(end - begin for begin, end, _ in self.groups)
        return torch.onnx.ops.symbolic(
            "framegate.hls.finn_ops::FrameGather",
            (x,),
            {
                "groups": [number for group in self.groups for number in group],
                "stride_t": self.stride_t,
                "frames": self.frames,
                "outputs": self.outputs,
                "data_layout": "NCHW",
            },
            dtype=x.dtype,
            shape=(self.frames_out, channels, *x.shape[2:]),
            version=1,
        )


def _side_by_side(groups: Groups) -> tuple[int, ...]:
    """The offsets, if each channel by itself comes from the same frames; else none."""
    taps = tuple(offset for begin, _, offset in groups if begin == 0)
    return taps if groups == _of_each_channel(len(groups) // max(1, len(taps)), taps) else ()


def _of_each_channel(channels: int, taps: Sequence[int]) -> Groups:
    """Every channel from the frames at offsets `taps`, side by side."""
    return tuple((channel, channel + 1, tap) for channel in range(channels) for tap in taps)


def _window(frames: int, kernel: int, stride: int, padding: int | None, *, causal: bool) -> tuple[range, int]:
    """The frame offsets of a temporal window, and how many output frames it gives.

    Padding is on both sides, half the window if None; that of a causal one is in front, and it ends with the
    present frame. Raises UsageError when the window is longer than the clip.
    """
    if causal:
        return range(1 - kernel, 1), -(-frames // stride)
    before = kernel // 2 if padding is None else padding
    outputs = (frames + 2 * before - kernel) // stride + 1
    if outputs < 1:
        raise UsageError(
            f"a window of {kernel} frames is longer than a clip of {frames} frames; use more frames"
        )
    return range(-before, kernel - before), outputs


class FrameMean(nn.Module):
    """(N*frames, K) becomes (N, K): the sum over a clip's frames times 2^-ceil(log2(frames))."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        return self._sum(x) * inverse_power_of_two(self.frames)

    def _sum(self, x: Tensor) -> Tensor:
        if not _exported():
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


class ChannelMax(nn.Module):
    """The largest of `group` neighbouring channels: (N, group*C, H, W) becomes (N, C, H, W)."""

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        if not _exported():
            return x.unflatten(1, (-1, self.group)).max(dim=2).values
        return torch.onnx.ops.symbolic(
            "framegate.hls.finn_ops::ChannelMax",
            (x,),
            {"group": self.group, "data_layout": "NCHW"},
            dtype=x.dtype,
            shape=(x.shape[0], x.shape[1] // self.group, *x.shape[2:]),
            version=1,
        )


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
    channels: int,
    kernel: int,
    stride: int,
    bits: int | None,
    *,
    padding: int,
    frames: int = 1,
    scales: Scales = "max",
) -> nn.Module:
    """A convolution of each channel by itself, in as many `frames` as stand side by side; a scale per channel."""
    shape = {"kernel_size": kernel, "stride": stride, "padding": padding, "groups": channels, "bias": False}
    if bits is None:
        return nn.Conv2d(frames * channels, channels, **shape)  # type: ignore[arg-type]
    quantizer = {"weight_quant": _CHANNEL[scales], "weight_bit_width": bits}
    return qnn.QuantConv2d(frames * channels, channels, **shape, **quantizer)


def conv3d(
    channels: int,
    outputs: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    bits: int | None,
    *,
    frames: int,
    padding: tuple[int, int] | None = None,
    causal: bool = False,
    scales: Scales = "max",
) -> nn.Module:
    """A convolution over time and picture, kernel (k_t, k) and stride (s_t, s), of clips of `frames`, without bias.

    A frame gather puts the k_t frames of the window side by side, all channels of the first frame first; then
    follows a 2-D convolution: its weights are those of torch's Conv3d, (O, C, k_t, k, k), as (O, k_t*C, k, k).
    `padding` (p_t, p) of None is half the kernel; a causal one reaches back only, whatever its p_t.
    Raises UsageError when the window is longer than the clip.
    """
    beside, around = (None, None) if padding is None else padding
    taps, count = _window(frames, kernel[0], stride[0], beside, causal=causal)
    product = conv(len(taps) * channels, outputs, kernel[1], stride[1], bits, padding=around, scales=scales)
    groups = tuple((0, channels, tap) for tap in taps)
    return _behind_gather(product, FrameGather(groups, frames, stride[0], count))


def depthwise3d(
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    bits: int | None,
    *,
    frames: int,
    padding: tuple[int, int] | None = None,
    causal: bool = False,
    scales: Scales = "max",
) -> nn.Module:
    """The same of each channel by itself: weights (C, k_t, k, k), a scale per channel."""
    beside, around = (None, kernel[1] // 2) if padding is None else padding
    taps, count = _window(frames, kernel[0], stride[0], beside, causal=causal)
    product = depthwise(channels, kernel[1], stride[1], bits, padding=around, frames=len(taps), scales=scales)
    return _behind_gather(product, FrameGather(_of_each_channel(channels, taps), frames, stride[0], count))


def _behind_gather(product: nn.Module, gather: FrameGather) -> nn.Module:
    """`product` alone, if it sees each frame by itself."""
    if gather.stride_t == 1 and {offset for *_, offset in gather.groups} == {0}:
        return product
    return nn.Sequential(OrderedDict(gather=gather, conv=product))


def max_over_time(
    channels: int, kernel: int, stride: int, *, frames: int, causal: bool = False
) -> nn.Sequential:
    """The largest value of each channel in a window of `kernel` frames, without padding.

    Causal, zeros stand before the clip: for values that are not negative.
    """
    taps, count = _window(frames, kernel, stride, 0, causal=causal)
    gather = FrameGather(_of_each_channel(channels, taps), frames, stride, count)
    return nn.Sequential(gather, ChannelMax(kernel))


def linear(features: int, outputs: int, bits: int | None, *, scales: Scales = "max") -> nn.Module:
    """A matrix product without bias."""
    if bits is None:
        return nn.Linear(features, outputs, bias=False)
    quantizer = {"weight_quant": _TENSOR[scales], "weight_bit_width": bits}
    return qnn.QuantLinear(features, outputs, bias=False, **quantizer)


def relu(bits: int | None, uses: int = 1) -> nn.Module:
    """ReLU, with a learned power-of-two scale when quantized; it sees `uses` tensors in each step."""
    if bits is None:
        return nn.ReLU()
    return qnn.QuantReLU(
        act_quant=Uint8ActPerTensorFixedPoint, bit_width=bits, collect_stats_steps=uses * CALIBRATION_STEPS
    )


def unsigned(bits: int | None, uses: int = 1) -> nn.Module:
    """A quantizer for means of values that are not negative; it sees `uses` tensors in each step."""
    if bits is None:
        return nn.Identity()
    return qnn.QuantIdentity(
        act_quant=Uint8ActPerTensorFixedPoint, bit_width=bits, collect_stats_steps=uses * CALIBRATION_STEPS
    )


def identity(bits: int | None, uses: int = 2) -> nn.Module:
    """A signed quantizer, by default for the two branches of a residual block, which see it in turn."""
    if bits is None:
        return nn.Identity()
    return qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFixedPoint, bit_width=bits, collect_stats_steps=uses * CALIBRATION_STEPS
    )
