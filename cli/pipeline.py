# SPDX-License-Identifier: Apache-2.0
"""What the commands do to a build folder, step by step, each skipped when nothing it reads has changed."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from framegate import hls, quant, rtl_sim
from framegate.errors import UsageError
from framegate.files import read_json, whole
from framegate.hls.compiler import (
    COMPILED,
    DATAFLOW,
    HARDWARE,
    LATENCY,
    QONNX,
    RTL,
    CompileReport,
    compile_hardware,
    read_report,
    told_edits,
)
from framegate.hls.dataflow import load_dataflow
from framegate.hls.explore import Measured, Point, front
from framegate.hls.fit import RESOURCES
from framegate.hls.flows.ecp5 import board_files, build_bitstream
from framegate.hls.flows.flow import FlowReport
from framegate.hls.flows.utilization import Utilization, utilization
from framegate.hls.flows.xilinx import build_checkpoint
from framegate.hls.folding import Products
from framegate.hls.graphs import save as save_graph
from framegate.hls.graphs import set_pixel_scale
from framegate.hls.lower import load as load_graph
from framegate.hls.lower import load_network, lower
from framegate.hls.prune import without_dead_channels
from framegate.hls.read_off import read_dataflow
from framegate.hls.schedule import read_times
from framegate.hls.targets import Target, load_target
from framegate.hls.tools import simulator_tools
from framegate.quant import evaluation
from framegate.quant import threshold as thresholds
from framegate.quant.clips import Clip
from framegate.quant.export import export_qonnx, network_config
from framegate.quant.networks import checkpoint_file, find, load, model_file
from framegate.quant.transforms import SMALLEST_SIDE
from framegate.rtl_sim.ladder import (
    CHECKPOINT,
    FLOAT,
    IMAGES,
    STALLED,
    VERDICT,
    Judgement,
    judge,
    read_judgement,
)
from framegate.rtl_sim.simulator import Simulator
from framegate.steps import Code, Steps, locked

FASTEST = "max"
_MOST_FRAMES = 1e9  # per second: one in each cycle of the fastest clock
_QUANT, _HLS, _RTL_SIM = (Path(str(room.__file__)).parent for room in (quant, hls, rtl_sim))
# What the steps are made by. Libraries that only train or draw make no build.
EXPORT = Code((_QUANT,), ("torch", "brevitas", "qonnx", "onnx", "numpy", "pydantic"))
COMPILE = Code(
    (_HLS,), ("finn-plus", "qonnx", "onnx", "onnxruntime", "numpy", "protobuf", "jinja2", "pydantic")
)
SIMULATE = Code(
    (_QUANT, _HLS, _RTL_SIM),
    (
        "cocotb",
        "av",
        "torchvision",
        "torchmetrics",
        "scikit-learn",
        "pillow",
        *COMPILE.libraries,
        *EXPORT.libraries,
    ),
)


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
    least_latency: bool = False,
) -> CompileReport:
    """From a built-in name, a checkpoint or a QONNX file to RTL with its dataflow and latency in `build`.

    `rate`: frames per second, or "max" for the fastest that fits. `threshold`: a threshold.json or a probability;
    None for those kept with the model. `stream`: a design that runs for ever, for networks that look back only.
    `pixel_scale`: the value of one step of a pixel in a QONNX file from elsewhere; None for what the file says, or
    1/256. `products`: made by multipliers, in LUTs, or by cost. `least_latency`: all the device may be used for it.
    Raises UsageError for a wrong option, an unsupported
    layer, or a design that does not fit.
    """
    board = load_target(target)
    frames_per_second = _rate(rate)
    clock = board.clock_mhz if clock_mhz is None else clock_mhz
    with locked(build, say):
        steps = Steps(build, say)
        _take_model(model, build, steps, pixel_scale)
        limits = _take_thresholds(model, build, threshold)
        steps.run("lower", [build / QONNX], [build / HARDWARE], lambda: lower(build / QONNX, build), COMPILE)
        steps.run(
            "compile",
            [
                build / HARDWARE,
                board.model_dump_json(),
                str(frames_per_second),
                str(clock),
                str(limits),
                str(stream),
                products,
                str(least_latency),
            ],
            [build / name for name in COMPILED],
            lambda: compile_hardware(
                build,
                board,
                frames_per_second=frames_per_second,
                clock_mhz=clock,
                thresholds=limits,
                stream=stream,
                products=products,
                least_latency=least_latency,
                progress=lambda step: say(f"  {step}"),
            ),
            COMPILE,
        )
        return read_report(build)


def simulate_build(
    build: Path,
    clips: Sequence[Clip],
    say: Callable[[str], None],
    *,
    hardware_clips: int | None = None,
    noise: int = 0,
    simulator: Simulator = "verilator",
    probe: bool = False,
    seed: int | None = None,
) -> Judgement:
    """The ladder on `clips`: see `judge`. The judgement of an unchanged build on the same clips is kept."""
    read_report(build)  # says what is missing
    with locked(build, say):
        edited = told_edits(build, say)
        models = [build / name for name in (QONNX, HARDWARE, CHECKPOINT, FLOAT, DATAFLOW, RTL)]
        tools = [str(tool) for tool in simulator_tools("icarus" if simulator == "icarus" else "verilator")]
        options = [
            str((hardware_clips, noise, simulator, probe, seed)),
            *(f"{clip.path} {clip.label}" for clip in clips),
        ]
        Steps(build, say).run(
            "simulate",
            [*models, *options, *tools, *edited, *(clip.path for clip in clips)],
            [build / VERDICT],
            lambda: judge(
                build,
                clips,
                hardware_clips=hardware_clips,
                noise=noise,
                simulator=simulator,
                probe=probe,
                seed=seed,
                progress=lambda step: say(f"  {step}"),
            ),
            SIMULATE,
        )
        return read_judgement(build)


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


def explore_model(
    model: str,
    build: Path,
    target: str,
    clock_mhz: float | None,
    say: Callable[[str], None],
    measured: Sequence[Path] = (),
    points: int = 40,
) -> tuple[list[Point], list[Measured]]:
    """The foldings of a model on `target` that no other beats in rate and area; and what `measured` builds came to.

    Raises UsageError for an unsupported layer, or a build that was not made for `target` or not counted by its tools.
    """
    board = load_target(target)
    with locked(build, say):
        steps = Steps(build, say)
        _take_model(model, build, steps, None)
        steps.run("lower", [build / QONNX], [build / HARDWARE], lambda: lower(build / QONNX, build), COMPILE)
        say("folding …")
        dataflow = without_dead_channels(read_dataflow(build / HARDWARE))
    found = front(dataflow, board, board.clock_mhz if clock_mhz is None else clock_mhz, points)
    return found, [_measured(path, board, say) for path in measured]


def _measured(build: Path, board: Target, say: Callable[[str], None]) -> Measured:
    """A build's rate, and its share of the board by what the tools counted."""
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
    return Measured(str(build), report.clips_per_second, share)


def _rate(rate: str) -> float | None:
    if rate == FASTEST:
        return None
    try:
        frames_per_second = float(rate)
    except ValueError:
        frames_per_second = 0.0
    if not 0 < frames_per_second <= _MOST_FRAMES:
        raise UsageError(
            f'--rate {rate}: give frames per second, above 0 and up to {_MOST_FRAMES:g}, or "{FASTEST}" for the '
            f"fastest that fits"
        )
    return frames_per_second


def _take_model(model: str, build: Path, steps: Steps, pixel_scale: float | None) -> None:
    """Put the model into the build folder: QONNX as it is, or a checkpoint with its float twin, exported."""
    if model.endswith(".onnx"):
        source = Path(model)
        if not source.is_file():
            raise UsageError(f"{model}: not there; give a QONNX file, a checkpoint.pt or a built-in name")
        for name in (CHECKPOINT, FLOAT):
            (build / name).unlink(missing_ok=True)
        steps.run(
            "export",
            [source, str(pixel_scale)],
            [build / QONNX],
            lambda: _take_graph(source, build / QONNX, pixel_scale),
            COMPILE,
        )
        return
    if pixel_scale is not None:
        raise UsageError(
            f"--pixel-scale {pixel_scale:g}: is of QONNX files from elsewhere; {model} says itself what it sees"
        )
    find(model)  # says what is wrong with it
    source, twin = _checkpoint(model)
    _copy(source, build / CHECKPOINT)
    if twin.is_file():
        _copy(twin, build / FLOAT)
    else:
        (build / FLOAT).unlink(missing_ok=True)
    _take_evaluation(source.with_name(evaluation.FOLDER), build / evaluation.FOLDER)
    steps.run(
        "export",
        [build / CHECKPOINT],
        [build / QONNX],
        lambda: export_qonnx(load(build / CHECKPOINT), build / QONNX),
        EXPORT,
    )


def _take_graph(source: Path, target: Path, pixel_scale: float | None) -> None:
    """A QONNX file that holds what a network must, with the value of a pixel's step noted in it."""
    graph = load_network(source)
    if pixel_scale is not None:
        set_pixel_scale(graph, pixel_scale)
    save_graph(graph, target)


def _take_evaluation(source: Path, target: Path) -> None:
    """What `framegate evaluate --plots` left beside the checkpoint, for the report."""
    if source.resolve() != target.resolve() and (source / evaluation.FILE).is_file():
        with whole(target) as draft:
            shutil.copytree(source, draft)


def _take_thresholds(model: str, build: Path, wanted: str | None) -> dict[str, float]:
    """The alarms' thresholds, by class, in logits: as wanted, or those kept with the model; noted in `build`."""
    config = network_config(load_graph(build / QONNX).model)
    if config is None or not thresholds.alarms_of(config):
        if wanted is not None:
            raise UsageError(
                f"--threshold {wanted}: {model} has no alarm; name a positive class when it is trained"
            )
        (build / thresholds.FILE).unlink(missing_ok=True)
        return {}
    chosen = thresholds.of_model(model, config) if wanted is None else thresholds.given(wanted, config)
    thresholds.save(build / thresholds.FILE, config, chosen)
    return {name: chosen.get(name, thresholds.Choice()).logit for name in thresholds.alarms_of(config)}


def _checkpoint(model: str) -> tuple[Path, Path]:
    """The checkpoint's file and that of the float network that it came from."""
    path = model_file(model)
    return path, path.with_name(FLOAT if checkpoint_file(model) else f"{model}.float.pt")


def _copy(source: Path, target: Path) -> None:
    if source.resolve() != target.resolve():
        with whole(target) as draft:
            shutil.copyfile(source, draft)


def as_json(judgement: Judgement) -> dict[str, object]:
    """What `framegate simulate --json` prints."""
    plain = asdict(judgement)
    rtl = next(rung for rung in judgement.ladder if rung.rung == "rtl")
    hardware = [rung for rung in judgement.ladder if rung.rung in ("rtl", STALLED, IMAGES)]
    return {
        **{
            key: plain[key]
            for key in (
                "model",
                "bit_exact",
                "first_mismatch",
                "ladder",
                "latency_cycles",
                "thresholds",
                "edits",
            )
        },
        "clips": rtl.clips,
        "mismatches": sum(rung.mismatches or 0 for rung in hardware),
        "stalled": judgement.stalled,
        "late": judgement.late,
        "error": judgement.problem(),
        "simulator": judgement.simulator,
        "cycles_per_second": judgement.cycles_per_second,
        "metrics": judgement.metrics,
        "predictions": judgement.clips,
    }
