# SPDX-License-Identifier: Apache-2.0
"""Runs a module between test sources and sinks under Verilator or Icarus and records what passed each stream, when."""

import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import VerilatorControlFile, get_runner
from framegate.errors import FramegateError, UsageError
from framegate.hls.emit import STREAM_CHECK
from framegate.hls.tools import require_simulator
from framegate.rtl_sim import fast
from jinja2 import Environment, StrictUndefined

Simulator = Literal["verilator", "icarus", "fast"]  # fast: Verilator with a clock in C++ instead of cocotb
SIMULATORS: tuple[Simulator, ...] = get_args(Simulator)
_HARNESS = Path(str(files("framegate.rtl_sim").joinpath("harness")))
HARNESS = tuple(_HARNESS / f"fg_{name}.sv" for name in ("source", "sink", "probe"))  # modules of every bench
ALWAYS = np.ones(1, dtype=bool)
_SEED = "FRAMEGATE_SEED"  # environment variable
_PERIOD = 256  # cycles after which a sink's pattern repeats


def known(name: str) -> Simulator:
    """`name` as a simulator. Raises UsageError listing them for another one."""
    for simulator in SIMULATORS:
        if name == simulator:
            return simulator
    raise UsageError(f"simulator {name!r}: unknown; choose one of {', '.join(SIMULATORS)}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A driven input: word i is offered from cycle offers[i] on; cycle 0 is the first one out of reset."""

    name: str  # of the nets <name>_valid, <name>_ready, <name>_data in the bench
    bits: int
    words: Sequence[int]
    offers: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Sink:
    """A read output: ready in cycle n if accepts[n % 256], resized to that; all having `beats` ends the run."""

    name: str
    bits: int
    beats: int
    accepts: np.ndarray = field(default_factory=lambda: ALWAYS)


@dataclass(frozen=True, kw_only=True)
class Tap:
    """A stream inside the module, recorded by the prefix of its nets."""

    name: str
    bits: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A module, what surrounds it, and the folder it is built and run in."""

    module: str
    rtl: Path  # folder of the .sv files and .hex images
    pins: Mapping[str, str]  # pin of the module: net of the bench
    inputs: tuple[Source, ...]
    outputs: tuple[Sink, ...]
    work: Path
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    taps: tuple[Tap, ...] = ()
    simulator: Simulator = "verilator"

    def build(self) -> None:
        """Compile. Raises UsageError for a missing tool, FramegateError if the module does not compile."""
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "bench.sv").write_text(self.render())
        (self.work / "open.vlt").write_text('`verilator_config\npublic_flat_rw -module "bench" -var "*"\n')
        modules = {path.name: path for path in (*HARNESS, STREAM_CHECK, *sorted(self.rtl.glob("*.sv")))}
        sources: list[Any] = [*modules.values(), self.work / "bench.sv"]
        log = self.work / "build.log"
        with (
            _tools(self.simulator),
            _named_failure(log, f"{self.module} does not compile with {self.simulator}"),
        ):
            if self.simulator == "fast":
                fast.build(sources, self.work / self.simulator, log)
                return
            arguments = ["-g2012"]
            if self.simulator == "verilator":
                sources.insert(0, VerilatorControlFile(self.work / "open.vlt"))
                arguments = ["--no-public-flat-rw", "--timing", "-CFLAGS", "-std=c++20", *fast.VERILATOR]
            get_runner(self.simulator).build(
                sources=sources,
                hdl_toplevel="bench",
                build_args=arguments,
                build_dir=self.work / self.simulator,
                always=True,
                timescale=("1ns", "1ns"),
                log_file=log,
            )

    def run(self, limit: int, linger: int = 64) -> dict[str, "Recording"]:
        """Run what was built with the present words and images; record every port and tap by name.

        `linger`: cycles that it goes on when every sink has what it expects. Raises FramegateError when beats are
        missing after `limit` cycles or a check inside the bench fails.
        """
        for image in self.rtl.glob("*.hex"):
            shutil.copyfile(image, self.work / image.name)
        for source in self.inputs:
            _write_hex(self.work / f"{source.name}_words.hex", source.words)
            _write_hex(self.work / f"{source.name}_offers.hex", source.offers.tolist())
        for sink in self.outputs:
            _write_hex(
                self.work / f"{sink.name}_accepts.hex", np.resize(sink.accepts, _PERIOD).astype(int).tolist()
            )
        log, results = self.work / "run.log", self.work / "results.xml"
        results.unlink(missing_ok=True)
        seed = _seed()
        # Verilator knows no x: registers and words that are not there start at random; FRAMEGATE_SEED repeats a run.
        (self.work / "seed.txt").write_text(f"{seed}\n")
        with _tools(self.simulator), _named_failure(log, f"{self.module} stopped in {self.simulator}"):
            if self.simulator == "fast":
                fast.run(self.work / self.simulator, self.work, limit, linger, log, seed)
                return self._recordings()
            get_runner(self.simulator).test(
                test_module="framegate.rtl_sim.drive",
                hdl_toplevel="bench",
                hdl_toplevel_lang="verilog",
                build_dir=self.work / self.simulator,
                test_dir=self.work,
                results_xml=str(results.resolve()),  # the runner works in `work`
                plusargs=[] if self.simulator == "icarus" else fast.random_start(seed),
                extra_env={"FRAMEGATE_CYCLE_LIMIT": str(limit), "FRAMEGATE_CYCLE_LINGER": str(linger)},
                timescale=("1ns", "1ns") if self.simulator == "icarus" else None,
                log_file=log,
            )
        if not results.is_file() or get_results(results)[1]:
            raise FramegateError(f"{self.module} in {self.simulator}: {_reason(log)} (log: {log})")
        return self._recordings()

    def _recordings(self) -> dict[str, "Recording"]:
        return {port.name: _recording(self.work / f"{port.name}.txt") for port in self._recorded()}

    def _recorded(self) -> Iterator[Source | Sink | Tap]:
        yield from self.inputs
        yield from self.outputs
        yield from self.taps

    def render(self) -> str:
        """The text of module `bench`."""
        template = (_HARNESS / "bench.sv.j2").read_text()
        inside = {tap.name for tap in self.taps}
        return (
            Environment(
                undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
            )
            .from_string(template)
            .render(
                module=self.module,
                own_clock=self.simulator != "fast",
                parameters=[f".{name}({value})" for name, value in self.parameters.items()],
                pins=[f".{pin}({net})" for pin, net in self.pins.items()],
                sources=self.inputs,
                sinks=self.outputs,
                period=_PERIOD,
                probes=[
                    (port.name, port.bits, "dut." if port.name in inside else "") for port in self._recorded()
                ],
            )
        )


@dataclass(frozen=True)
class Recording:
    """Beats that passed a stream: the cycle of each and its word."""

    cycles: np.ndarray
    words: list[int]


def _seed() -> int:
    """Of the state that Verilator's programs start from: what the environment says, else a new one."""
    given = os.environ.get(_SEED)
    if given is not None and not given.isdecimal():
        raise UsageError(f"{_SEED}={given}: a whole number is wanted, as in seed.txt beside a run")
    return int(given) if given is not None else 1 + secrets.randbelow(2**31 - 2)


def _write_hex(target: Path, words: Iterable[int]) -> None:
    target.write_text("\n".join(f"{int(word):x}" for word in words) + "\n")


def _recording(source: Path) -> Recording:
    lines = [line.split() for line in source.read_text().splitlines()]
    cycles = np.array([int(cycle) for cycle, _ in lines], dtype=np.int64)
    return Recording(cycles, [int(word, 16) if "x" not in word else -1 for _, word in lines])


@contextmanager
def _tools(simulator: Simulator) -> Iterator[None]:
    """The simulator's environment while cocotb's runner, which knows only the process's own, builds or runs."""
    kept = dict(os.environ)
    os.environ.update(require_simulator("icarus" if simulator == "icarus" else "verilator").environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _named_failure(log: Path, what: str) -> Iterator[None]:
    """Turn the runner's ways of failing into one line; a stopped run is told apart by its missing results."""
    try:
        yield
    except (SystemExit, RuntimeError) as error:
        raise FramegateError(f"{what}: {_reason(log)} (log: {log})") from error


def _reason(log: Path) -> str:
    """The line of the log that says what went wrong."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    for pattern in (
        r"^.*(stream \S+: beat .*)$",
        r"^.*(beats are missing after \d+ cycles)",
        r"^.*((?:%Fatal|%Error|FATAL|error:).*)$",
    ):
        if found := re.search(pattern, text, flags=re.MULTILINE):
            return found.group(1).strip()
    return "no reason given"
