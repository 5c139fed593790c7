# SPDX-License-Identifier: Apache-2.0
"""Lattice ECP5: Yosys, nextpnr and ecppack make a bitstream of rtl/. Unchanged steps are reused."""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from framegate.errors import FramegateError, UsageError
from framegate.files import read_json, write_json
from framegate.hls.emission.emit import hash_of
from framegate.hls.flows.ecp5 import ecp5_block_ram
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

_RESOURCES = {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "bram": "DP16KD", "dsp": "MULT18X18D"}
# Without wider LUTs the placer has smaller pieces to move. tsm-lite: 50.7 instead of 47.5 MHz, 6 % more LUTs.
_SYNTHESIS = "synth_ecp5 -nowidelut"
_REGISTERS = "".join(
    f' -set REG_{register}_CLK "CLK0"' for register in ("INPUTA", "INPUTB", "OUTPUT")
)  # that fg_multiplier_ecp5.sv counts on
_SMALLER = "compile for fewer frames per second, or with fewer bits or channels"


def board_files(target: Target) -> list[Path]:
    """The board's top (first), the modules that it needs and the pins."""
    modules = (f"fg_{name}.sv" for name in (target.board, "serial_link", "uart_rx", "uart_tx"))
    names = (*modules, f"{target.board}.lpf")
    return [Path(__file__).parents[1] / "boards" / name for name in names]


def build_bitstream(
    rtl: Path,
    top_sources: list[Path],
    target: Target,
    out: Path,
    progress: Progress,
    *,
    clock_mhz: float | None = None,
    seed: int = 1,
) -> FlowReport:
    """Synthesize, place, route and pack the design in `rtl` into `out`; write `out`/report.json.

    `top_sources`: the board top first (file name = module name), further modules and one .lpf, as from
    `board_files`. `clock_mhz`: the design's clock, by default the target's. `seed`: of the placement.
    Raises UsageError for missing or wrong inputs or tools, FramegateError when a tool fails, when the design
    does not fit, or when it is too slow (report.json then tells the numbers, with `path` null).
    """
    clock_mhz = clock_mhz or target.clock_mhz
    flow = _BoardFlow(rtl.resolve(), target, out.resolve(), progress, top_sources, clock_mhz, seed)
    (flow.out / "report.json").unlink(missing_ok=True)
    synthesis = flow.synthesize()
    routing = flow.place_and_route(synthesis)
    report = flow.report(routing, {"synthesis": synthesis.seconds, "routing": routing.seconds})
    if report.fmax_mhz < report.clock_mhz:
        write_json(flow.out / "report.json", asdict(report))
        raise FramegateError(_too_slow(report, _timing(routing)))
    packing = flow.pack(routing)
    seconds = {**report.seconds, "packing": packing.seconds}
    path = str(out / packing.folder.name / f"{DESIGN}.bit")
    report = replace(report, path=path, seconds=seconds)
    write_json(flow.out / "report.json", asdict(report))
    return report


def count(flow: Flow) -> Step:
    """Count what the design takes, as nextpnr packs it: its LUTs are more than Yosys', by those that feed carries."""
    yosys, nextpnr = find("yosys"), find("nextpnr-ecp5")
    options = [f"--{flow.target.device}", "--package", flow.target.package, "--pack-only"]
    reads: list[Path | str] = [str(yosys), str(nextpnr), *options, *flow.design]

    def produce(folder: Path) -> None:
        netlist, log = folder / "netlist.json", flow.out / "packing.log"
        commands = [*flow.elaborate([own_multiplier("ecp5", folder)]), *_synthesis(flow, DESIGN, netlist)]
        flow.yosys(yosys, flow.out / "counting.log", commands, quiet=True)
        ecp5_block_ram.use_output_registers(netlist)
        arguments = [*options, "--lpf-allow-unconstrained", "--json", flow.name(netlist)]
        if flow.run(nextpnr, arguments, log):
            raise FramegateError(last_error("nextpnr", log))
        counts = {name: used for name, (used, _) in _utilization(log.read_text()).items()}
        (folder / COUNTS).write_text(json.dumps({**counts, "uram": 0}))
        netlist.unlink()  # large

    return flow.step("utilization", "Yosys", reads, produce)


def _synthesis(flow: Flow, top: str, netlist: Path) -> list[str]:
    """The Yosys commands from the elaborated design to its netlist."""
    synthesis = f"{_SYNTHESIS} -top {top}"
    return [
        f"{synthesis} -run :map_ram",
        MANY_READERS,
        f"{synthesis} -run map_ram:",
        f"setparam{_REGISTERS} a:registered",
        f"write_json {flow.names([netlist])}",
    ]


@dataclass(frozen=True)
class _BoardFlow(Flow):
    """The design below a board's top, down to a bitstream."""

    top_sources: list[Path]
    clock_mhz: float
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clock_mhz not in range(5, 201, 5):
            raise UsageError(
                f"clock of {self.clock_mhz:g} MHz: the board's PLL makes multiples of 5 from 5 to 200 MHz"
            )

    def synthesize(self) -> Step:
        """Synthesis: RTL and board top to a netlist in JSON."""
        yosys = find("yosys")
        board = self._top_sources(".sv")
        reads: list[Path | str] = [str(yosys), f"{self.clock_mhz:g}", *self.design, *board]

        def produce(folder: Path) -> None:
            top = board[0].stem
            parameters = {"CLOCK_MHZ": f"{self.clock_mhz:g}", **self._widths(yosys, folder)}
            netlist = folder / "netlist.json"
            commands = [
                *self.elaborate([*_copy(board, folder), own_multiplier("ecp5", folder)], top, parameters),
                *_synthesis(self, top, netlist),
            ]
            self.yosys(yosys, self.out / "yosys.log", commands)
            ecp5_block_ram.use_output_registers(netlist)

        return self.step("synthesis", "Yosys", reads, produce)

    def place_and_route(self, synthesis: Step) -> Step:
        """Place and route: netlist to a configuration, with timing and utilization beside it."""
        nextpnr = find("nextpnr-ecp5")
        pins = self._top_sources(".lpf")
        options = (
            f"--{self.target.device} --package {self.target.package} --speed {self.target.speed} "
            f"--seed {self.seed} --timing-allow-fail"
        ).split()
        reads: list[Path | str] = [synthesis.key, str(nextpnr), *options, *pins]

        def produce(folder: Path) -> None:
            arguments = [*options]
            for option, path in {
                "--json": synthesis.folder / "netlist.json",
                "--lpf": _copy(pins, folder)[0],
                "--textcfg": folder / f"{DESIGN}.config",
                "--report": folder / "timing.json",
            }.items():
                arguments += [option, self.name(path)]
            log = self.out / "nextpnr.log"
            if self.run(nextpnr, arguments, log):
                raise FramegateError(
                    _does_not_fit(self.target, log.read_text()) or last_error("nextpnr", log)
                )

        return self.step("routing", "nextpnr", reads, produce)

    def pack(self, routing: Step) -> Step:
        """Pack the configuration into a compressed bitstream; its USERCODE begins the hash of the design."""
        ecppack = find("ecppack")
        design = hash_of((self.rtl / f"{DESIGN}.sv").read_text())
        usercode = ["--usercode", str(int(design[:8], 16))] if design else []

        def produce(folder: Path) -> None:
            config, bit = routing.folder / f"{DESIGN}.config", folder / f"{DESIGN}.bit"
            log = self.out / "ecppack.log"
            if self.run(ecppack, ["--compress", *usercode, self.name(config), self.name(bit)], log):
                raise FramegateError(last_error("ecppack", log))

        return self.step("bitstream", "ecppack", [routing.key, str(ecppack), *usercode], produce)

    def report(self, routing: Step, seconds: dict[str, float]) -> FlowReport:
        """What nextpnr measured."""
        timing = _timing(routing)
        used = timing["utilization"]
        return FlowReport(
            path=None,
            target=self.target.name,
            clock_mhz=self.clock_mhz,
            fmax_mhz=round(min(clock["achieved"] for clock in timing["fmax"].values()), 2),
            **{name: used[cell]["used"] for name, cell in _RESOURCES.items()},
            available={name: used[cell]["available"] for name, cell in _RESOURCES.items()},
            seconds=seconds,
        )

    def _widths(self, yosys: Tool, folder: Path) -> dict[str, int]:
        """The widths of the design's two streams, asked of the tool that will connect them."""
        ports = folder / "ports.json"
        design = self.names([self.rtl / f"{DESIGN}.sv"])
        log = self.out / "yosys.log"
        self.yosys(yosys, log, [f"read_verilog -sv {design}", "proc", f"write_json {self.names([ports])}"])
        found = json.loads(ports.read_text())["modules"][DESIGN]["ports"]
        widths = {
            parameter: len(found.get(port, {"bits": ()})["bits"])
            for parameter, port in {"PIXEL_BITS": "s_axis_tdata", "RESULT_BITS": "m_axis_tdata"}.items()
        }
        if widths["PIXEL_BITS"] not in (8, 24) or widths["RESULT_BITS"] < 40:
            raise UsageError(
                f"{self.rtl / DESIGN}.sv: s_axis_tdata must have 8 or 24 bits and m_axis_tdata a logit and a "
                f"decision or more, not {list(widths.values())} bits; run `framegate compile` again"
            )
        return widths

    def _top_sources(self, suffix: str) -> list[Path]:
        found = [path for path in self.top_sources if path.suffix == suffix]
        if not found:
            raise UsageError(f"board top: no {suffix} file among {[str(path) for path in self.top_sources]}")
        return found


def _copy(files: Iterable[Path], folder: Path) -> list[Path]:
    return [Path(shutil.copy(path, folder)) for path in files]


def _timing(routing: Step) -> dict[str, Any]:
    return read_json(routing.folder / "timing.json", f"delete {routing.folder}")


def _too_slow(report: FlowReport, timing: dict[str, Any]) -> str:
    inside = (path["path"] for path in timing["critical_paths"] if path["from"] == path["to"])
    slowest = max(inside, key=lambda path: sum(step["delay"] for step in path))
    begin, end = slowest[0]["from"]["cell"], slowest[-1]["to"]["cell"]
    return (
        f"timing: {report.fmax_mhz:.1f} MHz reached, {report.clock_mhz:g} MHz wanted "
        f"({report.clock_mhz - report.fmax_mhz:.1f} MHz short, from {begin} to {end}); "
        f"compile for a clock of {max(5, int(report.fmax_mhz) // 5 * 5)} MHz, or try another seed"
    )


def _utilization(log: str) -> dict[str, tuple[int, int]]:
    """(used, available) of each resource that nextpnr's `log` tells."""
    found = {name: re.search(rf"\s{cell}:\s*(\d+)/\s*(\d+)", log) for name, cell in _RESOURCES.items()}
    return {name: (int(match[1]), int(match[2])) for name, match in found.items() if match}


def _does_not_fit(target: Target, log: str) -> str | None:
    """What is over, from nextpnr's utilization lines; None when everything fits."""
    over = [
        f"{name} {used} of {available} ({used - available} too many)"
        for name, (used, available) in _utilization(log).items()
        if used > available
    ]
    return f"{target.name}: the design does not fit: {', '.join(over)}; {_SMALLER}" if over else None
