# SPDX-License-Identifier: Apache-2.0
"""The bench as one program: Verilator with the clock of harness/main.cpp, for long runs."""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from framegate.rtl_sim.bench import plain_names

# What is not split is compiled without precompiled headers, which take longer than the rest of a small network.
_SPLIT = ("--output-split", "60000", "--output-split-cfuncs", "20000")
VERILATOR = (
    *("--x-assign", "unique", "--x-initial", "unique"),  # what is unknown is random, by `random_start`
    *("-Wno-fatal", "-O3", "-CFLAGS", "-O1"),
    *_SPLIT,
)


def random_start(seed: int) -> list[str]:
    """Arguments of a program that Verilator made: registers, and words that are not there, start at random."""
    return ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]


def build(sources: Sequence[Path], folder: Path, log: Path) -> None:
    """Compile `sources`, of which `bench` is the top, into a program in `folder`.

    Raises RuntimeError when that fails.
    """
    main = Path(str(files("framegate.rtl_sim.bench").joinpath("harness/main.cpp")))
    command = ["verilator", "--cc", "--exe", "--build", "--no-timing", *VERILATOR, "--top-module", "bench"]
    paths = [str(path.resolve()) for path in (*sources, main)]
    _run([*command, "--Mdir", str(folder.resolve()), *paths], log.parent, log)


def run(folder: Path, work: Path, limit: int, linger: int, log: Path, seed: int) -> None:
    """Run the program in `work`, where its words are and its records go, from a state that `seed` tells.

    Raises RuntimeError when beats are missing after `limit` cycles or a check inside the bench fails.
    """
    _run([str((folder / "Vbench").resolve()), str(limit), str(linger), *random_start(seed)], work, log)


def _run(command: list[str], work: Path, log: Path) -> None:
    log.unlink(missing_ok=True)
    if status := plain_names.run(command, work, os.environ, log):
        raise RuntimeError(f"{Path(command[0]).name} ended with {status}")
