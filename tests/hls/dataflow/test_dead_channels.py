# SPDX-License-Identifier: Apache-2.0
"""Pruning at compile time: the same logits of every pixel, with fewer weights and cycles, and only where it is sure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from framegate.hls.dataflow.dead_channels import product_channels, without_dead_channels
from framegate.hls.dataflow.endless import endless
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Decide, Depthwise, MatVec, Mean, Shift, Window
from framegate.hls.schedule.schedule import schedule
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target
from framegate.rtl_sim import reference
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify

from tests.dataflows import Builder, Output, random_pixels, residual, separable, two_rates

FOUR = (1, 2, 5, 6)
NEVER = 1 << 20  # a threshold that no sum reaches


def changed(dataflow: Dataflow, name: str, **values: object) -> Dataflow:
    """`dataflow` with other values in one of its kernels."""
    kernels = [replace(k, **values) if k.name == name else k for k in dataflow.kernels]
    return replace(dataflow, kernels=tuple(kernels))


def weights(dataflow: Dataflow, name: str) -> np.ndarray:
    """A copy of a kernel's weights."""
    return np.array(dataflow.kernel(name).weights)  # type: ignore[attr-defined]


def thresholds(dataflow: Dataflow, name: str) -> np.ndarray:
    """A copy of a kernel's thresholds."""
    return np.array(dataflow.kernel(name).thresholds)  # type: ignore[attr-defined]


def without_rows(dataflow: Dataflow, product: str, act: str, channels: Sequence[int]) -> Dataflow:
    """Zero filters, whose activation of zero is zero."""
    filters, steps = weights(dataflow, product), thresholds(dataflow, act)
    filters[list(channels)] = 0
    steps[list(channels)] = np.maximum(steps[list(channels)], 1)
    return changed(changed(dataflow, product, weights=filters), act, thresholds=steps)


def without_columns(dataflow: Dataflow, product: str, width: int, channels: Sequence[int]) -> Dataflow:
    """Zero weights of channels of `width`, under the whole window."""
    filters = weights(dataflow, product)
    filters.reshape(len(filters), -1, width)[..., list(channels)] = 0
    return changed(dataflow, product, weights=filters)


def chain(second: Callable[[Builder, Output], Output], width: int = 8) -> Dataflow:
    """A stem, what `second` makes of it, a mean, a head."""
    net = Builder(Stream(frames=3, height=8, width=8, channels=3, bits=8, signed=False, lanes=3), seed=1)
    x = net.activation("stem_act", net.conv("stem", (PIXELS, 0), width, 3, 2, 1, bits=8))
    x = second(net, x)
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.conv("head", x, 3, 1, 1, 0, bits=8)
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x), positive=2), x)
    return net.dataflow(("a", "b", "c"))


def conv_conv() -> Dataflow:
    return chain(lambda net, x: net.activation("conv_act", net.conv("conv", x, 8, 3, 1, 1)))


def rows(dataflow: Dataflow) -> dict[str, int]:
    """Channels of each product."""
    return {k.name: k.rows for k in dataflow.kernels if isinstance(k, MatVec)}


def stored(dataflow: Dataflow) -> int:
    """Weights in the design."""
    return sum(k.weights.size for k in dataflow.kernels if isinstance(k, MatVec | Depthwise))


def expect_smaller(before: Dataflow, gone: dict[str, int]) -> Dataflow:
    """The pruned dataflow, with so many channels less, fewer weights and cycles, and the very same logits."""
    after = without_dead_channels(before)
    assert {
        name: count - rows(after)[name] for name, count in rows(before).items() if count > rows(after)[name]
    } == gone
    assert product_channels(before) - product_channels(after) == sum(gone.values())
    assert stored(after) < stored(before)
    cycles = [sum(kernel.cycles_per_clip for kernel in one.kernels) for one in (before, after)]
    assert cycles[1] < cycles[0]
    pixels = random_pixels(before, 4)
    expected = reference.logits(before, pixels)
    assert len(np.unique(expected)) > 2, "tells nothing apart: this would prove nothing"
    assert np.array_equal(reference.logits(after, pixels), expected)
    last = [dict(reference.outputs(one, before.taken(pixels)))["decide"] for one in (before, after)]
    assert np.array_equal(*last)
    assert without_dead_channels(after) is after
    return after


@pytest.mark.parametrize("network", [residual(), separable(), two_rates(), conv_conv()])
def test_a_network_without_zeros_stays_as_it_is(network: Dataflow) -> None:
    assert without_dead_channels(network) is network


def test_columns_of_zeros_take_the_rows_that_make_them() -> None:
    after = expect_smaller(without_columns(conv_conv(), "conv", 8, FOUR), {"stem": 4})
    assert weights(after, "conv").shape == (8, 9 * 4)
    window = after.kernel("stem_window")
    assert isinstance(window, Window)
    assert window.repeat == 4


def test_rows_of_zeros_take_the_columns_that_read_them() -> None:
    network = without_rows(conv_conv(), "stem", "stem_act", FOUR)
    after = expect_smaller(network, {"stem": 4})
    left = np.delete(weights(network, "conv").reshape(8, 9, 8), FOUR, axis=2)
    assert np.array_equal(weights(after, "conv"), left.reshape(8, -1))


def test_an_activation_that_is_never_reached_is_a_zero() -> None:
    steps = thresholds(conv_conv(), "conv_act")
    steps[list(FOUR)] = NEVER
    expect_smaller(changed(conv_conv(), "conv_act", thresholds=steps), {"conv": 4})


def test_a_zero_filter_whose_activation_is_not_zero_stays() -> None:
    network = without_rows(conv_conv(), "stem", "stem_act", FOUR)
    steps = thresholds(network, "stem_act")
    steps[list(FOUR), 0] = 0
    network = changed(network, "stem_act", thresholds=steps)
    assert without_dead_channels(network) is network


def test_a_bias_goes_with_its_row_and_keeps_a_channel_that_it_lifts() -> None:
    network = without_rows(conv_conv(), "stem", "stem_act", FOUR)
    bias = np.zeros(8, dtype=np.int64)
    bias[[0, 3]] = 40, -7
    expect_smaller(changed(network, "stem", bias=bias), {"stem": 4})
    lifted = changed(network, "stem", bias=np.full(8, NEVER))
    assert without_dead_channels(lifted) is lifted


def test_padding_that_is_not_zero_keeps_its_channels() -> None:
    network = changed(without_rows(conv_conv(), "stem", "stem_act", FOUR), "conv_window", pad_value=3)
    assert without_dead_channels(network) is network


def test_what_stays_is_a_multiple_of_four() -> None:
    expect_smaller(without_columns(conv_conv(), "conv", 8, (0, 1, 2, 3, 4)), {"stem": 4})
    three = without_columns(conv_conv(), "conv", 8, (0, 1, 2))
    assert without_dead_channels(three) is three
    odd = chain(lambda net, x: net.activation("conv_act", net.conv("conv", x, 8, 3, 1, 1)), width=7)
    expect_smaller(without_columns(odd, "conv", 7, (0, 6)), {"stem": 2})


def test_a_layer_never_loses_all_its_channels() -> None:
    network = without_columns(conv_conv(), "conv", 8, range(8))
    after, pixels = without_dead_channels(network), random_pixels(network, 2)
    assert rows(after)["stem"] == 4
    assert np.array_equal(reference.logits(after, pixels), reference.logits(network, pixels))


def test_zeros_run_through_several_layers_both_ways() -> None:
    def two(net: Builder, x: Output) -> Output:
        x = net.activation("conv_act", net.conv("conv", x, 8, 1, 1, 0))
        return net.activation("last_act", net.conv("last", x, 8, 1, 1, 0))

    dead = chain(two)
    for act in ("conv_act", "last_act"):
        dead = changed(dead, act, thresholds=np.maximum(thresholds(dead, act), 1))
    forward = without_columns(without_rows(dead, "stem", "stem_act", FOUR), "conv", 8, FOUR)
    filters = weights(forward, "conv")
    filters[:4] = 0
    filters[:4, FOUR[0]] = 3  # of a channel that is zero
    expect_smaller(changed(forward, "conv", weights=filters), {"stem": 4, "conv": 4})
    backward = without_columns(dead, "last", 8, FOUR)
    filters = weights(backward, "conv")
    filters[:, :4] = 0
    filters[list(FOUR), 0] = 3  # in a channel that is not needed
    expect_smaller(changed(backward, "conv", weights=filters), {"stem": 4, "conv": 4})


@pytest.mark.parametrize("online", [False, True])
def test_inside_a_residual_block(online: bool) -> None:
    network = without_rows(residual(online=online), "stage1_conv1", "stage1_conv1_act", FOUR)
    after = expect_smaller(network, {"stage1_conv1": 4})
    assert rows(after)["stage1_conv2"] == rows(after)["stem"] == 8, "these meet other streams"


def test_what_is_added_keeps_its_channels() -> None:
    for product in ("stage1_conv2", "stem"):
        network = without_rows(
            residual(), product, "stem_act" if product == "stem" else f"{product}_act", FOUR
        )
        assert without_dead_channels(network) is network


def test_through_a_shift_and_a_depthwise_product() -> None:
    """Pointwise, shift, depthwise, pointwise: all groups but the last of the shift lose their only channel."""
    network = without_rows(separable(size=4), "block1_pointwise", "block1_act", (0, 3, 4, 7))
    network = without_rows(network, "block2_depthwise", "block2_depthwise_act", (0, 3, 4, 7))
    after = expect_smaller(network, {"block1_pointwise": 4})
    shift, product = after.kernel("block2_shift"), after.kernel("block2_depthwise")
    assert isinstance(shift, Shift)
    assert isinstance(product, Depthwise)
    assert shift.groups == ((0, 1, 1), (1, 4, 0))
    kept = weights(network, "block2_depthwise")[[1, 2, 5, 6]]
    assert np.array_equal(product.weights, kept)


def test_a_shift_may_become_a_copy() -> None:
    network = without_columns(separable(), "block2_pointwise", 8, (0, 1, 6, 7))
    after = expect_smaller(network, {"block1_pointwise": 4})
    shift = after.kernel("block2_shift")
    assert isinstance(shift, Shift)
    assert shift.groups == ((0, 4, 0),)


def test_every_group_of_a_shift_keeps_its_step() -> None:
    """Groups of 2, 2 and 12 channels keep even numbers, so that beats of 2 channels stay possible."""
    network = separable(widths=(16, 16))
    dead = [0, 2, *range(4, 12)]
    after = expect_smaller(without_columns(network, "block1_pointwise", 16, dead), {"stem": 8})
    shift = after.kernel("block1_shift")
    assert isinstance(shift, Shift)
    assert shift.groups == ((0, 2, -1), (2, 4, 1), (4, 8, 0))


def test_taps_that_lift_a_zero_keep_their_channel() -> None:
    network = without_rows(separable(), "block1_pointwise", "block1_act", FOUR)
    steps = thresholds(network, "block2_depthwise_act")
    steps[:, 0] = np.minimum(steps[:, 0], 0)
    network = changed(network, "block2_depthwise_act", thresholds=steps)
    assert without_dead_channels(network) is network


def test_gathered_frames_and_pools() -> None:
    def temporal(net: Builder, x: Output) -> Output:
        x = net.gather("depthwise_gather", x, (-1, 0, 1), depthwise=True)
        x = net.activation("depthwise_act", net.depthwise("depthwise", x, 3, 1, (1, 1, 1, 1), frames=3))
        x = net.gather("gather", net.pool("largest", x, 2), (-1, 0))
        return net.activation("conv_act", net.conv("conv", x, 8, 1, 1, 0))

    network = without_columns(chain(temporal), "conv", 8, FOUR)
    after = expect_smaller(network, {"stem": 4})
    assert weights(after, "conv").shape == (8, 8)
    assert np.array_equal(weights(after, "depthwise"), np.delete(weights(network, "depthwise"), FOUR, axis=0))


@pytest.mark.parametrize("stream", [False, True])
def test_through_means_into_the_head(stream: bool) -> None:
    network = chain(lambda net, x: net.add(Mean(name="clip", input=net.stream(x), over="clip"), x))
    network = without_rows(network, "stem", "stem_act", FOUR)
    after = expect_smaller(endless(network) if stream else network, {"stem": 4})
    assert weights(after, "head").shape == (3, 4)


def test_the_hardware_is_exact_and_on_time(tmp_path: Path, quick: Simulator) -> None:
    network = without_rows(separable(size=4), "block1_pointwise", "block1_act", (0, 3, 4, 7))
    network = without_rows(network, "block2_depthwise", "block2_depthwise_act", (0, 3, 4, 7))
    board = load_target("ulx3s-85f")
    whole, _ = schedule(fold(network, board, 50, 20_000), 50)
    complete, times = schedule(fold(without_dead_channels(network), board, 50, 20_000), 50)
    assert sum(len(m.words) * m.bits for k in complete.kernels for m in k.instance().memories) < sum(
        len(m.words) * m.bits for k in whole.kernels for m in k.instance().memories
    )
    rtl, pixels = emit(complete, times, tmp_path / "rtl"), random_pixels(network, 2)
    verdict = verify(complete, rtl, pixels, tmp_path / "sim", simulator=quick, probe=True)
    assert (verdict.mismatches, verdict.first_mismatch, verdict.late, verdict.jitter) == (0, None, None, 0)
    assert set(verdict.measured) == {verdict.predicted} == {times.latency_cycles}
    assert np.array_equal(reference.logits(complete, pixels), reference.logits(network, pixels))
