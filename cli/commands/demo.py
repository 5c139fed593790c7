# SPDX-License-Identifier: Apache-2.0
"""`framegate demo`: everything, on a network that comes with the package."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from framegate.commands.console import Json, say, show
from framegate.commands.options import Board, Rate

EPILOG = (
    "Example: `framegate demo --no-bitstream --json`, `framegate demo --model shoplifting --clips my_clips`"
)
CLIPS_PER_CLASS = 8
IN_HARDWARE = 5  # clips that are simulated, beside one of noise


def command(
    build: Annotated[Path, typer.Option(help="Folder to write; an interrupted run continues there.")] = Path(
        "build/demo"
    ),
    model: Annotated[
        str, typer.Option(help="A built-in network (tsm-lite, shoplifting), or a checkpoint.pt.")
    ] = "tsm-lite",
    target: Board = "ulx3s-85f",
    rate: Rate = "1200",
    clips: Annotated[Path | None, typer.Option(help="Your own clips instead of synthetic ones.")] = None,
    bitstream: Annotated[bool, typer.Option(help="Synthesize, place and route as well.")] = True,
    json: Json = False,
) -> None:
    """Clips, hardware, verified simulation, bitstream and a report, in one go."""
    from framegate.hls.build.build import bitstream_build, compile_model
    from framegate.quant.clips.layouts import find_clips
    from framegate.quant.clips.shop import demo_clips
    from framegate.rtl_sim.report.report import render_report
    from framegate.rtl_sim.simulate import simulate_build

    started = time.monotonic()
    found = find_clips(clips) if clips else demo_clips(build / "clips", CLIPS_PER_CLASS)
    compiled = compile_model(model, build, target, rate, None, say)
    judgement = simulate_build(build, found, say, hardware_clips=IN_HARDWARE, noise=1)
    judgement.check()
    flow = bitstream_build(build, target, 1, say) if bitstream else None
    report = render_report(build, say=say)
    times = judgement.latency_cycles
    result = {
        "model": model,
        "bit_exact": judgement.bit_exact,
        "ladder": [asdict(rung) for rung in judgement.ladder],
        "latency_cycles": times,
        "compile": asdict(compiled),
        "metrics": judgement.metrics,
        "bitstream": asdict(flow) if flow else None,
        "report": str(report),
        "seconds": round(time.monotonic() - started, 1),
    }
    lines = [
        f"bit-exact on {judgement.ladder[-1].clips} clips in hardware, {len(found)} in the reference",
        f"latency {times['measured']:,} cycles as predicted, jitter {times['jitter']}: {compiled.latency_ms:.2f} ms",
        f"bitstream {flow.path}: {flow.fmax_mhz:.1f} MHz, {flow.lut:,} LUT"
        if flow
        else "no bitstream asked for",
        f"report {report}",
        f"{result['seconds']} s",
    ]
    show(result, lines, json)
