# SPDX-License-Identifier: Apache-2.0
"""3-D windows as gathers and 2-D windows, against torch's own 3-D convolution."""

import numpy as np
import torch
from framegate.hls.lowering.taps import Taps, flat_weights
from framegate.hls.operators.frame_gather import gather
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.conftest import FIXED_SEED


@st.composite
def taps(draw: st.DrawFn) -> tuple[Taps, int]:
    """A temporal window and a clip that it fits."""
    made = Taps(
        size=draw(st.integers(1, 4)),
        stride=draw(st.integers(1, 3)),
        dilation=draw(st.integers(1, 3)),
        before=draw(st.integers(0, 3)),
        after=draw(st.integers(0, 3)),
    )
    frames = draw(st.integers(1, 8))
    assume(frames + made.before + made.after > made.dilation * (made.size - 1))
    return made, frames


def padded(clip: np.ndarray, window: Taps) -> torch.Tensor:
    """A clip (T, C, H, W) as torch takes it, (1, C, T, H, W), with the window's frames of zeros."""
    batch = torch.from_numpy(clip).double().transpose(0, 1)[None]
    return functional.pad(batch, (0, 0, 0, 0, window.before, window.after))


def integers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8, 8, shape)


@settings(FIXED_SEED, max_examples=60)
@given(case=taps(), channels=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_3d_convolution_is_a_gather_and_a_2d_one(case: tuple[Taps, int], channels: int, seed: int) -> None:
    window, frames = case
    clip, weights = integers(seed, frames, channels, 3, 4), integers(seed + 1, 2, channels, window.size, 2, 3)
    expected = functional.conv3d(
        padded(clip, window), torch.from_numpy(weights).double(),
        stride=(window.stride, 1, 1), dilation=(window.dilation, 1, 1),
    )[0].transpose(0, 1)  # fmt: skip
    count = window.outputs(frames)
    assert len(expected) == count
    beside = gather(clip, tuple(window.frame_major(channels)), window.stride, 1, count)
    found = functional.conv2d(
        torch.from_numpy(beside).double(), torch.from_numpy(flat_weights(weights)).double()
    )
    assert torch.equal(found, expected)


@settings(FIXED_SEED, max_examples=60)
@given(case=taps(), channels=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_depthwise_one_reads_the_frames_of_each_channel(
    case: tuple[Taps, int], channels: int, seed: int
) -> None:
    window, frames = case
    clip, weights = integers(seed, frames, channels, 3, 4), integers(seed + 1, channels, 1, window.size, 2, 3)
    expected = functional.conv3d(
        padded(clip, window), torch.from_numpy(weights).double(),
        stride=(window.stride, 1, 1), dilation=(window.dilation, 1, 1), groups=channels,
    )[0].transpose(0, 1)  # fmt: skip
    beside = gather(clip, tuple(window.channel_major(channels)), window.stride, 1, window.outputs(frames))
    flat = torch.from_numpy(flat_weights(weights, depthwise=True)).double()
    found = functional.conv2d(torch.from_numpy(beside).double(), flat, groups=channels)
    assert torch.equal(found, expected)


@settings(FIXED_SEED, max_examples=60)
@given(taps())
def test_one_to_one_is_a_copy_and_nothing_else_is(case: tuple[Taps, int]) -> None:
    window, frames = case
    clip = np.arange(1, frames + 1)[:, None, None, None] * np.ones((1, 1, 1, 1), np.int64)
    seen = gather(clip, tuple(window.frame_major(1)), window.stride, 1, window.outputs(frames))
    copies = seen.shape == clip.shape and bool((seen == clip).all())
    if window.one_to_one:
        assert copies
    elif frames > 1 and window.size == 1:
        assert not copies or window.after <= window.stride - 1


@settings(FIXED_SEED, max_examples=60)
@given(
    groups=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(-4, 4)), min_size=1, max_size=4),
    frames=st.integers(1, 5), stride=st.integers(1, 3), outputs=st.integers(0, 6),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_a_gather_frame_by_frame(
    groups: list[tuple[int, int, int]], frames: int, stride: int, outputs: int, seed: int
) -> None:
    clip = integers(seed, frames, 6, 2, 2)
    ranges = tuple((begin, begin + length, offset) for begin, length, offset in groups)
    found = gather(clip, ranges, stride, 1, outputs)
    assert len(found) == (outputs or -(-frames // stride))
    for frame, picture in enumerate(found):
        parts = []
        for begin, end, offset in ranges:
            source = frame * stride + offset
            parts.append(
                clip[source, begin:end] if 0 <= source < frames else np.zeros((end - begin, 2, 2), int)
            )
        assert np.array_equal(picture, np.concatenate(parts))
    last = np.moveaxis(clip, 1, 3)
    assert np.array_equal(np.moveaxis(gather(last, ranges, stride, 3, outputs), 3, 1), found), (
        "in either layout"
    )
