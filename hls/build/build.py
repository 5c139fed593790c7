# SPDX-License-Identifier: Apache-2.0
"""What the commands make in a build folder, step by step, each skipped when nothing that it reads has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from framegate.errors import UsageError
from framegate.files import read_json
from framegate.hls.build.compiler import COMPILED, CompileReport, compile_hardware, read_report, told_edits
from framegate.hls.build.files import DATAFLOW, HARDWARE, LATENCY, QONNX, RTL
from framegate.hls.build.model import COMPILE, take_model, take_thresholds
from framegate.hls.build.rate import frames_per_second
from framegate.hls.dataflow.dead_channels import without_dead_channels
from framegate.hls.dataflow.graph import Dataflow, load_dataflow
from framegate.hls.emission.emit import TOP
from framegate.hls.flows.ecp5.ecp5 import board_files, build_bitstream
from framegate.hls.flows.flow import FlowReport
from framegate.hls.flows.utilization import Utilization, utilization
from framegate.hls.flows.xilinx.xilinx import build_checkpoint
from framegate.hls.folding.choices import Products
from framegate.hls.folding.explore import Measured
from framegate.hls.folding.fit import RESOURCES
from framegate.hls.lowering.lower import lower
from framegate.hls.lowering.read_off import read_dataflow
from framegate.hls.schedule.schedule import read_times
from framegate.hls.steps import Steps, locked
from framegate.hls.targets import Target, load_target
from framegate.quant.clips.transforms import SMALLEST_SIDE


def compile_model(
    model: str,
    build: Path,
    target: str,
    rate: str,
    clock_mhz: float | None,
    say: Callable[[str], None],
    threshold: str | None = None,
    stream: bool = False,
    pixel_scale: float | None = None,
    products: Products = "auto",
    latency_ms: float | None = None,
    least_latency: bool = False,
) -> CompileReport:
    """From a built-in name, a checkpoint or a QONNX file to RTL with its dataflow and latency in `build`.

    `rate`: frames per second, or "max" for the fastest that fits. `threshold`: a threshold.json or a probability;
    None for those kept with the model. `stream`: a design that runs for ever, for networks that look back only.
    `pixel_scale`: the value of one step of a pixel in a QONNX file from elsewhere; None for what the file says, or
    1/256. `products`: made by multipliers, in LUTs, or by cost. `latency_ms`: the longest decision delay, last pixel to
    result; `least_latency`: all the device may be used for the shortest. Raises UsageError for a wrong option, an
    unsupported layer, or a design that does not fit.
    """
    board = load_target(target)
    wanted = frames_per_second(rate)
    clock = board.clock_mhz if clock_mhz is None else clock_mhz
    with locked(build, say):
        _refuse_foreign(build)
        steps = Steps(build, say)
        take_model(model, build, steps, pixel_scale)
        limits = take_thresholds(model, build, threshold)
        _lower(build, steps)
        options: dict[str, Any] = {
            "frames_per_second": wanted,
            "clock_mhz": clock,
            "thresholds": limits,
            "stream": stream,
            "products": products,
            "latency_ms": latency_ms,
            "least_latency": least_latency,
        }
        steps.run(
            "compile",
            [build / HARDWARE, board.model_dump_json(), str(options)],
            [build / name for name in COMPILED],
            lambda: compile_hardware(build, board, **options, progress=lambda step: say(f"  {step}")),
            COMPILE,
        )
        return read_report(build)


def _refuse_foreign(build: Path) -> None:
    """Raise UsageError when the RTL that `compile` would replace in `build` is not its own: somebody's sources."""
    rtl = build / RTL
    known = (build / DATAFLOW, build / HARDWARE, rtl / f"{TOP}.sv")
    if rtl.is_dir() and any(rtl.iterdir()) and not any(path.exists() for path in known):
        raise UsageError(
            f"{rtl}: is there already, and not from here; move it, or choose another build folder"
        )


def _lower(build: Path, steps: Steps) -> None:
    """From the network in `build` to its hardware graph."""
    steps.run("lower", [build / QONNX], [build / HARDWARE], lambda: lower(build / QONNX, build), COMPILE)


def takes_videos(build: Path) -> bool:
    """Whether the design in `build` takes what a video gives: square frames of red, green and blue, of a size to which
    videos are brought.
    """
    read_report(build)  # says what is missing
    pixels = load_dataflow(build / DATAFLOW).pixels
    return pixels.channels == 3 and pixels.height == pixels.width and pixels.height >= SMALLEST_SIDE


def bitstream_build(build: Path, target: str, seed: int, say: Callable[[str], None]) -> FlowReport:
    """Synthesize, place and route what `build` holds; see `build_bitstream` and, for AMD's, `build_checkpoint`."""
    board = load_target(target)
    clock = read_times(build / LATENCY).clock_mhz
    out = build / "flow" / target
    with locked(build, say):
        told_edits(build, say)
        if board.family == "xilinx":
            return build_checkpoint(build / RTL, board, out, say, clock_mhz=clock)
        return build_bitstream(build / RTL, board_files(board), board, out, say, clock_mhz=clock, seed=seed)


def synthesize_build(build: Path, target: str, say: Callable[[str], None]) -> Utilization:
    """Synthesize what `build` holds and count what it takes; see `utilization`."""
    board = load_target(target)
    read_times(build / LATENCY)  # says what is missing
    with locked(build, say):
        told_edits(build, say)
        return utilization(build / RTL, board, build / "flow" / target, say)


def unfolded_model(
    model: str, build: Path, target: str, clock_mhz: float | None, say: Callable[[str], None]
) -> tuple[Dataflow, Target, float]:
    """What `explore` folds: the dataflow of a model, lowered in `build`, with its board and clock.

    Raises UsageError for an unsupported layer.
    """
    board = load_target(target)
    with locked(build, say):
        steps = Steps(build, say)
        take_model(model, build, steps, None)
        _lower(build, steps)
        dataflow = without_dead_channels(read_dataflow(build / HARDWARE))
    return dataflow, board, board.clock_mhz if clock_mhz is None else clock_mhz


def measured_build(build: Path, board: Target, say: Callable[[str], None]) -> Measured:
    """A build's rate and delay, and its share of the board by what the tools counted.

    Raises UsageError for a build that was not made for `board` or not counted by its tools.
    """
    report = read_report(build)
    told_edits(build, say)
    if report.target != board.name:
        raise UsageError(
            f"{build}: built for {report.target}, not for {board.name}; give --target {report.target}"
        )
    flow = build / "flow" / board.name
    kept = next(
        (flow / name for name in ("report.json", "utilization.json") if (flow / name).is_file()), None
    )
    if kept is None:
        raise UsageError(
            f"{build}: not counted yet; run `framegate bitstream {build} --synthesis-only` first"
        )
    counted = read_json(kept, "run the bitstream again")
    share = max(counted[name] / getattr(board, name) for name in RESOURCES)
    return Measured(str(build), report.clips_per_second, report.decision_delay_ms, share)
