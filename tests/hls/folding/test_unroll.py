# SPDX-License-Identifier: Apache-2.0
"""Windows that send several taps per beat, and products whose weights are in their order, give the same values."""

from dataclasses import replace

import numpy as np
import pytest
from framegate.hls.folding.unroll import parallel_window, taps_at_once, weights_in_order
from framegate.hls.kernels import Depthwise, Kernel, MatVec, Window
from framegate.hls.stream import Stream
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED


@st.composite
def windows(draw: st.DrawFn, *, depthwise: bool) -> Window:
    """A window of any shape, stride and padding that fits a small picture."""
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = tuple(draw(st.integers(0, size - 1)) for size in (*kernel, *kernel))
    assume(height + padding[0] + padding[2] >= kernel[0])
    assume(width + padding[1] + padding[3] >= kernel[1])
    stream = Stream(
        frames=draw(st.integers(1, 2)), height=height, width=width, channels=draw(st.integers(1, 4)),
        bits=4, signed=draw(st.booleans()),
    )  # fmt: skip
    return Window(
        name="w", input=stream, kernel=kernel, stride=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        padding=padding, repeat=1, depthwise=depthwise,
    )  # fmt: skip


def through(kernels: list[Kernel], values: np.ndarray) -> np.ndarray:
    for kernel in kernels:
        values = kernel.reference(values)
    return values


def pixels(window: Window, seed: int) -> np.ndarray:
    stream = window.input
    return np.random.default_rng(seed).integers(stream.low, stream.high + 1, (2, *stream.shape))


@settings(FIXED_SEED, max_examples=60)
@given(window=windows(depthwise=False), rows=st.integers(1, 3), seed=st.integers(0, 99))
def test_a_matrix_product_of_several_taps_per_cycle_is_the_same(window: Window, rows: int, seed: int) -> None:
    width = window.outputs[0].channels
    weights = np.random.default_rng(seed).integers(-7, 8, (rows, width))
    window = replace(window, repeat=rows)
    product = MatVec(name="p", input=window.outputs[0], weights=weights)
    whole = replace(window.input, lanes=window.input.channels)  # several taps only with all their channels
    values = pixels(window, seed)
    expected = product.reference(window.reference(values))
    for taps in taps_at_once(window):
        if taps == 1:
            assert weights_in_order(product, window, 1) is product.weights
            continue
        made = parallel_window(window, whole, taps, rows)
        sent = made[-1].outputs[0]
        assert sent.channels == width
        other = MatVec(name="p", input=sent, weights=weights_in_order(product, window, taps))
        assert np.array_equal(other.reference(through(made, values)), expected), f"{taps} taps"
        assert [kernel.name for kernel in made][-1] == "w", "the last has the window's name"


@settings(FIXED_SEED, max_examples=60)
@given(window=windows(depthwise=True), seed=st.integers(0, 99))
def test_a_depthwise_product_of_several_taps_per_cycle_is_the_same(window: Window, seed: int) -> None:
    channels, taps_in_all = window.input.channels, window.kernel[0] * window.kernel[1]
    weights = np.random.default_rng(seed).integers(-7, 8, (channels, taps_in_all))
    product = Depthwise(name="p", input=window.outputs[0], weights=weights)
    values = pixels(window, seed)
    expected = product.reference(window.reference(values))
    for taps in taps_at_once(window)[1:]:
        made = parallel_window(window, window.input, taps, 1)
        other = Depthwise(
            name="p", input=made[-1].outputs[0], at_once=taps, weights=weights_in_order(product, window, taps)
        )
        assert np.array_equal(other.reference(through(made, values)), expected), f"{taps} taps"


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [((1, 1), [1]), ((3, 1), [1]), ((1, 3), [1, 3]), ((2, 3), [1, 3, 6]), ((3, 3), [1, 3, 9])],
)
def test_one_tap_a_row_of_them_or_all(kernel: tuple[int, int], expected: list[int]) -> None:
    stream = Stream(frames=1, height=4, width=4, channels=2, bits=4, signed=False)
    window = Window(name="w", input=stream, kernel=kernel, stride=(1, 1), padding=(0,) * 4, repeat=1)
    assert taps_at_once(window) == expected
