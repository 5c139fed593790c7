# SPDX-License-Identifier: Apache-2.0
"""Temporal layers are frame gathers and 2-D ones, and equal torch's 3-D ones, on integers, exactly."""

import pytest
import torch
import torch.nn.functional as F
from framegate.errors import UsageError
from framegate.quant.networks.layers import FrameGather, conv3d, depthwise3d, max_over_time
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

CLIPS = 2


@st.composite
def windows(draw: st.DrawFn) -> dict:
    """A convolution over (time, picture) that fits its clip."""
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 3)))
    padding = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
    return {
        "channels": draw(st.integers(1, 4)),
        "outputs": draw(st.integers(1, 4)),
        "frames": draw(st.integers(max(1, kernel[0] - 2 * padding[0]), 8)),
        "side": draw(st.integers(max(1, kernel[1] - 2 * padding[1]), 6)),
        "kernel": kernel,
        "stride": (draw(st.integers(1, 4)), draw(st.integers(1, 2))),
        "padding": padding,
        "causal": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**31)),
    }


def whole(generator: torch.Generator, *shape: int) -> Tensor:
    """Random whole numbers: their sums are exact in any order."""
    return torch.randint(-8, 8, shape, generator=generator).float()


def to_clips(frames: Tensor, channels: int) -> Tensor:
    """(N*T, C, H, W) as torch's (N, C, T, H, W)."""
    return frames.unflatten(0, (CLIPS, -1)).transpose(1, 2)[:, :channels]


def reference(x: Tensor, weight: Tensor, window: dict, groups: int) -> Tensor:
    """torch's Conv3d of clips; a causal one sees k_t - 1 frames of zeros in front, and no others."""
    beside, around = window["padding"]
    if window["causal"]:
        x, beside = F.pad(x, (0, 0, 0, 0, window["kernel"][0] - 1, 0)), 0
    stride_t, stride = window["stride"]
    return F.conv3d(
        x, weight, stride=(stride_t, stride, stride), padding=(beside, around, around), groups=groups
    )


def product(layer: nn.Module) -> nn.Conv2d:
    """The 2-D convolution in a temporal layer."""
    found = layer if isinstance(layer, nn.Conv2d) else layer.get_submodule("conv")
    assert isinstance(found, nn.Conv2d)
    return found


@settings(max_examples=300, deadline=None)
@given(windows())
def test_a_3d_convolution_is_a_frame_gather_and_a_2d_one(window: dict) -> None:
    random = torch.Generator().manual_seed(window["seed"])
    channels, outputs, kernel = window["channels"], window["outputs"], window["kernel"]
    layer = conv3d(
        channels,
        outputs,
        kernel,
        window["stride"],
        None,
        frames=window["frames"],
        padding=window["padding"],
        causal=window["causal"],
    )
    weight = whole(random, outputs, channels, kernel[0], kernel[1], kernel[1])
    product(layer).weight.data = weight.transpose(1, 2).flatten(1, 2)
    x = whole(random, CLIPS * window["frames"], channels, window["side"], window["side"])
    expected = reference(to_clips(x, channels), weight, window, groups=1)
    assert torch.equal(to_clips(layer(x), outputs), expected)


@settings(max_examples=300, deadline=None)
@given(windows())
def test_so_is_a_depthwise_one(window: dict) -> None:
    random = torch.Generator().manual_seed(window["seed"])
    channels, kernel = window["channels"], window["kernel"]
    layer = depthwise3d(
        channels,
        kernel,
        window["stride"],
        None,
        frames=window["frames"],
        padding=window["padding"],
        causal=window["causal"],
    )
    weight = whole(random, channels, 1, kernel[0], kernel[1], kernel[1])
    product(layer).weight.data = weight[:, 0]
    x = whole(random, CLIPS * window["frames"], channels, window["side"], window["side"])
    expected = reference(to_clips(x, channels), weight, window, groups=channels)
    assert torch.equal(to_clips(layer(x), channels), expected)


@settings(max_examples=100, deadline=None)
@given(
    channels=st.integers(1, 4),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    more=st.integers(0, 5),
    causal=st.booleans(),
)
def test_the_largest_over_time_is_that_of_torch(
    channels: int, kernel: int, stride: int, more: int, causal: bool
) -> None:
    frames = kernel + more
    x = torch.randint(0, 16, (CLIPS * frames, channels, 2, 3)).float()
    layer = max_over_time(channels, kernel, stride, frames=frames, causal=causal)
    clips = to_clips(x, channels)
    if causal:
        clips = F.pad(clips, (0, 0, 0, 0, kernel - 1, 0))
    expected = F.max_pool3d(clips, (kernel, 1, 1), stride=(stride, 1, 1))
    assert torch.equal(to_clips(layer(x), channels), expected)


def test_what_sees_one_frame_at_a_time_gathers_nothing() -> None:
    assert isinstance(conv3d(3, 4, (1, 3), (1, 2), None, frames=8), nn.Conv2d)
    assert isinstance(depthwise3d(4, (1, 3), (1, 1), None, frames=8), nn.Conv2d)
    skipping = conv3d(3, 4, (1, 1), (2, 1), None, frames=8)
    assert skipping.gather.groups == ((0, 3, 0),)


def test_half_the_window_pads_it_and_a_causal_one_looks_back() -> None:
    centred = conv3d(2, 4, (5, 1), (4, 1), None, frames=8)
    assert centred.gather.groups == tuple((0, 2, offset) for offset in (-2, -1, 0, 1, 2))
    assert centred.gather.frames_out == 2
    causal = depthwise3d(2, (3, 3), (1, 1), None, frames=8, causal=True)
    assert causal.gather.groups == tuple((channel, channel + 1, t) for channel in (0, 1) for t in (-2, -1, 0))


def test_a_window_that_is_longer_than_its_clip_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^a window of 3 frames is longer than a clip of 2 frames; use more"
    ):
        conv3d(1, 1, (3, 1), (1, 1), None, frames=2, padding=(0, 0))
    with pytest.raises(UsageError, match=r"^a window of 4 frames is longer than a clip of 3 frames"):
        max_over_time(1, 4, 1, frames=3)


def test_a_gather_may_give_more_or_fewer_frames_than_it_takes() -> None:
    x = torch.arange(1.0, 5).view(4, 1, 1, 1)
    more = FrameGather(((0, 1, -1),), frames=4, outputs=6)(x)
    assert more.flatten().tolist() == [0, 1, 2, 3, 4, 0]
    fewer = FrameGather(((0, 1, 1),), frames=4, stride_t=2, outputs=1)(x)
    assert fewer.flatten().tolist() == [2]


def test_channels_that_no_group_names_are_left_out() -> None:
    x = torch.randn(4, 3, 2, 2)
    gathered = FrameGather(((0, 1, 0), (0, 1, -1)), frames=4)(x)
    assert gathered.shape == (4, 2, 2, 2)
    assert torch.equal(gathered[1:, 1], x[:-1, 0])
