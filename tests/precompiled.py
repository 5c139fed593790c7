# SPDX-License-Identifier: Apache-2.0
"""Verilator's own header, compiled ahead: each of some sixty small programs would read it anew, for a second."""

import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from framegate.errors import UsageError
from framegate.hls.tools import Tool, find_compiler, require_simulator

NAME = "verilated_ahead.h"
# As programs are compiled without cocotb and with it. A compiler to which none of them fits reads the plain header.
_OF_ALL = (
    "-O0",
    *(f"-DVM_{name}=0" for name in ("COVERAGE", "SC", "TRACE", "TRACE_FST", "TRACE_VCD", "TRACE_SAIF")),
)
VARIANTS = {"fast": ("-DVM_TIMING=0",), "verilator": ("-DVM_TIMING=1", "-std=c++20")}
# ccache keeps what is compiled with such a header only when told that times of files mean nothing; and it need not
# run the preprocessor, which Verilator's makefiles let write down what was read.
CCACHE = {"CCACHE_SLOPPINESS": "pch_defines,time_macros", "CCACHE_DEPEND": "1"}


def header() -> Path | None:
    """Where the header is or will be, below the user's cache folder; None without Verilator and g++."""
    try:
        compiler, verilator = find_compiler(), require_simulator("verilator")
    except UsageError:
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve()
    if compiler.name != "g++" or " " in str(cache):
        return None
    key = hashlib.sha256(f"{compiler} {_include(verilator)} {_OF_ALL} {VARIANTS}".encode()).hexdigest()[:16]
    return cache / "framegate" / f"verilated-{key}" / NAME


def compile_ahead(target: Path) -> None:
    """Compile the header unless it is there; its folder appears when it is whole."""
    if target.parent.exists():
        return
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    include = _include(require_simulator("verilator"))
    with tempfile.TemporaryDirectory(dir=target.parent.parent, ignore_cleanup_errors=True) as place:
        draft = Path(place, "draft")
        compiled = draft / f"{NAME}.gch"
        compiled.mkdir(parents=True)
        (draft / NAME).write_text('#include "verilated.h"\n')
        for name, options in VARIANTS.items():
            command = ["g++", *_OF_ALL, *options, "-DVERILATOR=1", f"-I{include}", f"-I{include}/vltstd"]
            command += ["-x", "c++-header", str(draft / NAME), "-o", str(compiled / name)]
            if subprocess.run(command, check=False, capture_output=True).returncode:
                return
        with suppress(OSError):  # another run was sooner
            draft.rename(target.parent)


def with_header(flags: str, target: Path | None) -> str:
    """`flags`, arguments of make, with the header for programs that are not optimized, once it is there."""
    if target is None or not target.parent.exists():
        return flags
    return flags.replace("OPT_FAST=-O0", rf"OPT_FAST=-O0\ -include\ {target}")


def _include(verilator: Tool) -> Path:
    command = [*verilator.command, "--getenv", "VERILATOR_ROOT"]
    root = subprocess.run(command, check=True, capture_output=True, text=True, env=verilator.environ())
    return Path(root.stdout.strip(), "include")
