# SPDX-License-Identifier: Apache-2.0
"""The processes of a cross-validation."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = """
import os, sys, time
from pathlib import Path
from framegate.quant.training.crossval import workers

def fold(file):
    Path(file).write_text(str(os.getpid()))
    time.sleep(120)

if __name__ == "__main__":
    with workers(1) as pool:
        pool.submit(fold, sys.argv[1]).result()
"""


@pytest.mark.slow  # two processes import torch; what tools start is tried in tests/hls/test_tools.py
def test_workers_end_when_the_command_is_killed(tmp_path: Path) -> None:
    script, noted = tmp_path / "command.py", tmp_path / "pid"
    script.write_text(COMMAND)
    command = subprocess.Popen([sys.executable, script, noted])
    wait_for(lambda: noted.is_file() and noted.read_text() != "", 60)
    worker = int(noted.read_text())
    assert alive(worker)
    command.kill()
    command.wait()
    wait_for(lambda: not alive(worker), 10)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing happened in time"
        time.sleep(0.1)
