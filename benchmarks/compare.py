# SPDX-License-Identifier: Apache-2.0
"""FPGA designs beside what `bench gpu` measured: decision delay with its tail, energy and rate of one clip.

The clock of a camera is the same for all: 8 frames at 30 frames/s are 267 ms. What is compared is what each device
adds to it, from the last frame to the decision: of an FPGA from the last pixel accepted to the result, of a GPU from a
clip in host memory to logits in host memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from framegate.benchmarks import energy
from framegate.benchmarks.full_size import random_network
from framegate.benchmarks.peers.gpu import HOST_TO_HOST
from framegate.errors import UsageError
from framegate.files import LOOK, read_json, save_figure
from framegate.hls.build.build import compile_model
from framegate.hls.build.compiler import CompileReport
from framegate.hls.build.files import DATAFLOW
from framegate.hls.dataflow.graph import load_dataflow
from framegate.hls.targets import load_target
from framegate.quant.networks.checkpoint import save
from framegate.quant.networks.presets import Name

TARGETS = ("ulx3s-85f", "kv260", "zcu102")
MEASURED, EXACT, BOUND, ESTIMATED = "measured", "computed exactly", "upper bound", "estimated"
_ALWAYS = (
    "network", "device", "decision_delay_ms", "tail_ms", "clips_per_second", "joules_per_clip", "tag", "joules_tag",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A network with what it is called in a file of `bench gpu`; built in, or `random`: of random weights."""

    on_gpu: str
    random: Name | None = None
    large: bool = False  # to search for a short delay would take hours: the fastest design as it is


NETWORKS = {
    "tsm-lite": Entry("tsm-lite"),
    # Of its size and channels, before those without effect are left out.
    "shoplifting": Entry("tsm-mobilenet"),
    "slowfast-lite": Entry("slowfast-lite", random="slowfast-lite"),
    "tsm-mobilenetv2-full": Entry("tsm-mobilenetv2-full", random="tsm-mobilenetv2-full", large=True),
}

# Of the course that this project grew out of: pretrained on Kinetics, on its own clips, one clip and one crop.
COURSE = (
    {"network": "TSN", "top1": 0.21, "top5": 0.47, "seconds_on_t4": 0.42},
    {"network": "TSM", "top1": 0.31, "top5": 0.48, "seconds_on_t4": 0.34},
    {"network": "SlowFast", "top1": 0.41, "top5": 0.73, "seconds_on_t4": 0.67},
)


def measure(
    folder: Path,
    gpu: Path,
    say: Callable[[str], None],
    *,
    names: Sequence[str] = tuple(NETWORKS),
    targets: Sequence[str] = TARGETS,
    clocks: dict[str, float] | None = None,
) -> list[dict[str, Any]]:
    """A row per network and device: of what the file `gpu` holds, then of each target that the network fits.

    `clocks`: MHz per target, for those that are not to run at their own. Raises UsageError for an unknown network or
    target, or a file that `bench gpu` did not write.
    """
    for name in names:
        if name not in NETWORKS:
            raise UsageError(f"network {name!r}: not compared here; choose of {', '.join(NETWORKS)}")
    boards = [load_target(target) for target in targets]
    kept = read_json(gpu, "run `framegate bench gpu --keep FOLDER` where the GPU is")
    rows: list[dict[str, Any]] = []
    for name in names:
        rows += _on_gpu(name, kept, gpu)
        for board in boards:
            clock = (clocks or {}).get(board.name, float(board.clock_mhz))
            say(f"{name} on {board.name} at {clock:g} MHz …")
            try:
                rows.append(_on_fpga(name, folder / Path(name).stem, board.name, clock, say))
            except UsageError as error:
                say(f"left out: {error}")
    return rows


def _on_gpu(name: str, kept: dict[str, Any], file: Path) -> Iterator[dict[str, Any]]:
    """What a GPU needs from host memory to host memory, in each precision that was measured."""
    try:
        device, measured = kept["machine"]["device"], kept["rows"]
        for row in measured:
            if row["network"] == NETWORKS[name].on_gpu and row["mode"] == HOST_TO_HOST:
                yield {
                    "network": name,
                    "device": f"{device}, {row['precision']}",
                    "decision_delay_ms": row["p50_ms"],
                    "tail_ms": row["p999_ms"] - row["p50_ms"],
                    "clips_per_second": row["clips_per_second"],
                    "joules_per_clip": row["joules_per_clip"],
                    "watts": row["watts"],
                    "tag": MEASURED,
                    "joules_tag": MEASURED,
                }
    except (KeyError, TypeError) as error:
        raise UsageError(f"{file}: not of `framegate bench gpu` ({error}); measure again") from None


def _on_fpga(
    name: str, folder: Path, target: str, clock: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """The fastest design that fits, with what is left of the device spent on a short decision delay."""
    build, entry = folder / target, NETWORKS[name]
    model = name
    if entry.random:
        model = str(save(random_network(entry.random), folder / "checkpoint.pt"))
    report = compile_model(model, build, target, "max", clock, say, least_latency=not entry.large)
    return {
        "network": name,
        "device": f"{target}, {clock:g} MHz",
        "decision_delay_ms": report.decision_delay_ms,
        "tail_ms": 0.0,
        "clips_per_second": report.clips_per_second,
        **_joules(build, target, report),
        "tag": EXACT,
        "decision_delay_cycles": report.decision_delay_cycles,
        "lut": report.lut,
        "ff": report.ff,
        "bram": report.bram,
        "dsp": report.dsp,
    }


def _joules(build: Path, target: str, report: CompileReport) -> dict[str, Any]:
    """The bound by what feeds the board, and an estimate on a clip of noise, where there is a base for them."""
    supply, device = load_target(target).supply_watts, energy.MEASURED.get(target)
    seconds = 1 / report.clips_per_second
    found: dict[str, Any] = {"joules_per_clip": None, "watts": supply, "joules_tag": None}
    if supply is not None:
        found |= {"joules_per_clip": energy.most(supply, seconds), "joules_tag": BOUND}
    if device is not None:
        dataflow = load_dataflow(build / DATAFLOW)
        noise = np.random.default_rng(0).integers(0, 256, (1, *dataflow.pixels.shape))
        joules = energy.estimate(dataflow, noise, device, seconds)
        found |= {"joules_estimated": joules, "estimate": f"{ESTIMATED}: {device.source}"}
    return found


def read(file: Path) -> list[dict[str, Any]]:
    """The rows that `bench compare` kept in `file`. Raises UsageError when it did not write it."""
    kept = read_json(file, "run `framegate bench compare --keep FOLDER`")
    try:
        return [{**row, **{key: row[key] for key in _ALWAYS}} for row in kept["rows"]]
    except (KeyError, TypeError) as error:
        raise UsageError(f"{file}: not of `framegate bench compare` ({error}); run it with --keep") from None


def draw(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Decision delay and energy of a clip, a colour per network: GPUs with their tail, FPGAs without one."""
    from matplotlib import style  # takes a second to import
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    gpus = list(dict.fromkeys(row["device"].partition(",")[0] for row in rows if row["tag"] == MEASURED))
    with style.context(LOOK):
        figure = Figure(figsize=(7.6, 5.4))
        axes = figure.subplots()
        for number, name in enumerate(dict.fromkeys(row["network"] for row in rows)):
            for row in rows:
                if row["network"] == name:
                    _mark(axes, row, f"C{number}")
            axes.plot([], [], "o", color=f"C{number}", label=name)
        axes.plot([], [], "s", color="black", label=f"{', '.join(gpus)}, measured, to p99.9")
        axes.plot([], [], "o", color="black", label="FPGA: no tail, at most so much energy")
        axes.plot([], [], "|", color="black", label="FPGA whose energy nobody says")
        axes.set(xscale="log", yscale="log", xlabel="decision delay, ms", ylabel="energy per clip, mJ")
        axes.margins(x=0.12, y=0.12)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter("{x:g}")
        figure.legend(loc="outside upper center", ncols=2, fontsize=8)
        return save_figure(figure, path)


def _mark(axes: Any, row: dict[str, Any], color: str) -> None:
    """One device: its place, its tail and its name."""
    delay, joules, of_gpu = row["decision_delay_ms"], row["joules_per_clip"], row["tag"] == MEASURED
    device, _, how = row["device"].partition(", ")
    look = {"textcoords": "offset points", "fontsize": 7, "color": color}
    if joules is None:
        place = axes.get_xaxis_transform()
        axes.plot([delay], [0.02], "|", color=color, markersize=12, transform=place)
        axes.annotate(device, (delay, 0.02), xycoords=place, xytext=(-3, 10), rotation=90, **look)
        return
    tail = [[0], [row["tail_ms"]]] if of_gpu else None
    axes.errorbar([delay], [1e3 * joules], xerr=tail, fmt="s" if of_gpu else "o", color=color, capsize=3)
    label = (
        {"text": how, "xytext": (-5, -3), "ha": "right"} if of_gpu else {"text": device, "xytext": (7, -3)}
    )
    axes.annotate(xy=(delay, 1e3 * joules), **label, **look)
