# SPDX-License-Identifier: Apache-2.0
"""AMD UltraScale+: Yosys counts what rtl/ takes; a script builds it with Vivado, which is run where it is installed."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path

from framegate.errors import FramegateError, UsageError
from framegate.files import write_json, write_text
from framegate.hls.flows.flow import (
    COUNTS,
    DESIGN,
    MANY_READERS,
    Flow,
    FlowReport,
    Progress,
    Step,
    last_error,
    own_multiplier,
)
from framegate.hls.targets import Target
from framegate.hls.tools import Tool, find
from jinja2 import Environment, StrictUndefined

_SYNTHESIS = f"synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top {DESIGN}"
# synth_xilinx's own step map_memory, but with the LUT memories of the 7 series, which UltraScale+ has too: in Yosys
# up to 0.70 lutrams_xcu.txt gives the single-port one of 512 words 16 address bits, for which no cell can be made.
_MEMORIES = (
    MANY_READERS,
    "memory_libmap -logic-cost-rom 0.015625 -lib +/xilinx/lutrams_xc5v.txt -lib +/xilinx/brams_xc4v.txt "
    "-D HAS_SIZE_36 -D HAS_MIXWIDTH_SDP -D HAS_ADDRCE -lib +/xilinx/urams.txt -no-auto-huge",
    "techmap -map +/xilinx/lutrams_xc5v_map.v -map +/xilinx/brams_xcu_map.v -map +/xilinx/urams_map.v",
)

# What a cell of each kind takes. LUT memories as in UG574, "Distributed RAM"; the LUTs of a carry chain and those
# before a wide multiplexer are cells of their own.
_LUTS = {
    1: "INV LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 SRL16E SRLC32E RAM32X1S RAM64X1S",
    2: "RAM128X1S RAM32X1D RAM64X1D",
    4: "RAM256X1S RAM128X1D RAM32M RAM64M",
    8: "RAM512X1S RAM256X1D RAM32M16 RAM64M8",
}
_CELLS: Mapping[str, Mapping[str, int]] = {
    "lut": {cell: number for number, cells in _LUTS.items() for cell in cells.split()},
    "ff": dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), 1),
    "dsp": {"DSP48E2": 1},
    "bram": {"RAMB18E2": 1, "RAMB36E2": 2},
    "uram": {"URAM288": 1},
}
_FREE = {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "BUFG", "GND", "VCC", "$scopeinfo"}

# Rows of Vivado's utilization report, with our units in theirs.
_ROWS = {
    "lut": ("CLB LUTs", 1),
    "ff": ("CLB Registers", 1),
    "bram": ("Block RAM Tile", 2),
    "dsp": ("DSPs", 1),
}


def count(flow: Flow) -> Step:
    """Count what the design takes after Yosys: 6-input LUTs, before Vivado would pair the small ones."""
    yosys = find("yosys")

    def produce(folder: Path) -> None:
        statistics = folder / "statistics.json"
        commands = [
            *flow.elaborate([own_multiplier("xilinx", folder)]),
            f"{_SYNTHESIS} -run :map_memory",
            *_MEMORIES,
            f"{_SYNTHESIS} -run map_ffram:",
            f"tee -q -o {flow.names([statistics])} stat -json -top {DESIGN}",
        ]
        flow.yosys(yosys, flow.out / "counting.log", commands, quiet=True)
        cells = json.loads(statistics.read_text())["design"]["num_cells_by_type"]
        (folder / COUNTS).write_text(json.dumps(_count(cells)))

    return flow.step("utilization", "Yosys", [str(yosys), *flow.design], produce)


def _count(cells: Mapping[str, int]) -> dict[str, int]:
    """Resources of the cells. Raises FramegateError naming those that it does not know."""
    known = {cell for kinds in _CELLS.values() for cell in kinds} | _FREE
    if strange := sorted(set(cells) - known):
        raise FramegateError(f"utilization: Yosys made cells that cannot be counted: {', '.join(strange)}")
    return {
        resource: sum(number * cells.get(cell, 0) for cell, number in kinds.items())
        for resource, kinds in _CELLS.items()
    }


def write_scripts(rtl: Path, target: Target, out: Path, clock_mhz: float) -> Path:
    """Write `out`/vivado.tcl, which builds `rtl` out of context, and `out`/clock.xdc; return the script.

    They name `rtl` relative to themselves: the folder above both may be moved to where Vivado is.
    """
    template = files("framegate.hls.flows.xilinx").joinpath("vivado.tcl.j2").read_text()
    text = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(template)
    write_text(out / "clock.xdc", f"create_clock -name clk -period {1000 / clock_mhz:.3f} [get_ports clk]\n")
    return write_text(
        out / "vivado.tcl",
        text.render(
            target=target.name,
            clock=f"{clock_mhz:g}",
            design=DESIGN,
            part=target.part,
            rtl=os.path.relpath(rtl, out),
        ),
    )


def build_checkpoint(
    rtl: Path, target: Target, out: Path, progress: Progress, *, clock_mhz: float | None = None
) -> FlowReport:
    """Place and route `rtl` by Vivado into a checkpoint; write `out`/report.json. The scripts are written first.

    `clock_mhz`: the design's clock, by default the target's. Raises UsageError when there is no design, or no
    Vivado on PATH, saying how to run the script elsewhere; FramegateError when Vivado fails, or when the design is
    too slow (report.json then tells the numbers, with `path` null).
    """
    clock_mhz = clock_mhz or target.clock_mhz
    flow = Flow(rtl.resolve(), target, out.resolve(), progress)
    (flow.out / "report.json").unlink(missing_ok=True)
    script = write_scripts(flow.rtl, target, flow.out, clock_mhz)
    routing = _place_and_route(flow, _vivado(target, script), script)
    report = _report(flow, routing, clock_mhz)
    if report.fmax_mhz >= clock_mhz:
        report = replace(report, path=str(out / routing.folder.name / f"{DESIGN}.dcp"))
    write_json(flow.out / "report.json", asdict(report))
    if report.path is None:
        raise FramegateError(
            f"timing: {report.fmax_mhz:.1f} MHz reached, {clock_mhz:g} MHz wanted (paths: "
            f"{routing.folder / 'timing.rpt'}); compile for a clock of {int(report.fmax_mhz)} MHz"
        )
    return report


def _vivado(target: Target, script: Path) -> Tool:
    path = shutil.which("vivado")
    if path is None:
        raise UsageError(
            f"vivado: not found on PATH, and {target.name} needs it; run `vivado -mode batch -source {script}` "
            f"where it is installed, or take --synthesis-only to count LUTs, FFs, DSPs and BRAMs by Yosys"
        )
    return Tool("vivado", (path,), path)  # the path tells the version


def _place_and_route(flow: Flow, vivado: Tool, script: Path) -> Step:
    reads: list[Path | str] = [str(vivado), *flow.design, script, script.with_name("clock.xdc")]

    def produce(folder: Path) -> None:
        options = ["-mode", "batch", "-nojournal", "-nolog", "-source", flow.name(script)]
        log = flow.out / "vivado.log"
        if flow.run(vivado, [*options, "-tclargs", flow.name(folder)], log):
            raise FramegateError(last_error("vivado", log))

    return flow.step("routing", "Vivado", reads, produce)


def _report(flow: Flow, routing: Step, clock_mhz: float) -> FlowReport:
    """What Vivado measured, without a path."""
    slack = float((routing.folder / "slack.txt").read_text())  # ns
    text = (routing.folder / "utilization.rpt").read_text()
    return FlowReport(
        path=None,
        target=flow.target.name,
        clock_mhz=clock_mhz,
        fmax_mhz=round(1000 / (1000 / clock_mhz - slack), 2),
        **{name: _used(text, row, units) for name, (row, units) in _ROWS.items()},
        available={name: getattr(flow.target, name) for name in _ROWS},
        seconds={"routing": routing.seconds},
    )


def _used(report: str, row: str, units: int) -> int:
    """The count in a row of a utilization report, as | CLB LUTs | 6673 | … |; blocks may be halves."""
    match = re.search(rf"^\|\s*{row}\*?\s*\|\s*([\d.]+)\s*\|", report, re.MULTILINE)
    if match is None:
        raise FramegateError(f"vivado: its utilization report has no row {row!r}")
    return round(units * float(match[1]))
