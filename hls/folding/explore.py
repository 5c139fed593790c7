# SPDX-License-Identifier: Apache-2.0
"""Exploration: the foldings of a network that no other one beats in both rate and area, and what bounds each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from framegate.files import LOOK, save_figure
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.choices import Choices, Fold, choices_of, with_multipliers_of
from framegate.hls.folding.fit import RESOURCES, has_room, total_cost
from framegate.hls.folding.fold import cheapest
from framegate.hls.folding.memories import in_memories
from framegate.hls.folding.shorten import Descent, Step, told
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import Cost
from framegate.hls.targets import Target

_ANY = 1 << 62  # cycles of a frame: more than any folding takes


@dataclass(frozen=True)
class Point:
    """One folding. Area is of the cost model, without the FIFOs and skid buffers that the schedule adds."""

    interval: int  # cycles per frame
    frames_per_second: float
    clips_per_second: float
    lut: int
    ff: int
    dsp: int
    bram: int
    share: float  # of the device: of the resource that is used most
    scarcest: str  # that resource
    fits: bool
    bottleneck: str  # the slowest layer
    why: str  # what it would take to make that one faster


@dataclass(frozen=True)
class Delay:
    """One folding. Cycles are exact for one clip; area is as of a `Point`."""

    decision_delay_cycles: int  # last pixel to result
    decision_delay_ms: float
    lut: int
    ff: int
    dsp: int
    bram: int
    share: float
    scarcest: str
    faster: tuple[str, ...]  # the layers that the last step made faster; none in the smallest design


@dataclass(frozen=True)
class Measured:
    """A design that was built."""

    name: str
    clips_per_second: float
    decision_delay_ms: float
    share: float  # of the device: of the resource that is used most


@dataclass(frozen=True)
class Mark:
    """A folding or a build in a picture."""

    share: float  # of the device, 0 … 1
    value: float
    fits: bool = True


def front(dataflow: Dataflow, target: Target, clock_mhz: float, points: int = 40) -> list[Point]:
    """The Pareto front of rate and area on `target`, fastest first; of a long one `points`, evenly by rate.

    Layers are independent once the interval is fixed, so the cheapest choice of each is exact. Raises UsageError for
    a layer that cannot be built.
    """
    dataflow = with_multipliers_of(target, dataflow)
    choices = choices_of(dataflow, target)
    floor = max(options.least for options in choices.values())
    intervals = sorted(
        {cycles for options in choices.values() for cycles in options.cycles if cycles >= floor}
    )
    if len(intervals) > points:
        wanted = np.geomspace(intervals[0], intervals[-1], points)
        intervals = sorted(
            {min(intervals, key=lambda cycles: abs(cycles - near)) for near in wanted.tolist()}
        )
    return list(_not_beaten(_point(dataflow, choices, interval, target, clock_mhz) for interval in intervals))


def delays(
    dataflow: Dataflow,
    target: Target,
    clock_mhz: float,
    points: int = 40,
    progress: Callable[[str], None] = lambda step: None,
) -> list[Delay]:
    """Foldings of ever shorter decision delays that no shorter one beats in area, as `compile --latency` finds them
    from the smallest design on; of many `points`, evenly by delay. Raises UsageError for a layer that cannot be built.
    """
    descent = Descent(dataflow, target, "auto", _ANY)
    first = descent.start(_ANY)
    steps = [first, *told(descent.run(first, Cost()), progress)]
    found = list(_not_beaten(_delay(descent, step, clock_mhz) for step in reversed(steps)))[::-1]
    if len(found) > points:
        cycles = [one.decision_delay_cycles for one in found]
        wanted = np.geomspace(cycles[0], cycles[-1], points)
        near = [min(range(len(found)), key=lambda n: abs(cycles[n] - delay)) for delay in wanted.tolist()]
        found = [found[n] for n in sorted(set(near))]
    return found


def _delay(descent: Descent, step: Step, clock_mhz: float) -> Delay:
    target = descent.target
    cost = total_cost(in_memories(connect(descent.dataflow, step.folds), target))
    share, scarcest = _share(cost, target)
    return Delay(
        decision_delay_cycles=step.delay,
        decision_delay_ms=step.delay / clock_mhz / 1e3,
        **{name: getattr(cost, name) for name in RESOURCES},
        share=share,
        scarcest=scarcest,
        faster=step.faster,
    )


def _share(cost: Cost, target: Target) -> tuple[float, str]:
    """Of the device, of the resource that is used most; and which that is."""
    shares = {name: getattr(cost, name) / getattr(target, name) for name in RESOURCES}
    scarcest = max(shares, key=lambda name: shares[name])
    return shares[scarcest], scarcest


_Folding = TypeVar("_Folding", Point, Delay)


def _not_beaten(points: Iterable[_Folding]) -> Iterator[_Folding]:
    """Of points that get slower, those that take less than all before."""
    least = float("inf")
    for point in points:
        if point.share < least:
            least = point.share
            yield point


def _point(
    dataflow: Dataflow, choices: Mapping[str, Choices], interval: int, target: Target, clock_mhz: float
) -> Point:
    folds = cheapest(choices, dict.fromkeys(choices, interval), target)
    cost = total_cost(in_memories(connect(dataflow, folds), target))
    share, scarcest = _share(cost, target)
    slowest = max(folds, key=lambda name: folds[name].cycles)
    rate = clock_mhz * 1e6 / interval
    return Point(
        interval=interval,
        frames_per_second=rate,
        clips_per_second=rate / dataflow.pixels.frames,
        **{name: getattr(cost, name) for name in RESOURCES},
        share=share,
        scarcest=scarcest,
        fits=has_room(cost, target),
        bottleneck=slowest,
        why=_why(folds[slowest], choices[slowest].faster_than(folds[slowest].cycles)),
    )


def _why(now: Fold, faster: Fold | None) -> str:
    takes = f"PE {now.pe} x SIMD {now.lanes} takes {now.cycles:,} cycles"
    if faster is None:
        return f"{takes}, and nothing is faster: it sends a beat per cycle with all its channels on it"
    more = _more(now.cost, faster.cost)
    return f"{takes}; PE {faster.pe} x SIMD {faster.lanes} would take {faster.cycles:,} for {more}"


def _more(now: Cost, then: Cost) -> str:
    more = {name: getattr(then, name) - getattr(now, name) for name in RESOURCES}
    return ", ".join(f"{count:+,} {name.upper()}" for name, count in more.items() if count) or "nothing"


def draw(path: Path, found: Sequence[Mark], measured: Sequence[Mark], what: str, title: str) -> Path:
    """A front as a picture: `what` (the marks' values) over the share of the scarcest resource, built designs on it."""
    # Takes a second to import, and every command that compiles imports this module.
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    with style.context(LOOK):
        figure = Figure(figsize=(7.2, 4.6))
        axes = figure.subplots()
        rising = sorted(found, key=lambda mark: mark.share)
        axes.step(*_places(rising), where="post", color="C0", linewidth=1.6, label="front, by the cost model")
        for fits, look in ((True, "o"), (False, "x")):
            if some := [mark for mark in found if mark.fits == fits]:
                label = "fits" if fits else "does not fit"
                axes.plot(*_places(some), look, color="C0", markersize=4, label=label)
        if measured:
            axes.plot(*_places(measured), "D", color="C1", markersize=8, label="built: counted by the tools")
        axes.axvline(100, color="black", linewidth=1.2, dashes=(5, 3))
        axes.set(xscale="log", yscale="log", xlabel="% of the scarcest resource", ylabel=what, title=title)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter("{x:g}")
        axes.legend(loc="best")
        return save_figure(figure, path)


def _places(marks: Sequence[Mark]) -> tuple[list[float], list[float]]:
    return [100 * mark.share for mark in marks], [mark.value for mark in marks]
