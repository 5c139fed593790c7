# SPDX-License-Identifier: Apache-2.0
"""`framegate compile`: from a network to SystemVerilog whose latency is known."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from framegate.commands.console import Json, first_of, markdown, say, show
from framegate.commands.options import Board, Clock, Network, known_rate, within
from framegate.errors import UsageError

if TYPE_CHECKING:
    from framegate.hls.build.compiler import CompileReport

EPILOG = "Example: `framegate compile run/checkpoint.pt --build build --rate 1200`"
RATE, CAMERA = "1200", "30"  # frames per second, where none is given: without and with a longest delay


def command(
    model: Network = "tsm-lite",
    build: Annotated[Path, typer.Option(help="Folder to write.")] = Path("build"),
    target: Board = "ulx3s-85f",
    rate: Annotated[
        str | None,
        typer.Option(
            help=f'Frames per second to reach, or "max": the fastest that fits. By default {RATE}, '
            f"with --latency {CAMERA}.",
            callback=known_rate,
        ),
    ] = None,
    clock: Clock = None,
    threshold: Annotated[
        str | None,
        typer.Option(help="A threshold.json, or a probability; by default what is kept with the model."),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Run for ever: a score per frame, cleared by a pin; no look ahead."),
    ] = False,
    pixel_scale: Annotated[
        str | None,
        typer.Option(
            help="Of a QONNX file from elsewhere: the value of a pixel's step, as 1/255; else 1/256."
        ),
    ] = None,
    products: Annotated[
        Literal["auto", "dsp", "lut"],
        typer.Option(
            help="Products by multipliers, in LUTs (weights up to 4 bits), or there when those run out."
        ),
    ] = "auto",
    latency: Annotated[
        float | None,
        typer.Option(
            help="The longest decision delay in ms, from the last pixel to the result, for the least area.",
            callback=within(1e-6, 1e6, "ms"),
        ),
    ] = None,
    least_latency: Annotated[
        bool,
        typer.Option(
            "--least-latency", help="Spend what is left of the device on the shortest decision delay."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Lower to FINN's hardware graph, fold, schedule and emit RTL; print cycles (exact) and area (estimated)."""
    from framegate.hls.build.build import compile_model

    scale = None if pixel_scale is None else _fraction(pixel_scale)
    if latency is not None and least_latency:
        raise UsageError("--latency and --least-latency: give one of them")
    if rate is None:
        rate = RATE if latency is None else CAMERA
    report = compile_model(
        model, build, target, rate, clock, say, threshold, stream, scale, products, latency, least_latency
    )
    show(asdict(report), _lines(report, steps=least_latency), json)


def _lines(report: "CompileReport", *, steps: bool) -> list[str]:
    """What a person reads."""
    return [
        f"{report.model} on {report.target} at {report.clock_mhz:g} MHz",
        f"latency {report.latency_cycles:,} cycles ({report.latency_ms:.4g} ms) from first pixel to result",
        f"decision delay {report.decision_delay_cycles:,} cycles ({report.decision_delay_ms:.4g} ms) from last pixel "
        f"to result",
        f"initiation interval {report.initiation_interval:,} cycles: {report.frames_per_second:,.0f} frames/s, "
        f"{report.clips_per_second:,.1f} clips/s; multipliers busy {report.mac_utilization:.1%}",
        f"estimated: {report.lut:,} LUT, {report.ff:,} FF, {report.bram} BRAM, {report.dsp} DSP"
        + (f", {report.uram} UltraRAM" if report.uram else ""),
        *([_loading(report.load_words)] if report.load_words else []),
        *([f"runs for ever: each score is of the last {report.window} frames"] if report.window else []),
        *(f"alarm of {name} from logit {logit:g}" for name, logit in report.thresholds.items()),
        *(_steps(report.steps) if steps else []),
        f"wrote {report.rtl}",
    ]


def _steps(steps: list[dict[str, Any]]) -> list[str]:
    """What each step to the shortest delay costs."""
    rows = [
        [
            first_of(step["faster"]) or "nothing: the cheapest for the rate", f"{step['decision_delay_ms']:.4f}",
            *(f"{step[name]:,}" for name in ("lut", "ff", "dsp", "bram")),
        ]
        for step in steps
    ]  # fmt: skip
    return markdown(["made faster", "decision delay, ms", "LUT", "FF", "DSP", "BRAM of the layers"], rows)


def _loading(words: int) -> str:
    source = "rtl/framegate_load.hex"
    return (
        f"memories in UltraRAM, which starts empty: send the {words:,} words of {source} to s_axis_load first"
    )


_LEAST_SCALE = 1e-9  # beyond it and its inverse, products with float32 weights leave the type


def _fraction(text: str) -> float:
    """A number, or one divided by another."""
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not _LEAST_SCALE <= value <= 1 / _LEAST_SCALE:
        raise UsageError(
            f"--pixel-scale {text}: give a number from {_LEAST_SCALE:g} to {1 / _LEAST_SCALE:g}, such as 1/255"
        )
    return value
