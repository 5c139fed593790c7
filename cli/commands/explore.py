# SPDX-License-Identifier: Apache-2.0
"""`framegate explore`: the foldings worth building, and what bounds each."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from framegate.commands.console import Json, markdown, say, show
from framegate.commands.options import Board, Clock, Network

EPILOG = "Example: `framegate explore tsm-lite --target ulx3s-85f --plot pareto.png --measured build/demo`"


def command(
    model: Network = "tsm-lite",
    build: Annotated[Path, typer.Option(help="Folder for the lowered graph.")] = Path("build/explore"),
    target: Board = "ulx3s-85f",
    clock: Clock = None,
    points: Annotated[int, typer.Option(min=2, max=10_000, help="Foldings to show at most.")] = 40,
    measured: Annotated[
        list[Path] | None,
        typer.Option(help="A build whose bitstream or synthesis is shown beside; repeatable."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw clips/s over area into this PNG.")] = None,
    json: Json = False,
) -> None:
    """The Pareto front of rate and area, exact over all divisors, and why the slowest layer is the slowest."""
    from framegate.hls.build.build import explore_model
    from framegate.hls.folding.explore import draw

    found, built = explore_model(model, build, target, clock, say, measured or (), points)
    rows = [
        [
            f"{point.interval:,}", f"{point.frames_per_second:,.0f}", f"{point.clips_per_second:,.1f}",
            f"{point.lut:,}", f"{point.dsp:,}", f"{point.bram:,}", f"{point.share:.0%} {point.scarcest.upper()}",
            f"{point.bottleneck}: {point.why}",
        ]
        for point in found
    ]  # fmt: skip
    head = ["cycles/frame", "frames/s", "clips/s", "LUT", "DSP", "BRAM", "of the device", "slowest layer"]
    lines = markdown(head, rows)
    lines += [
        f"{one.name}: {one.clips_per_second:,.1f} clips/s, {one.share:.0%} of the device" for one in built
    ]
    if plot:
        lines.append(f"wrote {draw(plot, found, built, f'{Path(model).stem} on {target}')}")
    show(
        {
            "model": model,
            "target": target,
            "points": [asdict(point) for point in found],
            "measured": [asdict(one) for one in built],
        },
        lines,
        json,
    )
