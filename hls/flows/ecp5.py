# SPDX-License-Identifier: Apache-2.0
"""Lattice ECP5: Yosys, nextpnr and ecppack make a bitstream of rtl/. Unchanged steps are reused."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from framegate.errors import FramegateError, UsageError
from framegate.files import read_json, whole, write_json
from framegate.hls.targets import Target
from framegate.hls.tools import Tool, find

Progress = Callable[[str], None]

DESIGN = "framegate"  # the module in rtl/ that the board top instantiates
_RESOURCES = {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "bram": "DP16KD", "dsp": "MULT18X18D"}
# Without wider LUTs the placer has smaller pieces to move. tsm-lite: 50.7 instead of 47.5 MHz, 6 % more LUTs.
_SYNTHESIS = "synth_ecp5 -nowidelut"
_SMALLER = "compile for fewer frames per second, or with fewer bits or channels"


@dataclass(frozen=True)
class FlowReport:
    """What place and route came to; the keys of report.json."""

    path: str | None  # of the bitstream; None when timing failed
    target: str
    clock_mhz: float  # asked for
    fmax_mhz: float  # reached
    lut: int
    ff: int
    bram: int  # blocks of 18 kbit
    dsp: int  # 18x18 multipliers
    available: dict[str, int]  # lut, ff, bram, dsp of the whole device
    seconds: dict[str, float]  # per step, when it last ran


def board_files(target: Target) -> list[Path]:
    """The board's top (first), the modules that it needs and the pins."""
    names = (f"{target.board}.sv", "serial_link.sv", "uart_rx.sv", "uart_tx.sv", f"{target.board}.lpf")
    return [Path(__file__).parent / name for name in names]


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
    flow = _Flow(rtl.resolve(), top_sources, target, out.resolve(), progress, clock_mhz, seed)
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


@dataclass(frozen=True)
class _Step:
    folder: Path
    key: str
    seconds: float


@dataclass(frozen=True)
class _Flow:
    """One design on its way. Tools run in the folder above `rtl` and `out` with paths relative to it.

    (The tools of the wheels are WebAssembly and see little else.)
    """

    rtl: Path
    top_sources: list[Path]
    target: Target
    out: Path
    progress: Progress
    clock_mhz: float
    seed: int

    def __post_init__(self) -> None:
        if not (self.rtl / f"{DESIGN}.sv").is_file():
            raise UsageError(f"{self.rtl / DESIGN}.sv: not there; run `framegate compile` first")
        if self.clock_mhz not in range(5, 201, 5):
            raise UsageError(
                f"clock of {self.clock_mhz:g} MHz: the board's PLL makes multiples of 5 from 5 to 200 MHz"
            )

    def synthesize(self) -> _Step:
        """Synthesis: RTL and board top to a netlist in JSON."""
        yosys = find("yosys")
        design = sorted([*self.rtl.glob("*.sv"), *self.rtl.glob("*.hex")])
        board = self._top_sources(".sv")
        key = _key([yosys.version, _SYNTHESIS, f"{self.clock_mhz:g}"], [*design, *board])

        def produce(folder: Path) -> None:
            sources = [*(path for path in design if path.suffix == ".sv"), *_copy(board, folder)]
            top = board[0].stem
            parameters = {"CLOCK_MHZ": f"{self.clock_mhz:g}", **self._widths(yosys, folder)}
            settings = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
            self._yosys(
                yosys,
                self.out / "yosys.log",
                # Deferred: a kernel exists only with its instances' parameters, among them its memory images.
                f"read_verilog -sv -defer {self._names(sources)}",
                f"hierarchy -top {top} {settings}",
                f"{_SYNTHESIS} -top {top} -json {self._names([folder / 'netlist.json'])}",
            )

        return self._step("synthesis", "Yosys", key, produce)

    def place_and_route(self, synthesis: _Step) -> _Step:
        """Place and route: netlist to a configuration, with timing and utilization beside it."""
        nextpnr = find("nextpnr-ecp5")
        pins = self._top_sources(".lpf")
        options = (
            f"--{self.target.device} --package {self.target.package} --speed {self.target.speed} "
            f"--seed {self.seed} --timing-allow-fail"
        ).split()
        key = _key([synthesis.key, nextpnr.version, *options], pins)

        def produce(folder: Path) -> None:
            arguments = [*options]
            for option, path in {
                "--json": synthesis.folder / "netlist.json",
                "--lpf": _copy(pins, folder)[0],
                "--textcfg": folder / f"{DESIGN}.config",
                "--report": folder / "timing.json",
            }.items():
                arguments += [option, self._name(path)]
            log = self.out / "nextpnr.log"
            if self._run(nextpnr, arguments, log):
                raise FramegateError(
                    _does_not_fit(self.target, log.read_text()) or _last_error("nextpnr", log)
                )

        return self._step("routing", "nextpnr", key, produce)

    def pack(self, routing: _Step) -> _Step:
        """Pack the configuration into a compressed bitstream."""
        ecppack = find("ecppack")

        def produce(folder: Path) -> None:
            config, bit = routing.folder / f"{DESIGN}.config", folder / f"{DESIGN}.bit"
            log = self.out / "ecppack.log"
            if self._run(ecppack, ["--compress", self._name(config), self._name(bit)], log):
                raise FramegateError(_last_error("ecppack", log))

        return self._step("bitstream", "ecppack", _key([routing.key, ecppack.version], []), produce)

    def report(self, routing: _Step, seconds: dict[str, float]) -> FlowReport:
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

    def _step(self, name: str, tool: str, key: str, produce: Callable[[Path], None]) -> _Step:
        """Make the folder `out`/`name` by `produce`, whole, unless it was made from the same inputs."""
        folder = self.out / name
        record = folder / "step.json"
        if record.is_file() and (made := read_json(record, f"delete {folder}"))["key"] == key:
            self.progress(f"{name}: inputs unchanged, reused")
            return _Step(folder, key, made["seconds"])
        self.progress(f"{name}: {tool} …")
        started = time.monotonic()
        with whole(folder) as draft:
            draft.mkdir(parents=True)
            produce(draft)
            seconds = round(time.monotonic() - started, 1)
            (draft / "step.json").write_text(json.dumps({"key": key, "seconds": seconds}))
        self.progress(f"{name}: {seconds:.1f} s")
        return _Step(folder, key, seconds)

    def _widths(self, yosys: Tool, folder: Path) -> dict[str, int]:
        """The widths of the design's two streams, asked of the tool that will connect them."""
        ports = folder / "ports.json"
        design = self._names([self.rtl / f"{DESIGN}.sv"])
        log = self.out / "yosys.log"
        self._yosys(yosys, log, f"read_verilog -sv {design}", "proc", f"write_json {self._names([ports])}")
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

    def _yosys(self, yosys: Tool, log: Path, *commands: str) -> None:
        if self._run(yosys, [part for command in commands for part in ("-p", command)], log):
            raise FramegateError(_last_error("yosys", log))

    def _run(self, tool: Tool, arguments: list[str], log: Path) -> int:
        """Run `tool` with its output in `log`; return its exit status. It ends when we are interrupted."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            command = [*tool.command, *arguments]
            return subprocess.run(
                command, cwd=self._root(), env=tool.environ(), stdout=output, stderr=output, check=False
            ).returncode

    def _root(self) -> Path:
        return Path(os.path.commonpath([self.rtl, self.out]))

    def _name(self, path: Path) -> str:
        return os.path.relpath(path, self._root())

    def _names(self, paths: Iterable[Path]) -> str:
        """The paths as Yosys reads them in a command."""
        return " ".join(f'"{self._name(path)}"' for path in paths)

    def _top_sources(self, suffix: str) -> list[Path]:
        found = [path for path in self.top_sources if path.suffix == suffix]
        if not found:
            raise UsageError(f"board top: no {suffix} file among {[str(path) for path in self.top_sources]}")
        return found


def _key(words: Iterable[str], files: Iterable[Path]) -> str:
    """A digest of all that a step depends on."""
    digest = hashlib.sha256(json.dumps(list(words)).encode())
    for path in files:
        digest.update(f"\n{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _copy(files: Iterable[Path], folder: Path) -> list[Path]:
    return [Path(shutil.copy(path, folder)) for path in files]


def _timing(routing: _Step) -> dict[str, Any]:
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


def _does_not_fit(target: Target, log: str) -> str | None:
    """What is over, from nextpnr's utilization lines; None when everything fits."""
    counts = {name: re.search(rf"\s{cell}:\s*(\d+)/\s*(\d+)", log) for name, cell in _RESOURCES.items()}
    over = [
        f"{name} {used} of {available} ({used - available} too many)"
        for name, match in counts.items()
        if match
        for used, available in [(int(match[1]), int(match[2]))]
        if used > available
    ]
    return f"{target.name}: the design does not fit: {', '.join(over)}; {_SMALLER}" if over else None


def _last_error(tool: str, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if "ERROR" in line] or lines or ["no output"]
    return f"{tool} failed: {errors[-1].strip()} (all of it: {log})"
