# SPDX-License-Identifier: Apache-2.0
"""The sliding window against explicit loops, at every odd geometry."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Window, each_beat
from framegate.hls.stream import Stream
from framegate.rtl_sim.bench.simulator import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream
from tests.kernels.stepping import Read, stepped


def window(taken: Stream | None = None, **changes: Any) -> Window:
    usual = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1, 1, 1), "pad_value": 3, "repeat": 1}
    return Window(name="w", input=taken or stream(), **usual | changes)


CASES = {
    "3x3": window(),
    "3x3-repeated": window(repeat=2),
    "stride-2": window(stride=(2, 2)),
    "stride-2-odd": window(stream(height=5, width=7), stride=(2, 2)),
    "1x1-stride-2": window(kernel=(1, 1), stride=(2, 2), padding=(0, 0, 0, 0), repeat=3),
    "1x1": window(kernel=(1, 1), padding=(0, 0, 0, 0)),
    "one-pixel-1x1": window(
        stream(height=1, width=1, lanes=1), kernel=(1, 1), padding=(0, 0, 0, 0), repeat=3
    ),
    "one-pixel-3x3": window(stream(height=1, width=1)),
    "bottom-right-only": window(
        stream(height=6, width=7), kernel=(3, 2), stride=(2, 1), padding=(0, 0, 1, 1)
    ),
    "top-left-only": window(stream(height=6, width=7), kernel=(2, 3), stride=(1, 2), padding=(1, 2, 0, 0)),
    "stride-beyond-kernel": window(
        stream(height=5, width=5), kernel=(2, 2), stride=(3, 3), padding=(0, 0, 0, 0)
    ),
    "rows-left-over": window(stream(height=8, width=6), kernel=(2, 2), stride=(3, 4), padding=(0, 0, 0, 0)),
    "whole-frame": window(kernel=(4, 5), padding=(0, 0, 0, 0)),
    "5x5": window(stream(height=6, width=6, lanes=4), kernel=(5, 5), padding=(2, 2, 2, 2)),
    "wide-padding": window(stream(height=2, width=2, lanes=1), kernel=(4, 4), padding=(3, 3, 3, 3)),
    "row": window(stream(height=1, width=8, lanes=1), kernel=(1, 3), padding=(0, 1, 0, 1)),
    "column": window(stream(height=8, width=1), kernel=(3, 1), padding=(1, 0, 1, 0), stride=(2, 1)),
    "one-lane-signed": window(stream(lanes=1, signed=True), pad_value=-8),
    "all-lanes-8bit": window(stream(lanes=4, bits=8), pad_value=255),
    "depthwise": window(depthwise=True),
    "depthwise-one-lane": window(stream(lanes=1), depthwise=True),
    "depthwise-all-lanes": window(stream(lanes=4), depthwise=True, stride=(2, 2)),
    "depthwise-bottom-right": window(
        stream(height=6, width=8, channels=6), stride=(2, 2), padding=(0, 0, 1, 1), depthwise=True
    ),
    "depthwise-one-pixel": window(stream(height=1, width=1), depthwise=True),
    "depthwise-1x1": window(kernel=(1, 1), padding=(0, 0, 0, 0), depthwise=True),
    "depthwise-uneven": window(
        stream(height=6, width=5, channels=3, lanes=1), kernel=(2, 4), padding=(1, 3, 0, 1), depthwise=True
    ),
}


@each(CASES)
def test_values_and_cycles(kernel: Window, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
@pytest.mark.parametrize("name", ["3x3-repeated", "depthwise"])
def test_values_and_cycles_in_verilator(name: str, tmp_path: Path) -> None:
    check_kernel(CASES[name], tmp_path, simulator="verilator")


@each(CASES)
def test_reference_follows_the_definition(kernel: Window) -> None:
    values, out = random_clips(kernel.input, 1, 0), kernel.outputs[0]
    expected = np.full((1, *out.shape), kernel.pad_value)
    for row, column, tap_y, tap_x in np.ndindex(out.height, out.width, *kernel.kernel):
        y = row * kernel.stride[0] - kernel.padding[0] + tap_y
        x = column * kernel.stride[1] - kernel.padding[1] + tap_x
        if 0 <= y < kernel.input.height and 0 <= x < kernel.input.width:
            places = _places(kernel, tap_y * kernel.kernel[1] + tap_x)
            expected[..., row, column, places] = values[..., y, x, :]
    assert np.array_equal(kernel.reference(values), expected)


def _places(kernel: Window, tap: int) -> list[int]:
    """Where each channel of that tap is in an output pixel."""
    channels, lanes, taps = kernel.input.channels, kernel.input.lanes, kernel.kernel[0] * kernel.kernel[1]
    if kernel.depthwise:
        return [(c // lanes * taps + tap) * lanes + c % lanes for c in range(channels)]
    return [tap * channels + c for c in range(channels)]


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Any small window that fits its frame."""
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = [draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)]
    padding[2] = max(padding[2], min(kernel[0] - 1, kernel[0] - height - padding[0]))
    padding[3] = max(padding[3], min(kernel[1] - 1, kernel[1] - width - padding[1]))
    kernel = (
        min(kernel[0], height + padding[0] + padding[2]),
        min(kernel[1], width + padding[1] + padding[3]),
    )
    padding = [min(pad, size - 1) for pad, size in zip(padding, (*kernel, *kernel), strict=True)]
    lanes, beats, depthwise = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.booleans())
    return window(
        stream(height=height, width=width, channels=lanes * beats, lanes=lanes),
        kernel=kernel,
        padding=tuple(padding),
        stride=(draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        repeat=1 if depthwise else draw(st.integers(1, 3)),
        depthwise=depthwise,
    )


@settings(FIXED_SEED, max_examples=6)
@given(kernel=windows())
def test_any_window(kernel: Window, icarus: Simulator) -> None:
    with tempfile.TemporaryDirectory() as work:
        check_kernel(kernel, Path(work), simulator=icarus)


def reads_of(kernel: Window, frames: int) -> list[Read]:
    """Per beat sent what it needs: all pixels under its window, and until its line is done whole rows."""
    found, taken, sent = [], kernel.input, kernel.outputs[0]
    for frame, line, column in np.ndindex(frames, sent.height, sent.width):
        top, left = (
            place * stride - pad
            for place, stride, pad in zip((line, column), kernel.stride, kernel.padding[:2], strict=True)
        )
        rows = [row for row in range(top, top + kernel.kernel[0]) if 0 <= row < taken.height]
        columns = [at for at in range(left, left + kernel.kernel[1]) if 0 <= at < taken.width]
        last = (frame * taken.height + max(rows)) * taken.width + max(columns)
        first = (frame * taken.height + min(rows)) * taken.width
        beats = taken.beats_per_pixel
        found += [Read((last + 1) * beats - 1, first * beats)] * kernel.burst
    return found


@settings(FIXED_SEED, max_examples=60)
@given(kernel=windows(), seed=st.integers(0, 1000), slack=st.integers(0, 3))
def test_times_are_those_of_a_buffer_cycle_by_cycle(kernel: Window, seed: int, slack: int) -> None:
    offers = np.cumsum(np.random.default_rng(seed).integers(0, slack + 1, 2 * kernel.input.beats))
    frames = len(offers) // kernel.input.beats_per_frame
    places = kernel.rows * kernel.input.width * kernel.input.beats_per_pixel
    written, read = stepped(offers.tolist(), places, reads_of(kernel, frames))
    timing = kernel.timing(offers)
    assert each_beat(timing.taken[0]).tolist() == written
    assert (each_beat(timing.appears) - kernel.LATENCY).tolist() == read


def test_padding_as_wide_as_the_kernel_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^w: padding \(1, 1, 3, 1\) must be smaller than the kernel \(3, 3\)$"
    ):
        window(padding=(1, 1, 3, 1))


def test_a_kernel_larger_than_the_frame_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^w: kernel \(5, 5\) does not fit 4x5 pixels$"):
        window(kernel=(5, 5), padding=(0, 0, 0, 0))


def test_a_padding_value_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^w: padding value 16 does not fit 4 bits$"):
        window(pad_value=16)


def test_a_depthwise_window_with_repeats_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^w: a depthwise window is sent once, not 2 times$"):
        window(depthwise=True, repeat=2)
