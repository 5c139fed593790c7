# SPDX-License-Identifier: Apache-2.0
"""From a hardware graph to a complete design: fold, schedule, emit."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from framegate.errors import UsageError
from framegate.files import read_as, write_json
from framegate.hls.build.files import DATAFLOW, HARDWARE, LATENCY, QONNX, REPORT, RTL
from framegate.hls.dataflow.dead_channels import product_channels, without_dead_channels
from framegate.hls.dataflow.endless import endless
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.choices import Products
from framegate.hls.folding.fit import RESOURCES, check_fit, has_room, total_cost
from framegate.hls.folding.fold import fold
from framegate.hls.folding.shorten import Step, shorten, shorten_to
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.kernels import Cost
from framegate.hls.lowering.read_off import read_dataflow
from framegate.hls.schedule.schedule import Schedule, schedule
from framegate.hls.steps import Steps
from framegate.hls.targets import Target

COMPILED = (DATAFLOW, LATENCY, REPORT, RTL)  # what the step "compile" writes


@dataclass(frozen=True)
class CompileReport:
    """What `framegate compile` tells; areas are of the cost model, cycles are exact."""

    model: str
    target: str
    clock_mhz: float
    initiation_interval: int
    latency_cycles: int
    latency_ms: float
    decision_delay_cycles: int  # last pixel accepted to result
    decision_delay_ms: float
    frames_per_second: float
    clips_per_second: float
    mac_utilization: float
    lut: int
    ff: int
    bram: int
    dsp: int
    rtl: str
    thresholds: dict[str, float] = field(default_factory=dict)  # of the alarms, by class: logits
    window: int = 0  # frames that a score covers in a design that runs for ever; 0: the design takes clips
    uram: int = 0
    load_words: int = (
        0  # of framegate_load.hex, which fill the memories that start empty before the first pixel
    )
    # To a shorter decision delay, where it was asked for.
    steps: list[dict[str, Any]] = field(default_factory=list)


def compile_hardware(
    build: Path,
    target: Target,
    *,
    frames_per_second: float | None,
    clock_mhz: float,
    thresholds: Mapping[str, float] | None = None,
    stream: bool = False,
    products: Products = "auto",
    latency_ms: float | None = None,
    least_latency: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> CompileReport:
    """Make dataflow.json, latency.json, rtl/ and compile.json in `build` from its hardware.onnx.

    `frames_per_second`: the rate to reach with the least area; None for the fastest that fits. `thresholds`: of the
    alarms, by class, in logits; 0 where there is none. `stream`: a design that runs for ever instead of taking clips.
    `products`: made by multipliers, in LUTs (weights of up to 4 bits), or in LUTs where multipliers run out.
    `latency_ms`: the longest decision delay (last pixel to result), for the least area; `least_latency`: spend what is
    left of the device on the shortest. Raises UsageError when a layer is not supported, the rate or the delay is out of
    reach or the design does not fit.
    """
    progress("dataflow")
    dataflow = read_dataflow(build / HARDWARE, thresholds)
    if stream:
        dataflow = endless(dataflow)
    elif (scores := dataflow.stream(dataflow.result).frames) > 1:
        raise UsageError(
            f"{dataflow.model}: gives a score for each of {scores} frames; compile it with --stream, export it for "
            f"one frame, or let it end in a mean over frames"
        )
    dataflow = _pruned(dataflow, progress)
    found = _design(dataflow, target, clock_mhz, frames_per_second, products, progress)
    steps: Sequence[Step] = ()
    if least_latency or latency_ms is not None:
        wanted = (dataflow, target, clock_mhz, products, found, progress)
        goal = None if latency_ms is None else int(latency_ms * clock_mhz * 1e3)
        shorter = shorten(*wanted) if goal is None else shorten_to(goal, *wanted)
        found, steps = (shorter.complete, shorter.times), shorter.steps
    complete, times = found
    progress("emission")
    rtl = emit(complete, times, build / RTL, _made_for(build, target, clock_mhz))
    complete.save(build / DATAFLOW)
    times.save(build / LATENCY)
    report = _report(complete, times, target, clock_mhz, rtl, steps)
    write_json(build / REPORT, vars(report))
    return report


def _told(step: Step, clock_mhz: float) -> dict[str, Any]:
    """A step as compile.json keeps it; its area is that of the layers, without what stands between them."""
    return {
        "faster": list(step.faster),
        "decision_delay_cycles": step.delay,
        "decision_delay_ms": step.delay / clock_mhz / 1e3,
        **{name: getattr(step.cost, name) for name in RESOURCES},
    }


def _report(
    complete: Dataflow, times: Schedule, target: Target, clock_mhz: float, rtl: Path, steps: Sequence[Step]
) -> CompileReport:
    cost = total_cost(complete)
    return CompileReport(
        model=complete.model,
        target=target.name,
        clock_mhz=clock_mhz,
        initiation_interval=times.initiation_interval,
        latency_cycles=times.latency_cycles,
        latency_ms=times.latency_ms,
        decision_delay_cycles=times.after_last_pixel,
        decision_delay_ms=times.after_last_pixel / clock_mhz / 1e3,
        frames_per_second=times.frames_per_second,
        clips_per_second=times.clips_per_second,
        mac_utilization=times.mac_utilization,
        lut=cost.lut,
        ff=cost.ff,
        bram=cost.bram,
        dsp=cost.dsp,
        uram=cost.uram,
        load_words=sum(sum(kernel.load_words) for kernel in complete.kernels),
        rtl=str(rtl),
        thresholds=complete.thresholds,
        window=complete.window,
        steps=[_told(step, clock_mhz) for step in steps],
    )


def _made_for(build: Path, target: Target, clock_mhz: float) -> list[str]:
    """What the header of the top says of the model and the target."""
    model = build / QONNX
    known = (
        [f"Of {QONNX}, SHA-256 {hashlib.sha256(model.read_bytes()).hexdigest()}."] if model.is_file() else []
    )
    return [*known, f"For {target.name} at {clock_mhz:g} MHz."]


def _pruned(dataflow: Dataflow, progress: Callable[[str], None]) -> Dataflow:
    """`dataflow` without the channels that have no effect; says how many."""
    pruned = without_dead_channels(dataflow)
    if pruned is not dataflow:
        channels = product_channels(dataflow)
        gone = channels - product_channels(pruned)
        progress(f"pruning: {gone} of {channels} channels have no effect on the scores and are left out")
    return pruned


def _design(
    dataflow: Dataflow,
    target: Target,
    clock_mhz: float,
    frames_per_second: float | None,
    products: Products,
    progress: Callable[[str], None],
) -> tuple[Dataflow, Schedule]:
    """The folded design with its FIFOs, and its times; where the FIFOs have no room, one that leaves it, if it can: a
    slower one without a rate, one with fewer thresholds in block RAM.
    """
    reserve = Cost()
    while True:
        progress("folding")
        folded = fold(dataflow, target, clock_mhz, frames_per_second, reserve, products)
        progress("schedule")
        complete, times = schedule(folded, clock_mhz)
        complete = in_ultra_ram(complete, target)
        if has_room(total_cost(complete), target):
            return complete, times
        known = {kernel.name for kernel in folded.kernels}
        added = [kernel.cost() for kernel in complete.kernels if kernel.name not in known]
        before, reserve = reserve, reserve.larger(sum(added, Cost()))
        if reserve == before:
            check_fit(complete, target)


def read_report(build: Path) -> CompileReport:
    """compile.json. Raises UsageError when `build` was not compiled, or it is damaged."""
    report = read_as(CompileReport, build / REPORT, "run `framegate compile` first")
    return replace(report, rtl=str(build / RTL))  # where the build is now


def edits(build: Path) -> list[str]:
    """What in a compiled build is not as `framegate compile` wrote it, as "rtl/stem.sv changed", or missing, or extra.

    One line that says so where nothing tells what it wrote: a build of another version, or put together by hand.
    """
    found = Steps(build, lambda _: None).changes("compile", [build / name for name in COMPILED])
    return ["nothing tells what `framegate compile` wrote here"] if found is None else found


def told_edits(build: Path, say: Callable[[str], None]) -> list[str]:
    """`edits`, and says them, with the remedy. What reads a build goes on: RTL may be edited on purpose."""
    if found := edits(build):
        say(edits_in_words(build, found))
    return found


def edits_in_words(build: Path, found: Sequence[str]) -> str:
    """The sentence about `edits`, of which there are some."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f"WARNING: {build}: not what `framegate compile` wrote: {', '.join(found[:_SHOWN])}{more}; "
        f"run `framegate compile` again to restore it"
    )


_SHOWN = 5  # edited files that are named
