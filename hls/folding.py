# SPDX-License-Identifier: Apache-2.0
"""Folding: how many rows (PE) and columns (SIMD), or channels, each layer works on per cycle."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import gcd, lcm
from typing import Literal, TypeGuard

from framegate.errors import UsageError
from framegate.hls.dataflow import PIXELS, Dataflow, Link
from framegate.hls.fit import NOTHING, RESOURCES, check_fit, has_room, total, total_cost
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
    Slide,
    Threshold,
    Width,
    Window,
)
from framegate.hls.stream import Stream, divisors
from framegate.hls.targets import Target
from framegate.hls.ultra_ram import in_ultra_ram
from framegate.hls.unroll import parallel_window, taps_at_once, weights_in_order

_MOST_PIXEL_LANES = 16
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


def fold(
    dataflow: Dataflow,
    target: Target,
    clock_mhz: float,
    frames_per_second: float | None = None,
    reserve: Cost = NOTHING,
    products: Products = "auto",
) -> Dataflow:
    """Choose every PE and SIMD, the cheapest for the rate or (None) the fastest that fits; connect the lanes.

    `reserve` is left free on `target`. `products`: of which resource multipliers are made. Layers are independent once
    the interval is fixed, so enumerating their divisors is exact. Raises UsageError when the rate is out of reach or
    the network does not fit `target`.
    """
    dataflow = with_multipliers_of(target, dataflow)
    choices = choices_of(dataflow, target, products)
    if frames_per_second is not None:
        interval = int(clock_mhz * 1e6 / frames_per_second)
        _check_rate(choices, interval, clock_mhz)
        folded = in_memories(connect(dataflow, cheapest(choices, interval, target)), target, reserve)
        _check_others(folded, interval, clock_mhz)
        check_fit(folded, target, reserve)
        return folded
    floor = max(options.least for options in choices.values())
    for interval in sorted({cycles for options in choices.values() for cycles in options.cycles}):
        if interval < floor:
            continue
        chosen = cheapest(choices, interval, target, reserve)
        layers = replace(sum((choice.cost for choice in chosen.values()), reserve), bram=0)
        if not has_room(layers, target) and interval != _slowest(choices):
            continue  # not even without the kernels between the layers, wherever its memories are
        folded = in_memories(connect(dataflow, chosen), target, reserve)
        if has_room(total_cost(folded) + reserve, target):
            return folded
    check_fit(folded, target, reserve)
    raise AssertionError("a design that does not fit has an excess")


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
        layer[-1].name: Choices(_choices(dataflow, layer, products), target) for layer in _layers(dataflow)
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


def _slowest(choices: Mapping[str, Choices]) -> int:
    return max(options.cycles[-1] for options in choices.values())


def _layers(dataflow: Dataflow) -> Iterator[list[Kernel]]:
    """What is folded as one: the kernels that must have the same lanes, the last of which decides."""
    for kernel in dataflow.kernels:
        if isinstance(kernel, MatVec | Depthwise | Pool):
            yield [*_tied(dataflow, kernel), kernel]
        elif _is_adaptable(kernel):
            yield [kernel]


def _is_adaptable(kernel: Kernel) -> TypeGuard[Concat | FrameGather | Shift]:
    """Whether a kernel is a layer by itself that takes any lanes which do not straddle its parts."""
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
            made = Fold(lanes, pe, -(-cycles // frames), cost, taps, in_luts=in_luts)
            wanted = products == "lut" or (products == "auto" and _needs_no_multiplier(folded[-1]))
            found.append(of_luts(made) if in_luts is not None and wanted else made)
    return found


def _thresholds_behind(dataflow: Dataflow, last: Kernel) -> Threshold | None:
    """The thresholds that read what a layer sends, on as many lanes."""
    reader = _reader(dataflow, last)
    return reader if isinstance(reader, Threshold) else None


def _reader(dataflow: Dataflow, kernel: Kernel) -> Kernel | None:
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
    return first.lanes_for(0) if _is_adaptable(first) else first.inputs[0].channels


def _folded(layer: list[Kernel], lanes: int, pe: int, taps: int = 1) -> list[Kernel]:
    """The layer with so many lanes."""
    streams = [replace(stream, lanes=lanes) for stream in layer[0].inputs]
    rows = pe if isinstance(layer[-1], MatVec) else None
    made: list[Kernel] = []
    for before, kernel in zip([None, *layer], layer, strict=False):
        made += _rebuilt(kernel, streams, rows, taps, before)
        streams = list(made[-1].outputs)
    return made


def _check_rate(choices: Mapping[str, Choices], interval: int, clock_mhz: float) -> None:
    for name, options in choices.items():
        if options.least > interval:
            raise UsageError(
                f"{name}: needs at least {options.least} cycles per frame, the rate leaves {interval}; ask for at most "
                f"{int(clock_mhz * 1e6 / options.least)} frames/s at {clock_mhz:g} MHz"
            )


def _check_others(dataflow: Dataflow, interval: int, clock_mhz: float) -> None:
    """Raise UsageError naming a kernel without a choice that is slower than the rate allows."""
    for kernel in dataflow.kernels:
        cycles = -(-kernel.cycles_per_clip // dataflow.pixels.frames)
        if cycles > interval:
            raise UsageError(
                f"{kernel.name}: needs {cycles} cycles per frame, the rate leaves {interval}; ask for at most "
                f"{int(clock_mhz * 1e6 / cycles)} frames/s at {clock_mhz:g} MHz"
            )


def cheapest(
    choices: Mapping[str, Choices], interval: int, target: Target, reserve: Cost = NOTHING
) -> dict[str, Fold]:
    """The cheapest choice of each layer within `interval`, its products on multipliers or, of some, in LUTs."""
    chosen = {name: options.within(interval) for name, options in choices.items()}
    excess = sum(fold.cost.dsp for fold in chosen.values()) + reserve.dsp - target.dsp
    ways = {
        name: (fold.in_luts.lut - fold.cost.lut, fold.cost.dsp)
        for name, fold in chosen.items()
        if fold.in_luts
    }
    moved = _cheapest_to_free(ways, excess) if excess > 0 else ()
    return {name: of_luts(fold) if name in moved else fold for name, fold in chosen.items()}


def of_luts(fold: Fold) -> Fold:
    """The same choice with its products made of LUTs, which must be possible."""
    assert fold.in_luts is not None
    return replace(fold, cost=fold.in_luts, multiply="lut", in_luts=None)


def _cheapest_to_free(ways: Mapping[str, tuple[int, int]], excess: int) -> tuple[str, ...]:
    """Of the ways (LUTs taken, multipliers or block RAMs freed) those that free `excess` for the fewest LUTs; all of
    them if they do not suffice.

    A knapsack, exact: per number freed the cheapest way to free so many or more.
    """
    free: list[tuple[int, tuple[str, ...]] | None] = [(0, ()), *([None] * excess)]  # LUTs, names
    for name, (more, frees) in ways.items():
        for freed in range(excess, -1, -1):
            if (way := free[freed]) is not None:
                reached = min(excess, freed + frees)
                better = free[reached]
                if reached > freed and (better is None or way[0] + more < better[0]):
                    free[reached] = (way[0] + more, (*way[1], name))
    found = free[excess]
    return found[1] if found else tuple(ways)


def in_memories(dataflow: Dataflow, target: Target, reserve: Cost = NOTHING) -> Dataflow:
    """The design with its memories where `target` has room for them."""
    return _within_block_rams(in_ultra_ram(dataflow, target, reserve), target, reserve)


def _within_block_rams(dataflow: Dataflow, target: Target, reserve: Cost) -> Dataflow:
    """The design with thresholds in LUTs instead of block RAMs, for the fewest LUTs, where those run out."""
    excess = total_cost(dataflow).bram + reserve.bram - target.bram
    if excess <= 0:
        return dataflow
    moves = {k.name: replace(k, in_luts=True) for k in dataflow.kernels if isinstance(k, Threshold)}
    ways = {}
    for name, move in moves.items():
        now, then = dataflow.kernel(name).cost(), move.cost()
        if now.bram:
            ways[name] = (then.lut - now.lut, now.bram)
    moved = _cheapest_to_free(ways, excess)
    return replace(dataflow, kernels=tuple(moves[k.name] if k.name in moved else k for k in dataflow.kernels))


def share(cost: Cost, target: Target) -> float:
    """Of the device, the sum over all resources."""
    return sum(getattr(cost, name) / getattr(target, name) for name in RESOURCES)


def connect(dataflow: Dataflow, folds: Mapping[str, Fold]) -> Dataflow:
    """Apply the folds, let every other kernel take the lanes it is offered, convert widths where they differ.

    Pixels enter whole: all channels on one beat.
    """
    dataflow = replace(dataflow, pixels=replace(dataflow.pixels, lanes=_pixel_lanes(dataflow.pixels)))
    fold_of = {
        kernel.name: folds[layer[-1].name]
        for layer in _layers(dataflow)
        for kernel in layer
        if layer[-1].name in folds
    }  # also of the kernels that are tied to a product
    wiring = _Wiring(dataflow, interval=max(fold.cycles for fold in folds.values()))
    for kernel in dataflow.kernels:
        wiring.add(kernel, fold_of.get(kernel.name))
    connected = replace(dataflow, kernels=tuple(wiring.kernels.values()), links=tuple(wiring.links))
    return _paused(connected).check("folding")


def _paused(dataflow: Dataflow) -> Dataflow:
    """Every frame gather no faster than the window behind it.

    At the end of a clip it has frames to send that it need not wait for, and at a stride it sends one in a burst: what
    its reader cannot take at once then waits before it, where it is not yet there once per tap.
    """
    kernels = []
    for kernel in dataflow.kernels:
        reader = _window_behind(dataflow, kernel) if isinstance(kernel, FrameGather) else None
        if isinstance(kernel, FrameGather) and reader is not None:
            # Not all that the reader leaves: what is as slow as the slowest kernel never catches up.
            spare = max(0, reader.cycles_per_clip * 15 // 16 - kernel.cycles_per_clip)
            kernel = replace(kernel, pause=spare // (kernel.outputs[0].frames * kernel.outputs[0].pixels))
        kernels.append(kernel)
    return replace(dataflow, kernels=tuple(kernels))


def _window_behind(dataflow: Dataflow, kernel: Kernel) -> Window | Slide | None:
    """The window that reads what a kernel sends, perhaps on other lanes."""
    reader = _reader(dataflow, kernel)
    if isinstance(reader, Width):
        return _window_behind(dataflow, reader)
    return reader if isinstance(reader, Window | Slide) else None


def _pixel_lanes(pixels: Stream) -> int:
    """All channels on one beat, unless they are too many for pins."""
    return max(lanes for lanes in divisors(pixels.channels) if lanes <= _MOST_PIXEL_LANES)


@dataclass
class _Wiring:
    """The folded dataflow in the making."""

    unfolded: Dataflow
    interval: int  # cycles per frame that the folds leave
    kernels: dict[str, Kernel] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def add(self, kernel: Kernel, fold: Fold | None) -> None:
        """Append `kernel` behind what converts its inputs to the lanes that it wants."""
        feeds = self.unfolded.links_into(kernel.name)
        offered = [self._offered(link) for link in feeds]
        lanes = _lanes_wanted(kernel, offered, fold)
        ends: list[tuple[str, int]] = []
        for slot, link in enumerate(feeds):
            producer, port = link.producer, link.port
            for step in self._steps(offered[slot], lanes):
                width = Width(name=_width_name(kernel, slot, step, lanes), input=offered[slot], lanes=step)
                self.links.append(Link(producer, port, width.name, 0))
                self.kernels[width.name] = width
                producer, port, offered[slot] = width.name, 0, width.outputs[0]
            ends.append((producer, port))
        first, *others = self._made(kernel, offered, fold)
        self.links += [Link(producer, port, first.name, slot) for slot, (producer, port) in enumerate(ends)]
        self.links += [Link(before.name, 0, behind.name, 0) for before, behind in pairwise([first, *others])]
        self.kernels |= {made.name: made for made in (first, *others)}

    def _made(self, kernel: Kernel, offered: list[Stream], fold: Fold | None) -> list[Kernel]:
        """The kernel for its inputs and its fold; two for a window of several taps per cycle."""
        before = self.unfolded.links_into(kernel.name)[0].producer
        window = self.unfolded.kernel(before) if before != PIXELS else None
        made = _rebuilt(kernel, offered, self._pe(kernel, fold), fold.taps if fold else 1, window)
        return [
            replace(part, multiply=fold.multiply) if fold and isinstance(part, MatVec | Depthwise) else part
            for part in made
        ]

    def _offered(self, link: Link) -> Stream:
        """What the already connected producer drives."""
        if link.producer == PIXELS:
            return self.unfolded.pixels
        return self.kernels[link.producer].outputs[link.port]

    def _steps(self, stream: Stream, wanted: int) -> list[int]:
        """Lane counts to convert to, one after the other, each a whole ratio: through few lanes, or if that is too
        slow through many.
        """
        if stream.lanes == wanted:
            return []
        if stream.lanes % wanted == 0 or wanted % stream.lanes == 0:
            return [wanted]
        few = replace(stream, lanes=gcd(stream.lanes, wanted))
        fast = few.beats <= self.interval * self.unfolded.pixels.frames
        return [few.lanes if fast else lcm(stream.lanes, wanted), wanted]

    def _pe(self, kernel: Kernel, fold: Fold | None) -> int | None:
        """Rows per cycle of a matrix product, also for the window before it; None for any other kernel."""
        if isinstance(kernel, Window) and not kernel.depthwise:
            return fold.pe if fold else None
        return fold.pe if fold and isinstance(kernel, MatVec) else None


def _lanes_wanted(kernel: Kernel, offered: list[Stream], fold: Fold | None) -> int:
    lanes = gcd(*(stream.lanes for stream in offered))
    if _is_adaptable(kernel):
        taken = kernel.lanes_for(lanes)
        return taken if fold is None else max(taken, fold.lanes)  # as offered, if that is fast enough
    if fold is None:
        return lanes
    return fold.lanes * fold.taps if isinstance(kernel, MatVec | Depthwise) else fold.lanes


def _width_name(kernel: Kernel, slot: int, step: int, lanes: int) -> str:
    port = f"_{kernel.ports[slot]}" if len(kernel.inputs) > 1 else ""
    return f"{kernel.name}{port}_{'width' if step == lanes else 'split'}"


def _rebuilt(
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
