# SPDX-License-Identifier: Apache-2.0
"""Folding: how many rows (PE) and columns (SIMD), or channels, each product works on per cycle."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import gcd

from framegate.errors import UsageError
from framegate.hls.dataflow import PIXELS, Dataflow, Link
from framegate.hls.kernels import Add, Cost, Depthwise, FrameGather, Kernel, MatVec, Stage, Width, Window
from framegate.hls.stream import Stream, divisors
from framegate.hls.targets import Target

_NOTHING = Cost()


@dataclass(frozen=True)
class Fold:
    """One choice for a window and its product."""

    pe: int  # rows per cycle; for a depthwise product, which has as many as lanes, 1
    simd: int  # lanes of the window
    cycles: int  # per frame
    cost: Cost


def fold(
    dataflow: Dataflow,
    target: Target,
    clock_mhz: float,
    frames_per_second: float | None = None,
    reserve: Cost = _NOTHING,
) -> Dataflow:
    """Choose every PE and SIMD, the cheapest for the rate or (None) the fastest that fits; connect the lanes.

    `reserve` is left free on `target`. Layers are independent once the interval is fixed, so enumerating their
    divisors is exact. Raises UsageError when the rate is out of reach or the network does not fit `target`.
    """
    choices = {
        kernel.name: _choices(dataflow, kernel)
        for kernel in dataflow.kernels
        if isinstance(kernel, MatVec | Depthwise)
    }
    if frames_per_second is not None:
        interval = int(clock_mhz * 1e6 / frames_per_second)
        _check_rate(choices, interval, clock_mhz)
        chosen = _cheapest(choices, interval, target)
        folded = _connect(dataflow, chosen)
        check_fit(folded, target, reserve)
        return folded
    intervals = sorted({choice.cycles for options in choices.values() for choice in options})
    floor = max(min(choice.cycles for choice in options) for options in choices.values())
    for interval in (interval for interval in intervals if interval >= floor):
        folded = _connect(dataflow, _cheapest(choices, interval, target))
        if _excess(total_cost(folded) + reserve, target) is None:
            return folded
    check_fit(folded, target, reserve)
    raise AssertionError("a design that does not fit has an excess")


def total_cost(dataflow: Dataflow) -> Cost:
    """The sum of the kernels' cost models."""
    return sum((kernel.cost() for kernel in dataflow.kernels), Cost())


def _choices(dataflow: Dataflow, product: MatVec | Depthwise) -> list[Fold]:
    """Every divisor pair of one layer, unfolded in `dataflow`, with what it takes."""
    window = _window_of(dataflow, product)
    rows = divisors(product.rows) if isinstance(product, MatVec) else [1]
    found = []
    for pe in rows:
        for simd in divisors(window.input.channels):
            folded_window, folded = _folded(window, product, pe, simd)
            found.append(
                Fold(pe, simd, folded_window.outputs[0].beats_per_frame, folded_window.cost() + folded.cost())
            )
    return found


def _folded(window: Window, product: MatVec | Depthwise, pe: int, simd: int) -> tuple[Window, Kernel]:
    window = replace(window, input=replace(window.input, lanes=simd), repeat=window.repeat // pe)
    if isinstance(product, Depthwise):
        return window, replace(product, input=window.outputs[0])
    return window, replace(product, input=window.outputs[0], pe=pe)


def _window_of(dataflow: Dataflow, product: Kernel) -> Window:
    window = dataflow.kernel(dataflow.links_into(product.name)[0].producer)
    assert isinstance(window, Window), f"{product.name} must read a window"
    return window


def _check_rate(choices: Mapping[str, list[Fold]], interval: int, clock_mhz: float) -> None:
    for name, options in choices.items():
        least = min(option.cycles for option in options)
        if least > interval:
            raise UsageError(
                f"{name}: needs at least {least} cycles per frame, the rate leaves {interval}; ask for at most "
                f"{int(clock_mhz * 1e6 / least)} frames/s at {clock_mhz:g} MHz"
            )


def _cheapest(choices: Mapping[str, list[Fold]], interval: int, target: Target) -> dict[str, Fold]:
    """Per layer the choice within `interval` that takes the smallest share of the device."""
    chosen = {}
    for name, options in choices.items():
        within = [option for option in options if option.cycles <= interval]
        chosen[name] = min(within, key=lambda option: (_share(option.cost, target), option.cycles))
    return chosen


def _share(cost: Cost, target: Target) -> float:
    shares = (cost.lut / target.lut, cost.ff / target.ff, cost.dsp / target.dsp, cost.bram / target.bram)
    return sum(shares)


def fits(dataflow: Dataflow, target: Target) -> bool:
    """Whether `target` has room for the dataflow."""
    return _excess(total_cost(dataflow), target) is None


def _excess(cost: Cost, target: Target) -> str | None:
    wants = {"lut": cost.lut, "ff": cost.ff, "dsp": cost.dsp, "bram": cost.bram}
    for name, wanted in wants.items():
        if wanted > getattr(target, name):
            return f"{wanted} {name.upper()} of {getattr(target, name)}"
    return None


def check_fit(dataflow: Dataflow, target: Target, reserve: Cost = _NOTHING) -> None:
    """Raise UsageError when the dataflow does not fit `target`, `reserve` left free."""
    if excess := _excess(total_cost(dataflow) + reserve, target):
        raise UsageError(
            f"{dataflow.model}: needs {excess} on {target.name}; ask for fewer frames/s, use fewer channels or "
            f"bits, or choose a larger target"
        )


def _connect(dataflow: Dataflow, folds: Mapping[str, Fold]) -> Dataflow:
    """Apply the folds, let every other kernel take the lanes it is offered, convert widths where they differ.

    Pixels enter whole: all channels on one beat.
    """
    dataflow = replace(dataflow, pixels=replace(dataflow.pixels, lanes=dataflow.pixels.channels))
    simd = {_window_of(dataflow, dataflow.kernel(name)).name: fold for name, fold in folds.items()}
    kernels: dict[str, Kernel] = {}
    links: list[Link] = []
    for kernel in dataflow.kernels:
        feeds = dataflow.links_into(kernel.name)
        offered = [_offered(dataflow, kernels, link) for link in feeds]
        lanes = _lanes_wanted(kernel, offered, simd.get(kernel.name))
        for slot, link in enumerate(feeds):
            producer, port = link.producer, link.port
            for step in _steps(offered[slot].lanes, lanes):
                width = Width(name=_width_name(kernel, slot, step, lanes), input=offered[slot], lanes=step)
                links.append(Link(producer, port, width.name, 0))
                kernels[width.name] = width
                producer, port, offered[slot] = width.name, 0, width.outputs[0]
            links.append(Link(producer, port, kernel.name, slot))
        kernels[kernel.name] = _rebuilt(kernel, offered, simd.get(kernel.name), folds.get(kernel.name))
    return replace(dataflow, kernels=tuple(kernels.values()), links=tuple(links)).check("folding")


def _offered(dataflow: Dataflow, kernels: Mapping[str, Kernel], link: Link) -> Stream:
    """What the already connected producer drives."""
    return dataflow.pixels if link.producer == PIXELS else kernels[link.producer].outputs[link.port]


def _lanes_wanted(kernel: Kernel, offered: list[Stream], fold_of_window: Fold | None) -> int:
    if fold_of_window is not None:
        return fold_of_window.simd
    lanes = gcd(*(stream.lanes for stream in offered))
    return kernel.lanes_for(lanes) if isinstance(kernel, FrameGather) else lanes


def _steps(lanes: int, wanted: int) -> Iterator[int]:
    """Lane counts to convert to, one after the other, each a whole ratio."""
    if lanes == wanted:
        return
    if lanes % wanted and wanted % lanes:
        yield gcd(lanes, wanted)
    yield wanted


def _width_name(kernel: Kernel, slot: int, step: int, lanes: int) -> str:
    port = f"_{kernel.ports[slot]}" if len(kernel.inputs) > 1 else ""
    return f"{kernel.name}{port}_{'width' if step == lanes else 'split'}"


def _rebuilt(
    kernel: Kernel, offered: list[Stream], window_fold: Fold | None, matvec_fold: Fold | None
) -> Kernel:
    if isinstance(kernel, Window) and window_fold is not None:
        repeat = kernel.repeat // window_fold.pe
        return replace(kernel, input=offered[0], repeat=repeat)
    if isinstance(kernel, MatVec) and matvec_fold is not None:
        return replace(kernel, input=offered[0], pe=matvec_fold.pe)
    if isinstance(kernel, Add):
        return replace(kernel, left=offered[0], right=offered[1])
    assert isinstance(kernel, Stage)
    return replace(kernel, input=offered[0])
