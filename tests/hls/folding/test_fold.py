# SPDX-License-Identifier: Apache-2.0
"""Folding against brute force over every PE, SIMD and number of taps, and the lane conversions that it places."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.folding import wiring
from framegate.hls.folding.choices import Fold, Products, choices_of
from framegate.hls.folding.fit import total, total_cost
from framegate.hls.folding.fold import cheapest, fold
from framegate.hls.folding.memories import in_memories
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import (
    Cost,
    Decide,
    Depthwise,
    Kernel,
    MatVec,
    Mean,
    Shift,
    Slide,
    Threshold,
    Width,
    Window,
)
from framegate.hls.schedule.schedule import schedule
from framegate.hls.stream import Stream
from framegate.hls.targets import Target, load_target
from framegate.rtl_sim import reference

from tests.dataflows import Builder, folded, random_pixels, residual, separable, two_rates

CLOCK = 50


@pytest.fixture
def target() -> Target:
    return load_target("ulx3s-85f")


def small_separable() -> Dataflow:
    """A convolution and a depthwise one."""
    net = Builder(Stream(frames=2, height=4, width=4, channels=3, bits=8, signed=False, lanes=3), seed=0)
    x = net.activation("first_act", net.conv("first", (PIXELS, 0), 6, 3, 1, 1))
    x = net.activation("second_act", net.depthwise("second", x, 3, 1, (1, 1, 1, 1)))
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x)), x)
    return net.dataflow(tuple("abcdef"))


def small(bits: int = 4) -> Dataflow:
    """Two convolutions: few enough to try all foldings."""
    net = Builder(Stream(frames=2, height=4, width=4, channels=3, bits=8, signed=False, lanes=3), seed=0)
    x = net.activation("first_act", net.conv("first", (PIXELS, 0), 6, 3, 1, 1, bits))
    x = net.activation("second_act", net.conv("second", x, 4, 3, 2, 1, bits))
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x)), x)
    return net.dataflow(("a", "b", "c", "d"))


def wide() -> Dataflow:
    """The same with weights that are too wide for products made of LUTs."""
    return small(bits=8)


def triples(dataflow: Dataflow) -> list[tuple[Window, MatVec | Depthwise, Threshold | None]]:
    """The windows, their products and the thresholds of those, in order."""
    kernels = dataflow.kernels
    return [
        (window, of, behind if isinstance(behind, Threshold) else None)
        for window, of, behind in zip(kernels, kernels[1:], kernels[2:], strict=False)
        if isinstance(window, Window) and isinstance(of, MatVec | Depthwise)
    ]


def share(cost: Cost, target: Target) -> float:
    """The part of the device that `cost` takes, summed over its resources."""
    return cost.lut / target.lut + cost.ff / target.ff + cost.dsp / target.dsp + cost.bram / target.bram


def layers(dataflow: Dataflow) -> list[Kernel]:
    """The products, what sends them their windows, and their thresholds."""
    kinds = Window | Slide | MatVec | Depthwise | Threshold
    return [kernel for kernel in dataflow.kernels if isinstance(kernel, kinds)]


def slowest(dataflow: Dataflow) -> int:
    """Cycles per frame of the slowest layer."""
    return max(kernel.cycles_per_clip for kernel in layers(dataflow)) // dataflow.pixels.frames


def windows_of(window: Window, lanes: int, repeat: int) -> Iterator[list[Kernel]]:
    """Every way to send a square window: a tap, a row of taps or all taps per beat."""
    taken, size = replace(window.input, lanes=lanes), window.kernel[0]
    yield [replace(window, input=taken, repeat=repeat)]
    if size == 1:
        return
    (down, right), (top, left, bottom, behind) = window.stride, window.padding
    column = replace(
        window, input=taken, kernel=(size, 1), stride=(down, 1), padding=(top, 0, bottom, 0), repeat=1
    )
    rows = Slide(name="r", input=taken, axis="rows", kernel=size, stride=down, padding=(top, bottom))
    for before in (column, rows):
        across = Slide(
            name="c",
            input=before.outputs[0],
            axis="columns",
            kernel=size,
            stride=right,
            padding=(left, behind),
            repeat=repeat,
        )
        yield [before, across]


def foldings(window: Window, of: MatVec | Depthwise, thresholds: Threshold | None) -> Iterator[list[Kernel]]:
    """Every layer that computes the same, a kernel's PE being whatever its rows are divided by."""
    rows = of.rows if isinstance(of, MatVec) else 1
    channels = window.input.channels
    for pe, lanes in product(range(1, rows + 1), range(1, channels + 1)):
        if rows % pe or channels % lanes:
            continue
        for sent in windows_of(window, lanes, rows // pe):
            out = sent[-1].outputs[0]
            if isinstance(of, Depthwise):
                made: Kernel = replace(of, input=out, at_once=out.lanes // lanes)
            elif len(sent) == 1 or lanes == channels:
                made = of_constants_in_luts(replace(of, input=out, pe=pe))
            else:
                continue
            yield [*sent, made, *([thresholds.taking(made.outputs[0])] if thresholds else [])]


def of_constants_in_luts(made: MatVec) -> MatVec:
    """A product by few constants is folded into logic, if its weights are narrow enough."""
    narrow = np.abs(made.weights).max() < 8 and made.weights.size <= 64
    return replace(made, multiply="lut") if made.constant and narrow else made


def all_foldings(dataflow: Dataflow) -> Iterator[tuple[int, Cost]]:
    """(cycles per frame of the slowest layer, cost of all layers) of every folding."""
    frames = dataflow.pixels.frames
    per_layer = [
        [
            (max(kernel.cycles_per_clip for kernel in layer) // frames, total(layer))
            for layer in foldings(*triple)
        ]
        for triple in triples(dataflow)
    ]
    for choice in product(*per_layer):
        yield max(cycles for cycles, _ in choice), sum((cost for _, cost in choice), Cost())


@pytest.mark.parametrize("network", [small, small_separable])
@pytest.mark.parametrize("interval", [2592, 1296, 700, 432, 300, 144, 72, 16])
def test_the_cheapest_within_the_rate(network: Callable[[], Dataflow], interval: int, target: Target) -> None:
    found = fold(network(), target, CLOCK, CLOCK * 1e6 / interval)
    assert slowest(found) <= interval
    chosen = total(layers(found))
    least = min(share(cost, target) for cycles, cost in all_foldings(network()) if cycles <= interval)
    assert share(chosen, target) == pytest.approx(least, rel=1e-12)


@pytest.mark.parametrize("multipliers", [2, 3, 5, 8, 13, 24, 156])
def test_the_fastest_that_fits(multipliers: int, target: Target) -> None:
    smaller = target.model_copy(update={"dsp": multipliers})
    found = fold(wide(), smaller, CLOCK)
    assert total_cost(found).dsp <= multipliers
    assert slowest(found) == min(cycles for cycles, cost in all_foldings(wide()) if cost.dsp <= multipliers)


@pytest.mark.parametrize("network", [small, small_separable])
@pytest.mark.parametrize("multipliers", [1, 5, 13])
def test_few_multipliers_do_not_slow_down_narrow_weights(
    network: Callable[[], Dataflow], multipliers: int, target: Target
) -> None:
    found = fold(network(), target.model_copy(update={"dsp": multipliers}), CLOCK)
    assert total_cost(found).dsp <= multipliers
    assert slowest(found) == min(cycles for cycles, _ in all_foldings(network()))


@pytest.mark.parametrize("network", [residual, separable])
def test_folding_changes_no_value(network: Callable[[], Dataflow], target: Target) -> None:
    dataflow = network()
    pixels = random_pixels(dataflow, 2)
    for rate in (1000, 20_000, None):
        found = fold(dataflow, target, CLOCK, rate)
        assert np.array_equal(reference.logits(found, pixels), reference.logits(dataflow, pixels))


def test_a_rate_out_of_reach_is_refused_with_the_best_one(target: Target) -> None:
    with pytest.raises(
        UsageError,
        match=r"^first: needs at least 16 cycles per frame, the rate leaves 15; "
        r"ask for at most 3125000 frames/s at 50 MHz$",
    ):
        fold(small(), target, CLOCK, CLOCK * 1e6 / 15)
    fold(small(), target, CLOCK, 3125000)


@pytest.mark.parametrize("rate", [None, 1000.0])
def test_a_design_that_does_not_fit_is_refused(rate: float | None, target: Target) -> None:
    tiny = target.model_copy(update={"dsp": 1})
    with pytest.raises(UsageError, match=r"^hand-made: needs \d+ DSP of 1 \(\d+ too many: most of it in "):
        fold(wide(), tiny, CLOCK, rate)


@pytest.mark.parametrize(("interval", "steps"), [(1, [6, 3]), (10**6, [1, 3])])
def test_lanes_are_converted_through_many_where_few_are_too_slow(interval: int, steps: list[int]) -> None:
    cost = Cost()
    folds = {"first": Fold(1, 2, interval, cost), "second": Fold(3, 1, interval, cost)}
    connected = connect(small(), folds)
    widths = [kernel for kernel in connected.kernels if isinstance(kernel, Width)]
    assert [width.lanes for width in widths if width.name.startswith("second_window")] == steps


def test_a_gather_rests_so_that_frames_wait_before_it(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fifo_bits() -> tuple[int, int]:
        _, times = schedule(fold(two_rates(size=32), target, CLOCK, 2000), CLOCK)
        return sum(fifo.bits for fifo in times.fifos), times.initiation_interval

    rested, interval = fifo_bits()
    monkeypatch.setattr(wiring, "_paused", lambda dataflow: dataflow)
    hurried, same = fifo_bits()
    assert rested < 0.7 * hurried
    assert interval == same


@pytest.mark.parametrize(
    ("pe", "simd", "steps"), [(3, 2, [1, 2]), (2, 3, [1, 3]), (6, 2, [2]), (2, 6, [6]), (3, 3, [])]
)
def test_lanes_are_converted_by_whole_ratios(pe: int, simd: int, steps: list[int]) -> None:
    connected = folded(small(), first=(pe, 1), second=(2, simd))
    widths = [kernel for kernel in connected.kernels if isinstance(kernel, Width)]
    between = [width for width in widths if width.name.startswith("second_window")]
    assert [width.lanes for width in between] == steps
    assert [width.name for width in between] == ["second_window_split", "second_window_width"][
        -len(steps) or 2 :
    ]
    assert connected.kernel("second_window").inputs[0].lanes == simd
    pixels = random_pixels(connected, 1)
    assert np.array_equal(reference.logits(connected, pixels), reference.logits(small(), pixels))


def test_a_shift_is_no_wider_than_its_rate_needs(target: Target) -> None:
    """A beat inside one group takes the least; across several it is taken where the shift would be the slowest."""

    def shift_of(found: Dataflow) -> Shift:
        return next(kernel for kernel in found.kernels if isinstance(kernel, Shift))

    slow = shift_of(fold(residual(widths=(16, 16)), target, CLOCK, 20_000))
    assert all(end % slow.input.lanes == 0 for _, end, _ in slow.groups)
    found = fold(residual(widths=(16, 16)), target, CLOCK)
    fast = shift_of(found)
    assert any(end % fast.input.lanes for _, end, _ in fast.groups)
    assert fast.cycles_per_clip < max(kernel.cycles_per_clip for kernel in found.kernels)


def test_ternary_weights_take_no_multipliers_unless_asked_to(target: Target) -> None:
    assert total_cost(fold(small(bits=2), target, CLOCK, 20_000)).dsp == 0
    assert total_cost(fold(small(bits=3), target, CLOCK, 20_000)).dsp > 0
    assert total_cost(fold(small(bits=2), target, CLOCK, 20_000, products="dsp")).dsp > 0


def with_large_thresholds() -> Dataflow:
    """Activations of so many channels that their thresholds are in block RAM."""
    net = Builder(Stream(frames=1, height=2, width=2, channels=3, bits=8, signed=False, lanes=3), seed=0)
    x = (PIXELS, 0)
    for name, channels in (("first", 128), ("second", 192), ("third", 256)):
        x = net.activation(f"{name}_act", net.conv(name, x, channels, 1, 1, 0))
    x = net.conv("head", x, 2, 1, 1, 0)
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x)), x)
    return net.dataflow(("a", "b"))


@pytest.mark.parametrize("missing", [1, 3, 5, 9])
def test_thresholds_move_into_luts_where_block_rams_run_out(missing: int, target: Target) -> None:
    whole = fold(with_large_thresholds(), target, CLOCK, 20)
    smaller = target.model_copy(update={"bram": total_cost(whole).bram - missing})
    found = in_memories(whole, smaller)
    assert total_cost(found).bram <= smaller.bram
    assert total_cost(fold(with_large_thresholds(), smaller, CLOCK, 20)).bram <= smaller.bram
    activations = [kernel for kernel in whole.kernels if isinstance(kernel, Threshold)]
    luts = []
    for count in range(len(activations) + 1):
        for chosen in combinations(activations, count):
            costs = [(kernel.cost(), replace(kernel, in_luts=True).cost()) for kernel in chosen]
            if sum(now.bram - then.bram for now, then in costs) >= missing:
                luts.append(sum(then.lut - now.lut for now, then in costs))
    assert total_cost(found).lut - total_cost(whole).lut == min(luts)


def test_products_move_into_luts_where_multipliers_run_out() -> None:
    """The cheapest way, among all sets of layers, to free as many multipliers as are missing."""
    dataflow, roomy = separable(widths=(8, 16, 16)), load_target("ulx3s-85f")
    choices = choices_of(dataflow, roomy)
    interval = 200
    limits = dict.fromkeys(choices, interval)
    on_multipliers = cheapest(choices, limits, roomy)
    assert all(one.multiply == "dsp" for one in on_multipliers.values())
    used = sum(one.cost.dsp for one in on_multipliers.values())
    movable = {name: one for name, one in on_multipliers.items() if one.in_luts is not None}
    for missing in (1, used // 4, sum(one.cost.dsp for one in movable.values())):
        tight = roomy.model_copy(update={"dsp": used - missing})
        folds = cheapest(choices, limits, tight)
        assert sum(one.cost.dsp for one in folds.values()) <= tight.dsp
        extra = sum(folds[name].cost.lut - on_multipliers[name].cost.lut for name in folds)
        best = min(
            sum(movable[name].in_luts.lut - movable[name].cost.lut for name in names)
            for count in range(len(movable) + 1)
            for names in combinations(movable, count)
            if sum(movable[name].cost.dsp for name in names) >= missing
        )
        assert extra == best
    folded = connect(dataflow, folds)
    assert {kernel.multiply for kernel in folded.kernels if isinstance(kernel, Depthwise)} == {"lut"}


def test_a_product_of_constants_is_folded_into_logic(target: Target) -> None:
    """Where each weight has its own multiplier, synthesis needs a few LUTs instead."""
    dataflow = separable(widths=(8, 8, 16))
    pointwise = next(
        kernel for kernel in dataflow.kernels if isinstance(kernel, MatVec) and kernel.weights.shape[1] == 8
    )
    options = choices_of(dataflow, target)[pointwise.name]
    unrolled = options.within(options.least)
    assert unrolled.lanes * unrolled.pe == pointwise.weights.size
    assert (unrolled.multiply, unrolled.cost.dsp) == ("lut", 0)
    on_multipliers = choices_of(dataflow, target, "dsp")[pointwise.name]
    with_them = on_multipliers.within(options.least).cost
    assert unrolled.cost.lut - with_them.lut < 4 * with_them.dsp, "a product of variables takes over 40"


@pytest.mark.parametrize("products", ["dsp", "lut"])
def test_where_products_are_made_can_be_said(products: Products, target: Target) -> None:
    found = fold(small_separable(), target, CLOCK, 10_000, products=products)
    made = {kernel.multiply for kernel in found.kernels if isinstance(kernel, MatVec | Depthwise)}
    assert made == {products}
    assert (total_cost(found).dsp == 0) == (products == "lut")
