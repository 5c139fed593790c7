# SPDX-License-Identifier: Apache-2.0
"""Runs a module between test sources and sinks under Verilator or Icarus and records what passed each stream, when."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Icarus, Runner, Verilator, VerilatorControlFile
from framegate.errors import FramegateError, UsageError
from framegate.hls.kernels import STREAM_CHECK
from framegate.hls.stream import check_fit
from framegate.hls.tools import require_simulator, simulator_tools
from framegate.rtl_sim.bench import fast, plain_names
from jinja2 import Environment, StrictUndefined

# Those called fast run without cocotb; "fast" alone is Verilator.
Simulator = Literal["verilator", "icarus", "fast", "icarus-fast"]
SIMULATORS: tuple[Simulator, ...] = get_args(Simulator)
_HARNESS = Path(str(files("framegate.rtl_sim.bench").joinpath("harness")))
HARNESS = tuple(_HARNESS / f"fg_{name}.sv" for name in ("source", "sink", "probe"))  # modules of every bench
ALWAYS = np.ones(1, dtype=bool)
RESULTS = "results.xml"  # of cocotb, in the folder of each run
_SEED = "FRAMEGATE_SEED"  # environment variable
LARGEST_SEED = (1 << 31) - 1  # that Verilator takes; the smallest is 1
_DRIVERS: Mapping[Simulator, str] = {"fast": "program", "icarus-fast": "itself"}  # of the others: cocotb
_TEMPLATE = Environment(
    undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
).from_string((_HARNESS / "bench.sv.j2").read_text())
_PERIOD = 256  # cycles after which a sink's pattern repeats
_NEVER = (1 << 64) - 1


def known(name: str) -> Simulator:
    """`name` as a simulator. Raises UsageError listing them for another one."""
    for simulator in SIMULATORS:
        if name == simulator:
            return simulator
    raise UsageError(f"simulator {name!r}: unknown; choose one of {', '.join(SIMULATORS)}")


def engine(simulator: Simulator) -> Literal["verilator", "icarus"]:
    """What simulates, with cocotb or without."""
    return "icarus" if simulator.startswith("icarus") else "verilator"


def quick_or(simulator: Simulator) -> Simulator:
    """Icarus, which builds a small bench in a second, where it is installed; else `simulator`. With cocotb as that."""
    with suppress(UsageError):
        simulator_tools("icarus")
        return "icarus-fast" if "fast" in simulator else "icarus"
    return simulator


@dataclass(frozen=True, kw_only=True)
class Source:
    """A driven input: word i is offered from cycle offers[i] on; cycle 0 is the first one out of reset."""

    name: str  # of the nets <name>_valid, <name>_ready, <name>_data in the bench
    bits: int
    words: Sequence[int]
    offers: np.ndarray
    room: int = 0  # words that a later run of the same build may have, if more


@dataclass(frozen=True, kw_only=True)
class Sink:
    """A read output: ready in cycle n if accepts[n % 256], resized to that; all having `beats` ends the run."""

    name: str
    bits: int
    beats: int
    accepts: np.ndarray = field(default_factory=lambda: ALWAYS)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A pulse on the bench's net `clear`, `delay` cycles after the first input's first `words` words have passed.

    The next word waits for it. From then on sinks count anew; what passes in that very cycle is not recorded.
    """

    words: int
    delay: int = 0


@dataclass(frozen=True, kw_only=True)
class LongStalls:
    """Every fourth beat of a sink waits until the first input has waited `patience` cycles, or has nothing left.

    The first input goes on, from its last word back to the one behind the cut, clip after clip, until it has waited so
    long once, or for `most` clips; sinks expect their beats once per clip.
    """

    patience: int
    clip: int  # words of the first input
    most: int


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
    seed: int | None = None  # of the state that Verilator's programs start from; None: see `start_seed`
    cut: Cut | None = None
    long_stalls: LongStalls | None = None

    def build(self, cycles: int = 0) -> None:
        """Compile for runs of so many cycles, all together: for few ones sooner, for many ones a faster program.

        Raises UsageError for a missing tool, FramegateError if the module does not compile.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "bench.sv").write_text(self.render())
        (self.work / "open.vlt").write_text('`verilator_config\npublic_flat_rw -module "bench" -var "*"\n')
        modules = {path.name: path for path in (*HARNESS, STREAM_CHECK, *sorted(self.rtl.glob("*.sv")))}
        sources: list[Any] = [*plain_names.copies(modules, self.work), self.work / "bench.sv"]
        log = self.work / "build.log"
        with (
            _tools(self.simulator, fast.make_flags(cycles)),
            _named_failure(log, f"{self.module} does not compile with {self.simulator}"),
            plain_names.by_origin(log, modules),
        ):
            if self.simulator in _DRIVERS:
                fast.build(self.simulator, sources, self.work / self.simulator, log, cycles)
                return
            arguments = ["-g2012"]
            if self.simulator == "verilator":
                sources.insert(0, VerilatorControlFile(self.work / "open.vlt"))
                arguments = ["--no-public-flat-rw", "--timing", "-CFLAGS", "-std=c++20"]
                arguments += fast.verilator_arguments(cycles)
            _RUNNERS[self.simulator]().build(
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
        return self.run_each((self,), limit, linger)[0]

    def run_each(self, runs: Sequence["Bench"], limit: int, linger: int = 64) -> list[dict[str, "Recording"]]:
        """As `run` for each of `runs`: this bench with other words, offers or accepts, as many of them.

        Each starts from nothing, but the simulator and cocotb start once for all.
        """
        folders = [self.work, *(self.work / f"run{number}" for number in range(1, len(runs)))]
        for bench, folder in zip(runs, folders, strict=True):
            bench._fill(folder)
        # Verilator knows no x: registers and words that are not there start at random.
        seed = start_seed() if self.seed is None else self.seed
        (self.work / "seed.txt").write_text(f"{seed}\n")
        with _tools(self.simulator):
            if self.simulator in _DRIVERS:
                self._run_program(folders, limit, linger, seed)
            else:
                self._run_cocotb(folders, limit, linger, seed)
        return [bench._recordings(folder) for bench, folder in zip(runs, folders, strict=True)]

    def _fill(self, folder: Path) -> None:
        """Write what one run reads."""
        folder.mkdir(exist_ok=True)
        for left in folder.glob("*.hex"):  # an image of an earlier run would hide that it is gone from `rtl`
            left.unlink()
        for image in self.rtl.glob("*.hex"):
            shutil.copyfile(image, folder / image.name)
        for source in self.inputs:
            check_fit(source.name, source.words, source.bits)
            _write_hex(folder / f"{source.name}_words.hex", source.words)
            _write_hex(folder / f"{source.name}_offers.hex", source.offers.tolist())
        for sink in self.outputs:
            _write_hex(
                folder / f"{sink.name}_accepts.hex", np.resize(sink.accepts, _PERIOD).astype(int).tolist()
            )
        _write_hex(folder / "plan.hex", self._plan())

    def _run_program(self, folders: Sequence[Path], limit: int, linger: int, seed: int) -> None:
        for folder in folders:
            log = folder / "run.log"
            with _named_failure(log, self._stopped(seed)):
                fast.run(self.simulator, self.work / self.simulator, folder, limit, linger, log, seed)

    def _run_cocotb(self, folders: Sequence[Path], limit: int, linger: int, seed: int) -> None:
        """One start: drive.py makes a process for each folder, of which the runner sees only the first."""
        for folder in folders:
            (folder / RESULTS).unlink(missing_ok=True)
        first, *others = (str(folder.resolve()) for folder in folders)
        with suppress(SystemExit, RuntimeError):  # a run that fails leaves no results, or says so in them
            _RUNNERS[self.simulator]().test(
                test_module="framegate.rtl_sim.bench.drive",
                hdl_toplevel="bench",
                hdl_toplevel_lang="verilog",
                build_dir=self.work / self.simulator,
                test_dir=first,
                plusargs=[] if self.simulator == "icarus" else fast.random_start(seed),
                results_xml=str(Path(first, RESULTS)),  # the runner works in `first`
                extra_env={
                    "FRAMEGATE_CYCLE_LIMIT": str(limit),
                    "FRAMEGATE_CYCLE_LINGER": str(linger),
                    "FRAMEGATE_OTHER_RUNS": json.dumps(others),
                    "COCOTB_REWRITE_ASSERTION_FILES": "",  # else pytest loads its plugins in every simulation
                },
                timescale=("1ns", "1ns") if self.simulator == "icarus" else None,
                log_file=folders[0] / "run.log",
            )
        for folder in folders:
            if not _passed(folder / RESULTS):
                log = folder / "run.log"
                raise FramegateError(f"{self._stopped(seed)}: {_reason(log, 'no results')} (log: {log})")

    def _stopped(self, seed: int) -> str:
        """How a run failed; Icarus starts from x, whatever the seed."""
        started = "" if engine(self.simulator) == "icarus" else f" ({_SEED}={seed})"
        return f"{self.module} stopped in {self.simulator}{started}"

    def _plan(self) -> list[int]:
        """What bench.sv reads from plan.hex."""
        cut = self.cut or Cut(words=_NEVER)
        counts = [*(len(source.words) for source in self.inputs), *(sink.beats for sink in self.outputs)]
        stalls = self.long_stalls or LongStalls(patience=0, clip=0, most=0)
        return [cut.words, cut.delay, stalls.patience, stalls.clip, stalls.most, *counts]

    def _recordings(self, folder: Path) -> dict[str, "Recording"]:
        return {port.name: _recording(folder / f"{port.name}.txt") for port in self._recorded()}

    def _recorded(self) -> Iterator[Source | Sink | Tap]:
        yield from self.inputs
        yield from self.outputs
        yield from self.taps

    def render(self) -> str:
        """The text of module `bench`."""
        inside = {tap.name for tap in self.taps}
        return _TEMPLATE.render(
            module=self.module,
            driver=_DRIVERS.get(self.simulator, "cocotb"),
            parameters=[f".{name}({value})" for name, value in self.parameters.items()],
            pins=[f".{pin}({net})" for pin, net in self.pins.items()],
            sources=self.inputs,
            rooms={port.name: _room(max(port.room, len(port.words))) for port in self.inputs},
            sinks=self.outputs,
            period=_PERIOD,
            probes=[
                (port.name, port.bits, "dut." if port.name in inside else "") for port in self._recorded()
            ],
        )


@dataclass(frozen=True)
class Recording:
    """Beats that passed a stream: the cycle of each and its word (-1 if a bit of it was undefined)."""

    cycles: np.ndarray
    words: list[int]
    waited: int = 0  # cycles that a beat waited at most


class _OwnTools(Runner):
    """cocotb's runner, with its commands run where all tools are."""

    def _execute_cmds(self, cmds: Sequence[Sequence[str]], cwd: Any, stdout: Any = None) -> None:
        for command in cmds:
            if status := plain_names.run(command, Path(cwd), self.env, Path(stdout.name)):
                raise RuntimeError(f"{command[0]} ended with {status}")


class _Verilator(_OwnTools, Verilator):
    """Verilator with cocotb."""


class _Icarus(_OwnTools, Icarus):
    """Icarus with cocotb."""


_RUNNERS: Mapping[str, type[Runner]] = {"verilator": _Verilator, "icarus": _Icarus}


def start_seed() -> int:
    """Of the state that Verilator's programs start from: FRAMEGATE_SEED of the environment, else a new one.

    Raises UsageError when the environment's is none that Verilator takes.
    """
    given = os.environ.get(_SEED)
    if given is None:
        return 1 + secrets.randbelow(LARGEST_SEED)
    if not given.isdecimal() or not 1 <= int(given) <= LARGEST_SEED:
        raise UsageError(
            f"{_SEED}={given}: a whole number from 1 to {LARGEST_SEED} is wanted, as in seed.txt beside a run"
        )
    return int(given)


def _room(words: int) -> int:
    """Of a memory for so many words: a power of two, so that a clip more or less compiles to the same program."""
    return 1 << (words - 1).bit_length()


def _write_hex(target: Path, words: Iterable[int]) -> None:
    target.write_text("\n".join(f"{int(word):x}" for word in words) + "\n")


def _recording(source: Path) -> Recording:
    beats, _, waited = source.read_text().partition("waited")
    fields = beats.split()  # of a million beats: cycle, word, cycle, word …
    cycles = np.fromiter(map(int, fields[::2]), np.int64)
    return Recording(cycles, _words(fields[1::2]), int(waited or 0))


def _words(digits: Sequence[str]) -> list[int]:
    """Words as $fwrite printed them, or -1: a digit is x or z where all its bits are, X or Z where some of them are."""
    try:
        return [int(word, 16) for word in digits]
    except ValueError:
        return [-1 if set(word.lower()) & {"x", "z"} else int(word, 16) for word in digits]


@contextmanager
def _tools(simulator: Simulator, make_flags: str = "") -> Iterator[None]:
    """The simulator's environment while cocotb's runner, which knows only the process's own, builds or runs."""
    kept = dict(os.environ)
    os.environ.update(require_simulator(engine(simulator)).environment)
    os.environ["MAKEFLAGS"] = f"{make_flags} {os.environ.get('MAKEFLAGS', '')}".strip()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _named_failure(log: Path, what: str) -> Iterator[None]:
    """Turn the tools' ways of failing into one line."""
    try:
        yield
    except (SystemExit, RuntimeError) as error:
        raise FramegateError(f"{what}: {_reason(log, str(error))} (log: {log})") from error


def _passed(results: Path) -> bool:
    """Whether cocotb wrote `results`, and in them that nothing failed."""
    try:
        return not get_results(results)[1]
    except (OSError, RuntimeError):
        return False


def _reason(log: Path, ended: str) -> str:
    """The line of the log that says what went wrong; if none does, how it `ended`, and the last line there is."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    for pattern in (
        r"^.*(stream \S+: beat .*)$",
        r"^.*(beats are missing after \d+ cycles)",
        r"^(.*(?:%Fatal|%Error|FATAL|error:|syntax error).*)$",  # with the file, which some name before
    ):
        if found := re.search(pattern, text, flags=re.MULTILINE):
            return found.group(1).strip()
    last = text.rstrip().rpartition("\n")[2].strip() or "nothing"
    return f"{ended}, and the last line of its log is: {last}"
