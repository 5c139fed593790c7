# SPDX-License-Identifier: Apache-2.0
"""The one-dimensional window against explicit loops, at every odd geometry; two of them are a window."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Depthwise, Kernel, Slide, Window, each_beat
from framegate.hls.stream import Stream
from framegate.rtl_sim.bench.simulator import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream
from tests.kernels.stepping import Read, stepped


def slide(taken: Stream | None = None, **changes: Any) -> Slide:
    usual: dict[str, Any] = {"axis": "rows", "kernel": 3, "stride": 1, "padding": (1, 1), "pad_value": 3}
    return Slide(name="s", input=taken or stream(), **usual | changes)


CASES = {
    "rows": slide(),
    "columns": slide(axis="columns"),
    "rows-stride-2": slide(stride=2),
    "columns-stride-2": slide(axis="columns", stride=2),
    "one-beat-a-step": slide(stream(lanes=4), axis="columns"),
    "one-beat-a-step-stride-2": slide(stream(lanes=4), axis="columns", stride=2, padding=(0, 1)),
    "one-pixel": slide(stream(height=1, width=1)),
    "one-step": slide(stream(height=3), padding=(0, 0)),
    "one-tap": slide(kernel=1, padding=(0, 0)),
    "one-tap-stride-3": slide(kernel=1, padding=(0, 0), stride=3),
    "before-only": slide(kernel=2, padding=(1, 0)),
    "behind-only": slide(axis="columns", kernel=2, padding=(0, 1), stride=2),
    "stride-beyond-kernel": slide(stream(height=8), kernel=2, stride=3, padding=(0, 0)),
    "wide-padding": slide(stream(height=2, lanes=1), kernel=4, padding=(3, 3)),
    "five": slide(stream(width=9), axis="columns", kernel=5, padding=(2, 2)),
    "signed": slide(stream(lanes=1, signed=True), pad_value=-8),
    "8bit": slide(stream(lanes=4, bits=8), pad_value=255),
    "repeated": slide(axis="columns", repeat=3),
    "repeated-one-beat-a-step": slide(stream(lanes=4), axis="columns", repeat=2, stride=2),
    "block-ram": slide(stream(height=5, width=20, channels=8, bits=8)),
}


@each(CASES)
def test_values_and_cycles(kernel: Slide, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
@pytest.mark.parametrize("name", ["rows", "columns-stride-2"])
def test_values_and_cycles_in_verilator(name: str, tmp_path: Path) -> None:
    check_kernel(CASES[name], tmp_path, simulator="verilator")


@each(CASES)
def test_reference_follows_the_definition(kernel: Slide) -> None:
    values, out, lanes = random_clips(kernel.input, 2, 0), kernel.outputs[0], kernel.input.lanes
    expected = np.full((2, *out.shape), kernel.pad_value)
    for row, column, tap, channel in np.ndindex(out.height, out.width, kernel.kernel, kernel.input.channels):
        step = (row if kernel.axis == "rows" else column) * kernel.stride - kernel.padding[0] + tap
        if 0 <= step < kernel.length:
            place = (channel // lanes * kernel.kernel + tap) * lanes + channel % lanes
            y, x = (step, column) if kernel.axis == "rows" else (row, step)
            expected[..., row, column, place] = values[..., y, x, channel]
    assert np.array_equal(kernel.reference(values), expected)


@st.composite
def slides(draw: st.DrawFn) -> Slide:
    """Any small one that fits its frame."""
    lanes, beats = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    size = {"height": draw(st.integers(1, 6)), "width": draw(st.integers(1, 6))}
    axis = draw(st.sampled_from(["rows", "columns"]))
    length = size["height" if axis == "rows" else "width"]
    kernel = draw(st.integers(1, 4))
    padding = (draw(st.integers(0, kernel - 1)), draw(st.integers(0, kernel - 1)))
    kernel = min(kernel, length + sum(padding))
    return slide(
        stream(channels=lanes * beats, lanes=lanes, **size),
        axis=axis,
        kernel=kernel,
        padding=(min(padding[0], kernel - 1), min(padding[1], kernel - 1)),
        stride=draw(st.integers(1, 4)),
        repeat=draw(st.integers(1, 3)) if axis == "columns" else 1,
    )


@settings(FIXED_SEED, max_examples=10)
@given(kernel=slides())
def test_any_slide(kernel: Slide, icarus: Simulator) -> None:
    with tempfile.TemporaryDirectory() as work:
        check_kernel(kernel, Path(work), simulator=icarus)


def reads_of(kernel: Slide, passes: int) -> list[Read]:
    """Per beat sent what it needs, from the steps under its taps that are not padding."""
    found = []
    for passed, step, _, beat in np.ndindex(passes, kernel.steps, kernel.repeat, kernel.inner):
        first = step * kernel.stride - kernel.padding[0]
        taps = [tap for tap in range(first, first + kernel.kernel) if 0 <= tap < kernel.length]
        beats = [(passed * kernel.length + tap) * kernel.inner + beat for tap in taps]
        found.append(Read(max(beats), min(beats)))
    return found


@settings(FIXED_SEED, max_examples=60)
@given(kernel=slides(), seed=st.integers(0, 1000), slack=st.integers(0, 3))
def test_times_are_those_of_a_buffer_cycle_by_cycle(kernel: Slide, seed: int, slack: int) -> None:
    """Exact, and found in as many rounds as `timing` says at most."""
    offers = np.cumsum(np.random.default_rng(seed).integers(0, slack + 1, 2 * kernel.input.beats))
    passes = len(offers) // (kernel.length * kernel.inner)
    written, read = stepped(offers.tolist(), kernel.banks * kernel.inner, reads_of(kernel, passes))
    timing = kernel.timing(offers)
    assert each_beat(timing.taken[0]).tolist() == written
    assert (each_beat(timing.appears) - kernel.LATENCY).tolist() == read


def run(kernels: list[Kernel], values: np.ndarray) -> np.ndarray:
    """One reference behind the other."""
    for kernel in kernels:
        values = kernel.reference(values)
    return values


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_of_a_column_and_then_of_a_row_is_the_depthwise_window(lanes: int, stride: int) -> None:
    taken, weights = stream(lanes=lanes), np.random.default_rng(0).integers(-8, 8, (4, 9))
    geometry: dict[str, Any] = {"stride": (stride, stride), "pad_value": 2, "depthwise": True}
    whole = Window(name="w", input=taken, kernel=(3, 3), padding=(1, 0, 0, 1), **geometry)
    rows = slide(taken, stride=stride, padding=(1, 0), pad_value=2)
    both = slide(rows.outputs[0], axis="columns", stride=stride, padding=(0, 1), pad_value=2)
    column = Window(
        name="c", input=taken, kernel=(3, 1), padding=(1, 0, 0, 0), **geometry | {"stride": (stride, 1)}
    )
    three = replace(both, input=column.outputs[0])
    values = random_clips(taken, 2, 0)

    by_column = weights.reshape(4, 3, 3).swapaxes(1, 2).reshape(4, 9)
    expected = run([whole, Depthwise(name="d", input=whole.outputs[0], weights=weights)], values)
    at_nine = Depthwise(name="d", input=both.outputs[0], weights=by_column, at_once=9)
    at_three = Depthwise(name="d", input=three.outputs[0], weights=weights, at_once=3)
    assert np.array_equal(run([rows, both, at_nine], values), expected)
    assert np.array_equal(run([column, three, at_three], values), expected)
    assert whole.cycles_per_clip == 9 * both.outputs[0].beats == 3 * three.outputs[0].beats


def test_a_beat_per_cycle_of_equal_strides() -> None:
    """No pause between rows or frames: a source that always offers is taken from in every cycle."""
    for kernel in (slide(), slide(axis="columns"), slide(stream(lanes=4), axis="columns")):
        beats = 4 * kernel.input.beats
        taken = kernel.timing(np.zeros(beats, dtype=np.int64)).taken[0]
        assert taken[-1] - taken[0] <= beats + 2 * kernel.inner


def test_columns_sent_again_are_never_waited_for() -> None:
    """At a stride the next pixels come while the present ones are sent again: there is room for them."""
    kernel = slide(stream(width=12, lanes=4), axis="columns", stride=2, repeat=4, padding=(0, 1))
    clips = 4
    # As fast as it sends: each row of pixels in the time of its own, repeated, output pixels.
    row = kernel.outputs[0].width * kernel.repeat
    offers = np.concatenate(
        [line * row + np.arange(12) * row // 12 for line in range(clips * kernel.input.beats // 12)]
    )
    times = kernel.timing(offers)
    assert times.appears[-1] - times.appears[0] < len(times.appears) + row


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"padding": (3, 0)}, r"padding \(3, 0\) must be smaller than the kernel 3"),
        ({"kernel": 5, "padding": (0, 0)}, "kernel 5 does not fit 4 rows"),
        ({"taken": stream(repeat=2)}, "its pixels must be sent once, not 2 times"),
        ({"repeat": 2}, "a row is sent once, not 2 times"),
        ({"pad_value": 16}, "padding value 16 does not fit 4 bits"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(UsageError, match=f"^s: {message}$"):
        slide(**changes)
