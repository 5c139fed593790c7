# SPDX-License-Identifier: Apache-2.0
"""`framegate bench`: every claim of speed, measured beside what it is compared with."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from framegate.benchmarks.results import keep as kept
from framegate.commands.console import Json, markdown, say, show
from framegate.commands.options import MANY, within
from framegate.errors import FramegateError, UsageError
from framegate.hls.targets import load_target

app = typer.Typer(help="Measure, and print ratios against the named peer.", no_args_is_help=True)
Model = Annotated[str, typer.Option(help="A checkpoint.pt or the name of a built-in network.")]
Build = Annotated[Path, typer.Option(help="Folder to build in.")]
Keep = Annotated[Path | None, typer.Option(help="Folder to keep the figures in, with machine and date.")]


@app.command(epilog="Example: `framegate bench reference --clips 64`")
def reference(
    model: Model = "tsm-lite",
    clips: Annotated[int, typer.Option(min=1, max=MANY, help="Clips per turn.")] = 64,
    build: Build = Path("build/bench"),
    keep: Keep = None,
    json: Json = False,
) -> None:
    """Integer reference against Brevitas in eval mode: clips per second."""
    from framegate.benchmarks.peers import software as benchmark

    _show("reference", benchmark.measure(model, clips, build, say), keep, json)


@app.command(epilog="Example: `framegate bench chain --json`")
def chain(
    model: Model = "tsm-lite", build: Build = Path("build/bench"), keep: Keep = None, json: Json = False
) -> None:
    """QONNX to RTL, and RTL simulation of one clip with its build: seconds."""
    from framegate.benchmarks import chain as benchmark

    _show("chain", benchmark.measure(model, build, say), keep, json)


@app.command(epilog="Example: `framegate bench area build/demo`")
def area(
    build: Annotated[Path, typer.Argument(help="A build with a bitstream.")],
    keep: Keep = None,
    json: Json = False,
) -> None:
    """The cost model against what place and route counted."""
    from framegate.benchmarks import area as benchmark

    _show("area", benchmark.measure(build, say), keep, json)


@app.command(
    epilog="Example: `framegate bench zoo --only tsn-lite,tsm-lite --folder runs/zoo --keep results`"
)
def zoo(
    only: Annotated[str | None, typer.Option(help="Networks, by comma; by default all.")] = None,
    folder: Annotated[
        Path, typer.Option(help="Folder of clips, runs and builds; it continues there.")
    ] = Path("build/zoo"),
    clips: Annotated[
        int, typer.Option(min=10, max=MANY, help="Synthetic clips per class to train on.")
    ] = 300,
    float_epochs: Annotated[int, typer.Option(min=1, max=MANY, help="Of the float network.")] = 15,
    quantized_epochs: Annotated[
        int, typer.Option(min=1, max=MANY, help="Of the quantized one after it.")
    ] = 12,
    rate: Annotated[
        float,
        typer.Option(
            help="Frames per second at 50 MHz; at another clock as many per MHz.",
            callback=within(0.01, 1e9, "frames per second"),
        ),
    ] = 300,
    synthesize: Annotated[bool, typer.Option(help="Count by Yosys; else by the cost model.")] = True,
    keep: Keep = None,
    json: Json = False,
) -> None:
    """Train, compile, verify and synthesize every small network: about two hours on two cores."""
    from framegate.benchmarks import zoo as benchmark

    effort = benchmark.Effort(
        training_clips=clips,
        frames_per_second=rate,
        recipe=benchmark.RECIPE | {"float_epochs": float_epochs, "quantized_epochs": quantized_epochs},
        synthesize=synthesize,
    )
    names = only.split(",") if only else tuple(benchmark.ZOO)
    rows = benchmark.measure(folder, say, names=names, effort=effort)
    _show("zoo", rows, keep, json, _table(rows, _ZOO_COLUMNS))
    if wrong := [
        row["network"] for row in rows if not row["bit_exact"] or row["latency_error"] or row["jitter"]
    ]:
        say(f"framegate: not exact or not on time: {', '.join(wrong)}")
        raise typer.Exit(FramegateError.exit_code)


@app.command(epilog="Example: `framegate bench full-size --only c3d --keep results`")
def full_size(
    only: Annotated[str | None, typer.Option(help="Networks, by comma; by default all.")] = None,
    targets: Annotated[str, typer.Option(help="Targets, by comma.")] = "zcu102,kv260",
    folder: Annotated[Path, typer.Option(help="Folder to build in.")] = Path("build/full-size"),
    keep: Keep = None,
    json: Json = False,
) -> None:
    """The papers' sizes with random weights: predicted cycles and area, beside roofline and published figures."""
    from framegate.benchmarks import full_size as benchmark

    names = only.split(",") if only else tuple(benchmark.FULL_SIZE)
    rows = benchmark.measure(folder, say, names=names, targets=targets.split(","))
    _show("full-size", rows, keep, json, _table(rows, _FULL_SIZE_COLUMNS))


@app.command(epilog="Example: `framegate bench latency --models tsm-lite --rates 500,max`")
def latency(
    models: Annotated[
        str, typer.Option(help="Checkpoints or built-in names, by comma.")
    ] = "tsm-lite,shoplifting",
    rates: Annotated[str, typer.Option(help="Frames per second, or max, by comma.")] = "500,max",
    target: Annotated[str, typer.Option(help="Target to fold for.")] = "ulx3s-85f",
    folder: Annotated[Path, typer.Option(help="Folder to build in.")] = Path("build/latency"),
    keep: Keep = None,
    json: Json = False,
) -> None:
    """Predicted against simulated cycles, of the result and of every beat inside; interval against its floor."""
    from framegate.benchmarks import latency as benchmark

    rows = benchmark.measure(models.split(","), rates.split(","), target, folder, say)
    _show("latency", rows, keep, json, _table(rows, _LATENCY_COLUMNS))
    if wrong := [
        row["network"]
        for row in rows
        if row["latency_error"] or row["jitter"] or row["mismatches"] or row["first_late_beat"]
    ]:
        say(f"framegate: not exact or not on time: {', '.join(wrong)}")
        raise typer.Exit(FramegateError.exit_code)


@app.command(epilog="Example: `framegate bench gpu --only tsm-lite --precisions fp32,fp16 --keep results`")
def gpu(
    only: Annotated[
        str | None, typer.Option(help="Networks or checkpoints, by comma; by default all.")
    ] = None,
    device: Annotated[str, typer.Option(help="cuda, cpu, or auto for a GPU if there is one.")] = "auto",
    precisions: Annotated[
        str | None,
        typer.Option(help="Of fp32, tf32, fp16, bf16, int8, by comma; by default all that the device has."),
    ] = None,
    runs: Annotated[int, typer.Option(min=10, max=MANY, help="Single runs that percentiles are of.")] = 1_500,
    seconds: Annotated[
        float, typer.Option(help="Of a window to count joules in.", callback=within(0.01, 3600, "seconds"))
    ] = 2.0,
    largest_batch: Annotated[int, typer.Option(min=1, max=MANY, help="Clips at once, at most.")] = 512,
    compiled: Annotated[bool, typer.Option(help="Also by torch.compile, a minute for a network.")] = True,
    keep: Keep = None,
    json: Json = False,
) -> None:
    """Float networks on this machine's GPU, or CPU: latency of one clip with its tail, clips/s, joules per clip."""
    from framegate.benchmarks.peers import gpu as benchmark
    from framegate.benchmarks.peers import gpu_meter as meters

    chosen = meters.choose(device)
    meter, described = meters.meter(chosen), meters.describe(chosen)
    described["idle_watts"] = meter.idle_watts()
    effort = benchmark.Effort(runs=runs, seconds=seconds, largest_batch=largest_batch, compiled=compiled)
    name = f"gpu-{meters.short_name(described['device'])}"
    rows: list[dict[str, Any]] = []
    for row in benchmark.measure(
        chosen,
        meter,
        say,
        names=only.split(",") if only else benchmark.NETWORKS,
        precisions=precisions.split(",") if precisions else benchmark.known(chosen),
        effort=effort,
    ):
        rows.append(row)
        if keep:  # an hour's work is not lost when the last network does not fit
            kept(name, rows, keep, described)
    _show(name, rows, keep, json, _table(rows, _GPU_COLUMNS), described)


@app.command(
    epilog="Example: `framegate bench compare --gpu benchmarks/results/gpu-h100.json --plot compare.png`"
)
def compare(
    gpu: Annotated[Path, typer.Option(help="File that `framegate bench gpu --keep` wrote.")] = Path(
        "benchmarks/results/gpu-h100.json"
    ),
    only: Annotated[str | None, typer.Option(help="Networks, by comma; by default all.")] = None,
    targets: Annotated[str, typer.Option(help="Targets, by comma.")] = "ulx3s-85f,kv260,zcu102",
    clock: Annotated[
        list[str] | None,
        typer.Option(help="MHz of a target, as ulx3s-85f=80; by default its own. Repeatable."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw energy over decision delay into this PNG.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder to build in.")] = Path("build/compare"),
    keep: Keep = None,
    json: Json = False,
) -> None:
    """FPGA designs beside a GPU's figures: decision delay with its tail, clips/s, joules per clip."""
    from framegate.benchmarks import compare as benchmark

    rows = benchmark.measure(
        folder,
        gpu,
        say,
        names=only.split(",") if only else tuple(benchmark.NETWORKS),
        targets=targets.split(","),
        clocks=dict(map(_clock_of, clock or ())),
    )
    lines = _table(rows, _COMPARE_COLUMNS)
    lines += [
        "",
        "The course, pretrained networks, one clip and one crop:",
        *_table(benchmark.COURSE, _COURSE_COLUMNS),
    ]
    if plot:
        lines.append(f"wrote {benchmark.draw(plot, rows)}")
    _show("compare", rows, keep, json, lines)


def _clock_of(words: str) -> tuple[str, float]:
    """Target and MHz. Raises UsageError for anything else."""
    target, _, mhz = words.partition("=")
    try:
        clock = float(mhz)
    except ValueError:
        clock = 0.0
    if not 1 <= clock <= 1000:
        raise UsageError(f"--clock {words}: give a target and MHz from 1 to 1000, as ulx3s-85f=80")
    return load_target(target).name, clock


@app.command(epilog="Example: `framegate bench peers --only finn,software --json`")
def peers(
    only: Annotated[str | None, typer.Option(help="Of finn, nngen, software, simulation, by comma.")] = None,
    folder: Annotated[Path, typer.Option(help="Folder to build in.")] = Path("build/peers"),
    keep: Keep = None,
    json: Json = False,
) -> None:
    """FINN+ RTL, NNgen, Brevitas, QONNX and Verilator beside ours, on the same work: half an hour on two cores."""
    from framegate.benchmarks.peers import all as benchmark

    rows = benchmark.measure(folder, say, only.split(",") if only else tuple(benchmark.PEERS))
    tables = [
        list(alike) for _, alike in groupby(rows, key=tuple)
    ]  # what is measured differs from peer to peer
    _show("peers", rows, keep, json, [line for alike in tables for line in (*_peer_table(alike), "")])


def _peer_table(rows: list[dict[str, Any]]) -> list[str]:
    return _table(rows, {key: title for key, title in _PEER_COLUMNS.items() if key in rows[0]})


_PEER_COLUMNS = {
    "peer": "peer", "work": "work", "cycles": "cycles", "peer_cycles": "its", "cycles_ratio": "ratio",
    "first_output": "first output", "peer_first_output": "its", "lut": "LUT", "peer_lut": "its", "lut_ratio": "ratio",
    "ff": "FF", "peer_ff": "its", "ff_ratio": "ratio", "dsp": "DSP", "peer_dsp": "its", "dsp_ratio": "ratio",
    "bram": "BRAM", "peer_bram": "its", "fmax_mhz": "MHz, half the PE", "peer_fmax_mhz": "its", "fmax_ratio": "ratio",
    "clips_per_second": "clips/s", "peer_clips_per_second": "its",
    "cycles_per_second": "cycles/s", "peer_cycles_per_second": "its", "cocotb_overhead": "cocotb adds",
    "speed_ratio": "times as fast", "note": "note",
}  # fmt: skip
_LATENCY_COLUMNS = {
    "network": "network", "frames_per_second": "frames/s", "floor_cycles": "floor, cycles/frame",
    "initiation_interval": "cycles/frame", "mac_utilization": "MACs busy", "predicted_cycles": "predicted",
    "measured_cycles": "measured", "latency_error": "error", "jitter": "jitter", "latency_ms": "latency, ms",
    "values": "values compared", "mismatches": "differ", "first_late_beat": "first late beat",
}  # fmt: skip
_GPU_COLUMNS = {
    "network": "network", "precision": "precision", "mode": "mode", "batch": "batch", "runs": "runs",
    "p50_ms": "p50, ms", "p90_ms": "p90", "p99_ms": "p99", "p999_ms": "p99.9", "max_ms": "max",
    "clips_per_second": "clips/s", "joules_per_clip": "J/clip", "watts": "W",
}  # fmt: skip
_COMPARE_COLUMNS = {
    "network": "network", "device": "device", "decision_delay_ms": "decision delay, ms", "tail_ms": "tail, ms",
    "tag": "", "clips_per_second": "clips/s", "joules_per_clip": "J/clip", "joules_tag": "",
    "joules_estimated": "estimated", "watts": "W", "lut": "LUT", "dsp": "DSP", "bram": "BRAM",
}  # fmt: skip
_COURSE_COLUMNS = {
    "network": "network",
    "top1": "top-1",
    "top5": "top-5",
    "seconds_on_t4": "s per sample, T4",
}
_ZOO_COLUMNS = {
    "network": "network", "parameters": "parameters", "mmac": "MMAC", "top1": "top-1", "top1_order_only": "order only",
    "bit_exact": "exact", "latency_cycles": "cycles", "latency_error": "error", "jitter": "jitter",
    "ms_per_clip": "ms", "clips_per_second": "clips/s", "lut": "LUT", "ff": "FF", "dsp": "DSP", "bram": "BRAM",
    "kv260_lut": "kv260 LUT", "kv260_ff": "FF", "kv260_dsp": "DSP", "kv260_bram": "BRAM",
}  # fmt: skip
_FULL_SIZE_COLUMNS = {
    "network": "network", "target": "target", "parameters": "parameters", "gmac": "GMAC", "frames": "frames",
    "initiation_interval": "cycles/frame", "latency_cycles": "latency, cycles", "latency_ms": "latency, ms",
    "ms_per_clip": "ms/clip", "roofline_ms": "roofline, ms", "mac_utilization": "MACs busy", "lut": "LUT", "dsp": "DSP",
    "bram": "BRAM", "bram_of": "of", "uram": "UltraRAM", "seconds": "s", "peak_gb": "GB", "published": "published",
    "differs": "there",
}  # fmt: skip


def _table(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> list[str]:
    return markdown(list(columns.values()), [[_cell(row.get(key)) for key in columns] for row in rows])


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else _short(value)


def _show(
    name: str,
    rows: list[dict[str, Any]],
    keep: Path | None,
    as_json: bool,
    lines: list[str] | None = None,
    device: dict[str, Any] | None = None,
) -> None:
    result = kept(name, rows, keep, device)
    lines = lines or [", ".join(f"{key} {_short(value)}" for key, value in row.items()) for row in rows]
    show(result, [*lines, *([f"wrote {result['path']}"] if keep else [])], as_json)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
