# SPDX-License-Identifier: Apache-2.0
"""The depthwise product against explicit sums, and with its window against torch's grouped convolution."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.hls.kernels import Depthwise, Window
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream


def depthwise(channels: int, taps: int, pe: int, weight_bits: int = 4, **changes: int | bool) -> Depthwise:
    taken = stream(**{"height": 2, "width": 3, "channels": channels * taps, "lanes": pe, **changes})
    limit = 1 << (weight_bits - 1)
    weights = np.random.default_rng(channels).integers(-limit, limit, (channels, taps))
    weights[0, 0] = -limit
    return Depthwise(name="dw", input=taken, weights=weights)


def at_once(kernel: Depthwise, taps: int) -> Depthwise:
    """The same with more taps per cycle."""
    return replace(kernel, input=replace(kernel.input, lanes=taps * kernel.pe), at_once=taps)


CASES = {
    "pe2": depthwise(4, 9, 2),
    "serial": depthwise(4, 9, 1),
    "parallel": depthwise(4, 9, 4),
    "one-channel": depthwise(1, 9, 1),
    "one-tap": depthwise(6, 1, 2),
    "one-tap-all-lanes": depthwise(3, 1, 3),
    "even-taps": depthwise(6, 4, 3),
    "signed-8bit": depthwise(6, 9, 3, weight_bits=8, bits=8, signed=True),
    "unsigned-8bit": depthwise(2, 6, 1, weight_bits=8, bits=8),
    "2bit": depthwise(4, 9, 2, weight_bits=2, bits=2),
    "1bit": depthwise(3, 3, 3, weight_bits=2, bits=1),
    "three-taps": at_once(depthwise(4, 9, 2), 3),
    "nine-taps": at_once(depthwise(4, 9, 1), 9),
    "all-taps-and-channels": at_once(depthwise(4, 9, 4, weight_bits=8, bits=8, signed=True), 9),
    "five-taps-in-luts": replace(at_once(depthwise(2, 15, 1), 5), multiply="lut"),
    "luts-4bit-signed": replace(depthwise(4, 9, 2, bits=4, signed=True), multiply="lut"),
    "luts-8bit-activations": replace(depthwise(4, 9, 2, bits=8), multiply="lut"),
    "luts-3bit": replace(depthwise(6, 4, 3, weight_bits=3, bits=3), multiply="lut"),
    "luts-2bit": replace(depthwise(4, 9, 2, weight_bits=2, bits=2, signed=True), multiply="lut"),
}


@each(CASES)
def test_values_and_cycles(kernel: Depthwise, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
@pytest.mark.parametrize("name", ["pe2", "signed-8bit"])
def test_values_and_cycles_in_verilator(name: str, tmp_path: Path) -> None:
    check_kernel(CASES[name], tmp_path, simulator="verilator")


@each(CASES)
def test_reference_is_the_sum_per_channel_and_stays_within_its_bounds(kernel: Depthwise) -> None:
    values = random_clips(kernel.input, 2, 0)
    result = kernel.reference(values)
    expected = np.zeros((*values.shape[:-1], kernel.channels), dtype=np.int64)
    for channel, tap in np.ndindex(kernel.weights.shape):
        block, lane = divmod(channel, kernel.pe)
        place = (block * kernel.taps + tap) * kernel.pe + lane
        expected[..., channel] += values[..., place].astype(np.int64) * kernel.weights[channel, tap]
    assert np.array_equal(result, expected)
    low, high = kernel.bounds
    out = kernel.outputs[0]
    assert out.low <= low <= result.min()
    assert result.max() <= high <= out.high


def test_bounds_are_reached() -> None:
    kernel = depthwise(1, 9, 1, weight_bits=8, bits=8, signed=True)
    ends = [
        np.where((kernel.weights > 0) == up, kernel.input.high, kernel.input.low).reshape(1, 1, 1, 1, 9)
        for up in (False, True)
    ]
    assert kernel.bounds == tuple(int(kernel.reference(end)[0, 0, 0, 0, 0]) for end in ends)


def test_wide_accumulators_are_exact() -> None:
    wide = stream(height=1, width=1, channels=64, bits=17, lanes=1)
    kernel = Depthwise(name="dw", input=wide, weights=np.full((1, 64), 127))
    values = np.full((1, *wide.shape), wide.high, dtype=np.int32)
    values[..., 0] -= 1  # lost in float32
    assert kernel.reference(values)[0, 0, 0, 0, 0] == 127 * (64 * wide.high - 1)


@pytest.mark.parametrize("lanes", [1, 3, 6])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "pad_value"),
    [
        ((3, 3), (1, 1), (1, 1, 1, 1), 0),
        ((3, 3), (2, 2), (0, 0, 1, 1), 0),
        ((1, 1), (2, 2), (0, 0, 0, 0), 0),
        ((5, 3), (1, 3), (4, 2, 0, 1), 15),
    ],
)
def test_window_and_product_are_a_grouped_convolution(
    lanes: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    pad_value: int,
) -> None:
    taken = stream(height=7, width=8, channels=6, lanes=lanes)
    window = Window(
        name="w",
        input=taken,
        kernel=kernel,
        stride=stride,
        padding=padding,
        pad_value=pad_value,
        depthwise=True,
    )
    filters = np.random.default_rng(0).integers(-8, 8, (6, 1, *kernel))
    product = Depthwise(name="c", input=window.outputs[0], weights=filters.reshape(6, -1))
    values = random_clips(taken, 2, 0)

    images = torch.from_numpy(values.astype(np.float64)).flatten(0, 1).permute(0, 3, 1, 2)
    top, left, bottom, right = padding
    padded = torch.nn.functional.pad(images, (left, right, top, bottom), value=pad_value)
    weights = torch.from_numpy(filters.astype(np.float64))
    expected = torch.nn.functional.conv2d(padded, weights, stride=stride, groups=6)

    result = product.reference(window.reference(values))
    assert result.shape == (2, *product.outputs[0].shape)
    assert np.array_equal(result.reshape(-1, *result.shape[2:]), expected.permute(0, 2, 3, 1).numpy())


def test_more_lanes_take_fewer_cycles_and_more_multipliers() -> None:
    serial, wide = CASES["serial"], CASES["parallel"]
    assert serial.cycles_per_clip == 4 * wide.cycles_per_clip
    assert (serial.cost().dsp, wide.cost().dsp) == (1, 4)
    assert wide.cost().lut > serial.cost().lut


def test_an_input_of_another_shape_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^dw: weights \(4, 3\) need 12 values per pixel sent once, got 36 sent 1 times$"
    ):
        replace(CASES["pe2"], weights=np.ones((4, 3), dtype=int))


def test_lanes_that_do_not_divide_the_channels_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^dw: 3 lanes do not divide 4 channels"):
        depthwise(4, 9, 3)


def test_taps_at_once_that_do_not_divide_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^dw: 2 taps at once do not divide its 9 taps and the 2 lanes of its input$"
    ):
        replace(CASES["pe2"], at_once=2)


def test_accumulators_beyond_32_bits_are_refused() -> None:
    taken = stream(height=1, width=1, bits=24, lanes=1)
    kernel = Depthwise(name="dw", input=taken, weights=np.full((1, 4), 127))
    with pytest.raises(UsageError, match=r"^dw: accumulators up to 8522825220 exceed 32 bits; "):
        kernel.reference(np.zeros((1, *taken.shape), dtype=np.int32))
