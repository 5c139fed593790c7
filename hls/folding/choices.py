# SPDX-License-Identifier: Apache-2.0
"""The ways to fold a layer: lanes, rows and taps per cycle, multipliers or LUTs, and what each costs."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeGuard

from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.folding.fit import NOTHING, RESOURCES, total
from framegate.hls.folding.unroll import parallel_window, taps_at_once, weights_in_order
from framegate.hls.kernels import (
    MOST_BITS_IN_LUTS,
    TERNARY_BITS,
    Concat,
    Cost,
    Depthwise,
    FrameGather,
    Kernel,
    MatVec,
    Pool,
    Shift,
    Threshold,
    Window,
)
from framegate.hls.stream import Stream, divisors
from framegate.hls.targets import Target

_TINY = 64  # weights of a layer
Multiply = Literal["dsp", "lut"]
Products = Literal["auto", "dsp", "lut"]  # where products are made; auto: in LUTs when multipliers run out


@dataclass(frozen=True)
class Fold:
    """One choice for a layer: a product or pool with the kernels before it that have its lanes, or a kernel that
    sends more beats than it takes.
    """

    lanes: int  # SIMD of a matrix product, channels per cycle of all others
    pe: int  # rows per cycle of a matrix product, else 1
    cycles: int  # per frame that enters the design
    cost: Cost
    taps: int = 1  # per cycle
    multiply: Multiply = "dsp"  # what makes the products
    in_luts: Cost | None = None  # the cost with products made of LUTs, where that is possible


def with_multipliers_of(target: Target, dataflow: Dataflow) -> Dataflow:
    """The unfolded dataflow with matrix products that use what the device's multipliers can do."""
    kernels = tuple(
        replace(kernel, factor_bits=target.factor_bits, cascade=target.cascade)
        if isinstance(kernel, MatVec)
        else kernel
        for kernel in dataflow.kernels
    )
    return replace(dataflow, kernels=kernels)


def choices_of(dataflow: Dataflow, target: Target, products: Products = "auto") -> dict[str, "Choices"]:
    """The choices of each layer, by the kernel that decides."""
    return {
        layer[-1].name: Choices(_choices(dataflow, layer, products), target) for layer in layers_of(dataflow)
    }


class Choices:
    """The choices of one layer that are the cheapest for some interval, fastest first."""

    def __init__(self, options: list[Fold], target: Target) -> None:
        self.cycles: list[int] = []
        self._folds: list[Fold] = []
        least = math.inf
        for option in sorted(options, key=lambda option: (option.cycles, share(option.cost, target))):
            if (taken := share(option.cost, target)) < least:
                least = taken
                self.cycles.append(option.cycles)
                self._folds.append(option)

    @property
    def least(self) -> int:
        """The fewest cycles per frame."""
        return self.cycles[0]

    def within(self, interval: int) -> Fold:
        """The choice within `interval` that takes the smallest share of the device."""
        return self._folds[bisect_right(self.cycles, interval) - 1]

    def faster_than(self, cycles: int) -> Fold | None:
        """The cheapest choice of fewer cycles; None if there is none."""
        faster = self.all_faster_than(cycles)
        return faster[-1] if faster else None

    def all_faster_than(self, cycles: int) -> list[Fold]:
        """The choices of fewer cycles, fastest first."""
        return self._folds[: bisect_right(self.cycles, cycles - 1)]


def layers_of(dataflow: Dataflow) -> Iterator[list[Kernel]]:
    """What is folded as one: the kernels that must have the same lanes, the last of which decides."""
    for kernel in dataflow.kernels:
        if isinstance(kernel, MatVec | Depthwise | Pool):
            yield [*_tied(dataflow, kernel), kernel]
        elif is_adaptable(kernel):
            yield [kernel]


def is_adaptable(kernel: Kernel) -> TypeGuard[Concat | FrameGather | Shift]:
    """Whether a kernel is a layer by itself: it takes the lanes that it is offered, or of those what it can."""
    return isinstance(kernel, Concat | Shift) or (isinstance(kernel, FrameGather) and not kernel.depthwise)


def _tied(dataflow: Dataflow, kernel: Kernel) -> list[Kernel]:
    """The window before a product, and the depthwise frame gather before that."""
    producer = dataflow.links_into(kernel.name)[0].producer
    if producer == PIXELS:
        return []
    before = dataflow.kernel(producer)
    if isinstance(before, Window) or (isinstance(before, FrameGather) and before.depthwise):
        return [*_tied(dataflow, before), before]
    return []


def _choices(dataflow: Dataflow, layer: list[Kernel], products: Products = "auto") -> list[Fold]:
    """Every way to fold one layer, unfolded in `dataflow`, with what it takes, thresholds for its lanes included."""
    last = layer[-1]
    frames = dataflow.pixels.frames
    thresholds = _thresholds_behind(dataflow, last)
    of_lanes: dict[int, Cost] = {}  # those thresholds
    found = []
    for pe in divisors(last.rows) if isinstance(last, MatVec) else [1]:
        for lanes, taps in _lanes_and_taps(layer):
            folded = _folded(layer, lanes, pe, taps)
            cycles = max(kernel.cycles_per_clip for kernel in folded)
            in_luts = None if products == "dsp" else _in_luts(folded)
            sent = folded[-1].outputs[0]
            if thresholds and sent.lanes not in of_lanes:
                of_lanes[sent.lanes] = thresholds.taking(sent).cost()
            behind = of_lanes.get(sent.lanes, NOTHING)
            cost, in_luts = total(folded) + behind, in_luts and in_luts + behind
            if isinstance(last, Shift):
                cost = _with_converters(cost, folded[-1].inputs[0])
                # One that is as slow as the slowest kernel never catches up after a clip's end.
                cycles += cycles // 16
            made = Fold(lanes, pe, -(-cycles // frames), cost, taps, in_luts=in_luts)
            wanted = products == "lut" or (products == "auto" and _needs_no_multiplier(folded[-1]))
            found.append(of_luts(made) if in_luts is not None and wanted else made)
    return found


def _with_converters(cost: Cost, stream: Stream) -> Cost:
    """What a shift takes with its width on both sides; the fewer block RAMs of a wide one are lost in wider FIFOs."""
    return replace(cost, lut=cost.lut + 2 * stream.beat_bits, ff=cost.ff + 2 * stream.beat_bits, bram=0)


def _thresholds_behind(dataflow: Dataflow, last: Kernel) -> Threshold | None:
    """The thresholds that read what a layer sends, on as many lanes."""
    reader = reader_of(dataflow, last)
    return reader if isinstance(reader, Threshold) else None


def reader_of(dataflow: Dataflow, kernel: Kernel) -> Kernel | None:
    """What reads a kernel's first output; None for the result."""
    links = dataflow.links_from(kernel.name)
    return dataflow.kernel(links[0].consumer) if links else None


def _needs_no_multiplier(product: Kernel) -> bool:
    """Whether LUTs are the cheapest: for ternary and binary weights, and for the few constants of a tiny layer, which
    are folded into logic. (Those of a larger one are when multipliers run out: its lanes cost more than they save.)
    """
    ternary = isinstance(product, MatVec | Depthwise) and product.weight_bits <= TERNARY_BITS
    return ternary or (isinstance(product, MatVec) and product.constant and product.weights.size <= _TINY)


def _lanes_and_taps(layer: list[Kernel]) -> Iterator[tuple[int, int]]:
    """Channels and taps per cycle; of a matrix product several taps only with all their channels."""
    *before, last = layer
    window, widest = before[-1] if before else None, _widest(layer)
    for lanes in divisors(widest):
        unrolled = isinstance(last, Depthwise) or (isinstance(last, MatVec) and lanes == widest)
        for taps in taps_at_once(window) if isinstance(window, Window) and unrolled else [1]:
            yield lanes, taps


def _in_luts(folded: list[Kernel]) -> Cost | None:
    """What a folded layer takes with products made of LUTs; None if it has none, or weights that are too wide."""
    *others, last = folded
    if not isinstance(last, MatVec | Depthwise) or last.weight_bits > MOST_BITS_IN_LUTS:
        return None
    return total([*others, replace(last, multiply="lut")])


def _widest(layer: list[Kernel]) -> int:
    """The most lanes that a layer can have; all its divisors are possible as well."""
    first, last = layer[0], layer[-1]
    if isinstance(last, Pool | Depthwise):
        return last.channels
    return first.lanes_for(0) if isinstance(first, Concat | FrameGather) else first.inputs[0].channels


def _folded(layer: list[Kernel], lanes: int, pe: int, taps: int = 1) -> list[Kernel]:
    """The layer with so many lanes."""
    streams = [replace(stream, lanes=lanes) for stream in layer[0].inputs]
    rows = pe if isinstance(layer[-1], MatVec) else None
    made: list[Kernel] = []
    for before, kernel in zip([None, *layer], layer, strict=False):
        made += rebuilt(kernel, streams, rows, taps, before)
        streams = list(made[-1].outputs)
    return made


def of_luts(fold: Fold) -> Fold:
    """The same choice with its products made of LUTs, which must be possible."""
    assert fold.in_luts is not None
    return replace(fold, cost=fold.in_luts, multiply="lut", in_luts=None)


def share(cost: Cost, target: Target) -> float:
    """Of the device, the sum over all resources."""
    return sum(getattr(cost, name) / getattr(target, name) for name in RESOURCES)


def rebuilt(
    kernel: Kernel, streams: list[Stream], pe: int | None, taps: int, before: Kernel | None
) -> list[Kernel]:
    """The kernel for other input streams; `pe` is of the matrix product that it is, or that it is the window of, `taps`
    of a product of either kind, `before` what it reads, unfolded.
    """
    if isinstance(kernel, Window) and (taps > 1 or pe is not None):
        repeat = kernel.repeat // (pe or 1)
        whole = replace(kernel, input=streams[0], repeat=repeat)
        return parallel_window(kernel, streams[0], taps, repeat) if taps > 1 else [whole]
    if isinstance(kernel, MatVec) and pe is not None:
        return [replace(kernel, input=streams[0], pe=pe, weights=weights_in_order(kernel, before, taps))]
    if isinstance(kernel, Depthwise):
        weights = weights_in_order(kernel, before, taps)
        return [replace(kernel, input=streams[0], at_once=taps, weights=weights)]
    return [kernel.taking(*streams)]
