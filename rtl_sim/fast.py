# SPDX-License-Identifier: Apache-2.0
"""The bench as one program: Verilator with the clock of harness/main.cpp, for long runs."""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from framegate.rtl_sim import plain_names

VERILATOR = ("-Wno-fatal", "-O3", "-CFLAGS", "-O1")


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
    log.unlink(missing_ok=True)
    if status := plain_names.run(command, work, os.environ, log):
        raise RuntimeError(f"{Path(command[0]).name} ended with {status}")
