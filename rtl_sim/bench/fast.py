# SPDX-License-Identifier: Apache-2.0
"""The bench as one program without cocotb: Verilator with the clock of harness/main.cpp, for long runs, and Icarus.

Icarus alone is for small benches: it compiles in a tenth of a second, where cocotb takes half a second to start.
"""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from framegate.rtl_sim.bench import plain_names

PROGRAM = "Vbench"  # of Verilator, in the folder of a build
_VVP = "bench.vvp"
_VERILATOR = (
    *("--x-assign", "unique", "--x-initial", "unique"),  # what is unknown is random, by `random_start`
    *("-Wno-fatal", "-O3"),
)
_MANY = 1_000_000  # cycles from which it is worth it that the compiler optimizes, in four times the time
# Of a program in parts a machine with more cores compiles some at once, but each part reads its headers anew.
_PARTS = ("--output-split", "60000", "--output-split-cfuncs", "20000")


def verilator_arguments(cycles: int) -> tuple[str, ...]:
    """Of a program that will run for so many cycles."""
    return (*_VERILATOR, *(_PARTS if cycles >= _MANY else ("--output-split", "0")))


def make_flags(cycles: int) -> str:
    """As `verilator_arguments`, for make. Verilator's own runtime is always optimized: it is compiled once."""
    return f"-j{os.cpu_count()} OPT_GLOBAL=-O1 OPT_FAST={'-O1' if cycles >= _MANY else '-O0'}"


def random_start(seed: int) -> list[str]:
    """Arguments of a program that Verilator made: registers, and words that are not there, start at random."""
    return ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]


def build(simulator: str, sources: Sequence[Path], folder: Path, log: Path, cycles: int) -> None:
    """Compile `sources`, of which `bench` is the top, into a program in `folder` that will run for so many cycles.

    Raises RuntimeError when that fails.
    """
    folder = folder.resolve()  # tools run where the log is
    if simulator == "icarus-fast":
        folder.mkdir(exist_ok=True)
        options = folder / "options.f"
        options.write_text("+timescale+1ns/1ns\n")
        arguments = ["iverilog", "-g2012", "-s", "bench", "-f", str(options), "-o", str(folder / _VVP)]
    else:
        sources = [*sources, Path(str(files("framegate.rtl_sim.bench").joinpath("harness/main.cpp")))]
        arguments = ["verilator", "--cc", "--exe", "--build", "--no-timing", *verilator_arguments(cycles)]
        arguments += ["--top-module", "bench", "--Mdir", str(folder)]
    _run([*arguments, *(str(path.resolve()) for path in sources)], log.parent, log)


def run(simulator: str, folder: Path, work: Path, limit: int, linger: int, log: Path, seed: int) -> None:
    """Run the program in `work`, where its words are and its records go, from a state that `seed` tells.

    Raises RuntimeError when beats are missing after `limit` cycles or a check inside the bench fails.
    """
    if simulator == "icarus-fast":  # starts from x
        command = ["vvp", "-n", str((folder / _VVP).resolve()), f"+limit={limit}", f"+linger={linger}"]
    else:
        command = [str((folder / PROGRAM).resolve()), str(limit), str(linger), *random_start(seed)]
    _run(command, work, log)


def _run(command: list[str], work: Path, log: Path) -> None:
    log.unlink(missing_ok=True)
    if status := plain_names.run(command, work, os.environ, log):
        raise RuntimeError(f"{Path(command[0]).name} ended with {status}")
