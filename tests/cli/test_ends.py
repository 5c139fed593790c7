# SPDX-License-Identifier: Apache-2.0
"""How a command ends when it is asked to from outside, and for paths that cannot be used."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# The real command line, with a command that does nothing for long.
_WAITING = """
import sys, time
from framegate.main import app, run
@app.command("wait")
def wait(json: bool = False):
    print("on", file=sys.stderr, flush=True)
    time.sleep(90)
run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_one_line_and_the_exit_code_of_shells(number: signal.Signals) -> None:
    words = [sys.executable, "-c", _WAITING, "wait", "--json"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a test run in the background ignores some
    ) as command:  # fmt: skip
        assert command.stderr is not None
        assert command.stdout is not None
        assert command.stderr.readline() == "on\n"
        command.send_signal(number)
        assert command.stderr.read() == "framegate: interrupted\n"
        assert json.loads(command.stdout.read()) == {"error": "interrupted"}
    assert command.returncode == 128 + number


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    """Paths at which nothing can be written or read."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    return {
        "file": tmp_path / "file",
        "below": tmp_path / "file" / "below",
        "long": tmp_path / ("x" * 300),
        "longer": tmp_path / "/".join(["x" * 200] * 30),
        "loop": tmp_path / "loop",
        "device": Path("/dev/null"),
        "below device": Path("/dev/null/x"),
        "full": Path("/dev/full"),
        "proc": Path("/proc/framegate/x"),
    }


COMMANDS = {
    "compile": ("compile", "tsm-lite", "--build", "BAD"),
    "compile of": ("compile", "BAD", "--build", "GOOD"),
    "simulate": ("simulate", "BAD"),
    "bitstream": ("bitstream", "BAD"),
    "count": ("bitstream", "BAD", "--synthesis-only"),
    "report": ("report", "BAD"),
    "explore": ("explore", "tsm-lite", "--build", "BAD"),
    "demo": ("demo", "--build", "BAD", "--no-bitstream"),
    "shop": ("data", "shop", "BAD", "--clips-per-class", "1"),
    "check": ("data", "check", "BAD"),
    "evaluate": ("evaluate", "--clips", "BAD"),
    "evaluate by": ("evaluate", "--clips", "GOOD", "--model", "BAD"),
    "train": ("train", "BAD", "--run", "GOOD"),
    "area": ("bench", "area", "BAD"),
}


@pytest.mark.parametrize(
    "kind", ["file", "below", "long", "longer", "loop", "device", "below device", "full", "proc"]
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_path_that_cannot_be_used_is_one_sentence(
    framegate: Callable, bad: dict[str, Path], tmp_path: Path, command: str, kind: str
) -> None:
    words = {"BAD": str(bad[kind]), "GOOD": str(tmp_path / "folder")}
    result = framegate(*(words.get(word, word) for word in COMMANDS[command]))
    assert result.code == 2, result.err
    sentence = result.err[result.err.index("framegate: ") :]
    assert "; " in sentence, "the remedy"
    assert bad["file"].read_text() == "x"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES])
def test_trouble_of_the_disk_anywhere_is_one_sentence(
    framegate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    monkeypatch.setattr("framegate.quant.clips.layouts.read_splits", fail)
    result = framegate("data", "check", ".")
    assert result.code == 2
    assert result.err.startswith(f"framegate: {tmp_path}/x: {os.strerror(number)}; ")
