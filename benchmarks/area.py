# SPDX-License-Identifier: Apache-2.0
"""The kernels' cost model beside what synthesis, or place and route, counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from framegate.errors import UsageError
from framegate.files import read_json
from framegate.hls.build.compiler import CompileReport, read_report, told_edits
from framegate.hls.targets import load_target

RESOURCES = ("lut", "ff", "bram", "dsp")


def measure(build: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row per resource that a build takes: estimated, counted, and estimated / counted.

    Counted with its bitstream, else by `framegate bitstream --synthesis-only`. Raises UsageError without either.
    """
    report = read_report(build)
    told_edits(build, say)
    peer, counted = _counted(build, report)
    if not counted["lut"]:
        raise UsageError(f"{build}: the flow's report counts no LUT; run the bitstream again")
    return [
        {
            "peer": peer,
            "work": f"{report.model}: {name}",
            "estimated": getattr(report, name),
            "counted": counted[name],
            "ratio": getattr(report, name) / counted[name],
        }
        for name in RESOURCES
        if counted[name]
    ]


def _counted(build: Path, report: CompileReport) -> tuple[str, dict[str, Any]]:
    """Who counted, and what."""
    family = load_target(report.target).family
    flow = build / "flow" / report.target
    if (flow / "report.json").is_file():
        peer = "Vivado" if family == "xilinx" else "nextpnr"
        return peer, read_json(flow / "report.json", "run the bitstream again")
    remedy = (
        f"run `framegate bitstream {build} --target {report.target}` first, or that with --synthesis-only"
    )
    return "Yosys", read_json(flow / "utilization.json", remedy)
