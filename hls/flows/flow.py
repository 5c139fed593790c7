# SPDX-License-Identifier: Apache-2.0
"""What the flows share: tools that see a build folder, and steps that are reused while their inputs stay the same."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from framegate.errors import FramegateError, UsageError
from framegate.files import whole
from framegate.hls import tools
from framegate.hls.steps import Code, Steps
from framegate.hls.targets import Target
from framegate.hls.tools import Tool

# A family's own multiplier, in the place of the kernels'.
MULTIPLIERS = {
    family: Path(__file__).parent / family / f"fg_multiplier_{family}.sv" for family in ("ecp5", "xilinx")
}
Progress = Callable[[str], None]
CODE = Code(rooms=(Path(__file__).parent,), libraries=("jinja2",))  # what the flows' steps are made by

DESIGN = "framegate"  # the module in rtl/ that is synthesized, or that the board top instantiates
COUNTS = "counts.json"  # what a step counted, in its folder
# For Yosys, before it maps memories: up to 0.70 the time and room that it takes to find block RAMs for a memory grow
# threefold with each read port (of 10 in a threshold of 10 lanes: 11 s). What more than 8 read goes into LUTs.
MANY_READERS = "setattr -set logic_block 1 t:$mem_v2 r:RD_PORTS>8 %i"


@dataclass(frozen=True)
class FlowReport:
    """What place and route came to; the keys of report.json."""

    path: str | None  # of the bitstream, or of Vivado's routed checkpoint; None when timing failed
    target: str
    clock_mhz: float  # asked for
    fmax_mhz: float  # reached
    lut: int
    ff: int
    bram: int  # blocks of 18 kbit
    dsp: int  # multipliers
    available: dict[str, int]  # lut, ff, bram, dsp of the whole device
    seconds: dict[str, float]  # per step, when it last ran


@dataclass(frozen=True)
class Step:
    """A step that is done: its folder, a digest of all that went into it, and how long it took."""

    folder: Path
    key: str
    seconds: float


@dataclass(frozen=True)
class Flow:
    """One design on its way. Tools run in the folder above `rtl` and `out` with paths relative to it.

    (The tools of the wheels are WebAssembly and see little else.) Raises UsageError when `rtl` holds no design.
    """

    rtl: Path  # as emitted; absolute, as is `out`
    target: Target
    out: Path
    progress: Progress

    def __post_init__(self) -> None:
        if not (self.rtl / f"{DESIGN}.sv").is_file():
            raise UsageError(f"{self.rtl / DESIGN}.sv: not there; run `framegate compile` first")

    @property
    def design(self) -> list[Path]:
        """The design's sources and memory images."""
        return sorted([*self.rtl.glob("*.sv"), *self.rtl.glob("*.hex")])

    def step(
        self, name: str, tool: str, reads: Iterable[Path | str], produce: Callable[[Path], None]
    ) -> Step:
        """Make the folder `out`/`name` by `produce`, whole, unless it was made from the same: see `Steps.run`."""
        folder = self.out / name

        def make() -> None:
            with whole(folder) as draft:
                draft.mkdir(parents=True)
                produce(draft)

        done = Steps(self.out, self.progress).run(name, reads, [folder], make, CODE, tool)
        return Step(folder, done.key, done.seconds)

    def elaborate(
        self, others: Iterable[Path] = (), top: str = DESIGN, parameters: Mapping[str, object] | None = None
    ) -> list[str]:
        """The Yosys commands that read the design, and `others` beside it or in its place, with `top` on top."""
        named = {path.name: path for path in [*self.design, *others] if path.suffix == ".sv"}
        settings = "".join(f" -chparam {name} {value}" for name, value in (parameters or {}).items())
        return [
            # Deferred: a kernel exists only with its instances' parameters, among them its memory images.
            f"read_verilog -sv -defer {self.names(named.values())}",
            f"hierarchy -top {top}{settings}",
            # That a word is not wanted while it is written is found module by module: in the whole design it takes
            # more logic than that search looks at.
            *("proc", "opt -fast", "memory_dff"),
        ]

    def yosys(self, yosys: Tool, log: Path, commands: Iterable[str], *, quiet: bool = False) -> None:
        """Run Yosys, `quiet` with warnings and errors only. Raises FramegateError, quoting it, when it fails."""
        arguments = [part for command in commands for part in ("-p", command)]
        if self.run(yosys, ["-q", *arguments] if quiet else arguments, log):
            raise FramegateError(last_error("yosys", log))

    def run(self, tool: Tool, arguments: list[str], log: Path) -> int:
        """Run `tool` with its output in `log`; return its exit status. It ends when we are interrupted.

        Raises FramegateError when something else ended it, as the system does when memory runs out.
        """
        log.unlink(missing_ok=True)
        status = tools.run([*tool.command, *arguments], self._root(), tool.environ(), log)
        if status < 0:
            raise FramegateError(
                f"{tool.name}: ended by signal {-status}; is there enough memory? (log: {log})"
            )
        return status

    def name(self, path: Path) -> str:
        """The path as the tools see it."""
        return os.path.relpath(path, self._root())

    def names(self, paths: Iterable[Path]) -> str:
        """The paths as Yosys reads them in a command."""
        return " ".join(f'"{self.name(path)}"' for path in paths)

    def _root(self) -> Path:
        return Path(os.path.commonpath([self.rtl, self.out]))


def own_multiplier(family: str, folder: Path) -> Path:
    """A family's multiplier in `folder`, under the name of the file that it replaces."""
    return Path(shutil.copy(MULTIPLIERS[family], folder / "fg_multiplier.sv"))


def last_error(tool: str, log: Path) -> str:
    """The last error in a tool's `log`, in a sentence."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line] or lines or ["no output"]
    return f"{tool} failed: {errors[-1].strip()} (all of it: {log})"
