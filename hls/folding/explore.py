# SPDX-License-Identifier: Apache-2.0
"""Exploration: the foldings of a network that no other one beats in both rate and area, and what bounds each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from framegate.files import LOOK, save_figure
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.choices import Choices, Fold, choices_of, with_multipliers_of
from framegate.hls.folding.fit import RESOURCES, has_room, total_cost
from framegate.hls.folding.fold import cheapest
from framegate.hls.folding.memories import in_memories
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import Cost
from framegate.hls.targets import Target


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
class Measured:
    """A design that was built."""

    name: str
    clips_per_second: float
    share: float  # of the device: of the resource that is used most


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


def _not_beaten(points: Iterator[Point]) -> Iterator[Point]:
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
    shares = {name: getattr(cost, name) / getattr(target, name) for name in RESOURCES}
    scarcest = max(shares, key=lambda name: shares[name])
    slowest = max(folds, key=lambda name: folds[name].cycles)
    rate = clock_mhz * 1e6 / interval
    return Point(
        interval=interval,
        frames_per_second=rate,
        clips_per_second=rate / dataflow.pixels.frames,
        **{name: getattr(cost, name) for name in RESOURCES},
        share=shares[scarcest],
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


def draw(path: Path, points: Sequence[Point], measured: Sequence[Measured], title: str) -> Path:
    """The front as a picture: clips/s over the share of the scarcest resource, built designs on it."""
    # Takes a second to import, and every command that compiles imports this module.
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    with style.context(LOOK):
        figure = Figure(figsize=(7.2, 4.6))
        axes = figure.subplots()
        rising = points[::-1]
        xs, ys = [100 * point.share for point in rising], [point.clips_per_second for point in rising]
        axes.step(xs, ys, where="post", color="C0", linewidth=1.6, label="front, by the cost model")
        for fits, look in ((True, "o"), (False, "x")):
            some = [point for point in points if point.fits == fits]
            if some:
                xs, ys = [100 * point.share for point in some], [point.clips_per_second for point in some]
                axes.plot(xs, ys, look, color="C0", markersize=4, label="fits" if fits else "does not fit")
        if measured:
            xs, ys = [100 * build.share for build in measured], [build.clips_per_second for build in measured]
            axes.plot(xs, ys, "D", color="C1", markersize=8, label="built: counted by the tools")
        axes.axvline(100, color="black", linewidth=1.2, dashes=(5, 3))
        axes.set(
            xscale="log", yscale="log", xlabel="% of the scarcest resource", ylabel="clips/s", title=title
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter("{x:g}")
        axes.legend(loc="upper left")
        return save_figure(figure, path)
