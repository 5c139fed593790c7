# SPDX-License-Identifier: Apache-2.0
"""`framegate explore`: the foldings worth building, and what bounds each."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from framegate.commands.console import Json, first_of, markdown, say, show
from framegate.commands.options import Board, Clock, Network

if TYPE_CHECKING:  # importing it takes seconds
    from framegate.hls.folding.explore import Delay, Measured, Point

EPILOG = "Example: `framegate explore tsm-lite --target ulx3s-85f --plot pareto.png --measured build/demo`"


def command(
    model: Network = "tsm-lite",
    build: Annotated[Path, typer.Option(help="Folder for the lowered graph.")] = Path("build/explore"),
    target: Board = "ulx3s-85f",
    clock: Clock = None,
    axis: Annotated[
        Literal["rate", "delay"],
        typer.Option(help="Frames per second, or the decision delay: from the last pixel to the result."),
    ] = "rate",
    points: Annotated[int, typer.Option(min=2, max=10_000, help="Foldings to show at most.")] = 40,
    measured: Annotated[
        list[Path] | None,
        typer.Option(help="A build whose bitstream or synthesis is shown beside; repeatable."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the front over area into this PNG.")] = None,
    json: Json = False,
) -> None:
    """What speed costs: the Pareto front of rate and area, exact over all divisors, or ever shorter decision delays."""
    from framegate.hls.build.build import measured_build, unfolded_model
    from framegate.hls.folding import explore

    dataflow, board, mhz = unfolded_model(model, build, target, clock, say)
    built = [measured_build(path, board, say) for path in measured or ()]
    say("folding …")
    title = f"{Path(model).stem} on {target}"
    if axis == "delay":
        steps = explore.delays(dataflow, board, mhz, points, lambda step: say(f"  {step}"))
        lines, found = _of_delay(steps, built), [asdict(step) for step in steps]
        marks = [explore.Mark(step.share, step.decision_delay_ms, step.share <= 1) for step in steps]
        of_built, what = (
            [explore.Mark(one.share, one.decision_delay_ms) for one in built],
            "decision delay, ms",
        )
    else:
        front = explore.front(dataflow, board, mhz, points)
        lines, found = _of_rate(front, built), [asdict(point) for point in front]
        marks = [explore.Mark(point.share, point.clips_per_second, point.fits) for point in front]
        of_built, what = [explore.Mark(one.share, one.clips_per_second) for one in built], "clips/s"
    if plot:
        lines.append(f"wrote {explore.draw(plot, marks, of_built, what, title)}")
    content = {"model": model, "target": target, "points": found, "measured": [asdict(one) for one in built]}
    show(content, lines, json)


def _of_rate(points: "Sequence[Point]", built: "Sequence[Measured]") -> list[str]:
    """A line per folding, and what bounds it."""
    rows = [
        [
            f"{point.interval:,}", f"{point.frames_per_second:,.0f}", f"{point.clips_per_second:,.1f}", *_area(point),
            f"{point.bottleneck}: {point.why}",
        ]
        for point in points
    ]  # fmt: skip
    head = ["cycles/frame", "frames/s", "clips/s", "LUT", "DSP", "BRAM", "of the device", "slowest layer"]
    told = [
        f"{one.name}: {one.clips_per_second:,.1f} clips/s, {one.share:.0%} of the device" for one in built
    ]
    return markdown(head, rows) + told


def _of_delay(steps: "Sequence[Delay]", built: "Sequence[Measured]") -> list[str]:
    """A line per folding, and what it makes faster."""
    rows = [
        [
            f"{step.decision_delay_cycles:,}", f"{step.decision_delay_ms:.4g}", *_area(step), first_of(step.faster),
        ]
        for step in steps
    ]  # fmt: skip
    head = ["decision delay, cycles", "ms", "LUT", "DSP", "BRAM", "of the device", "made faster"]
    told = [f"{one.name}: {one.decision_delay_ms:.4g} ms, {one.share:.0%} of the device" for one in built]
    return markdown(head, rows) + told


def _area(one: "Point | Delay") -> list[str]:
    return [f"{one.lut:,}", f"{one.dsp:,}", f"{one.bram:,}", f"{one.share:.0%} {one.scarcest.upper()}"]
