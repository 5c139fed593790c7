# SPDX-License-Identifier: Apache-2.0
"""The bench as one program: Verilator with the clock of harness/main.cpp, for long runs."""

import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

# What is not split is compiled without precompiled headers, which take longer than the rest of a small network.
_SPLIT = ("--output-split", "60000", "--output-split-cfuncs", "20000")
VERILATOR = ("-Wno-fatal", "-Wno-lint", "-O3", "-CFLAGS", "-O1", *_SPLIT)


def build(sources: Sequence[Path], folder: Path, log: Path) -> None:
    """Compile `sources`, of which `bench` is the top, into a program in `folder`.

    Raises RuntimeError when that fails.
    """
    main = Path(str(files("framegate.rtl_sim").joinpath("harness/main.cpp")))
    command = ["verilator", "--cc", "--exe", "--build", "--no-timing", *VERILATOR, "--top-module", "bench"]
    paths = [str(path.resolve()) for path in (*sources, main)]
    _run([*command, "--Mdir", str(folder.resolve()), *paths], log.parent, log)


def run(folder: Path, work: Path, limit: int, linger: int, log: Path) -> None:
    """Run the program in `work`, where its words are and its records go.

    Raises RuntimeError when beats are missing after `limit` cycles or a check inside the bench fails.
    """
    _run([str((folder / "Vbench").resolve()), str(limit), str(linger)], work, log)


def _run(command: list[str], work: Path, log: Path) -> None:
    with log.open("w") as output:
        done = subprocess.run(command, cwd=work, stdout=output, stderr=output, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}")
