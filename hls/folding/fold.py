# SPDX-License-Identifier: Apache-2.0
"""Folding: how many lanes each kernel works on, for a rate at the least cost."""

from collections.abc import Mapping
from dataclasses import replace

from framegate.errors import UsageError
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.choices import Choices, Fold, Products, choices_of, of_luts, with_multipliers_of
from framegate.hls.folding.fit import NOTHING, check_fit, has_room, total_cost
from framegate.hls.folding.memories import cheapest_to_free, in_memories
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import Cost
from framegate.hls.targets import Target


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
        folded = in_memories(
            connect(dataflow, cheapest(choices, dict.fromkeys(choices, interval), target)), target, reserve
        )
        _check_others(folded, interval, clock_mhz)
        check_fit(folded, target, reserve)
        return folded
    floor = max(options.least for options in choices.values())
    for interval in sorted({cycles for options in choices.values() for cycles in options.cycles}):
        if interval < floor:
            continue
        chosen = cheapest(choices, dict.fromkeys(choices, interval), target, reserve)
        layers = replace(sum((choice.cost for choice in chosen.values()), reserve), bram=0)
        if not has_room(layers, target) and interval != _slowest(choices):
            continue  # not even without the kernels between the layers, wherever its memories are
        folded = in_memories(connect(dataflow, chosen), target, reserve)
        if has_room(total_cost(folded) + reserve, target):
            return folded
    check_fit(folded, target, reserve)
    raise AssertionError("a design that does not fit has an excess")


def _slowest(choices: Mapping[str, Choices]) -> int:
    return max(options.cycles[-1] for options in choices.values())


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
    choices: Mapping[str, Choices], limits: Mapping[str, int], target: Target, reserve: Cost = NOTHING
) -> dict[str, Fold]:
    """The cheapest choice of each layer within its limit (cycles per frame), its products on multipliers or, of some,
    in LUTs.
    """
    chosen = {name: options.within(limits[name]) for name, options in choices.items()}
    excess = sum(fold.cost.dsp for fold in chosen.values()) + reserve.dsp - target.dsp
    ways = {
        name: (fold.in_luts.lut - fold.cost.lut, fold.cost.dsp)
        for name, fold in chosen.items()
        if fold.in_luts
    }
    moved = cheapest_to_free(ways, excess) if excess > 0 else ()
    return {name: of_luts(fold) if name in moved else fold for name, fold in chosen.items()}
