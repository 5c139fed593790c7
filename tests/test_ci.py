# SPDX-License-Identifier: Apache-2.0
"""CI is not green with kernels that nothing simulated."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_pytest_fails_by_name_without_icarus(tmp_path: Path) -> None:
    environment = {**os.environ, "CI": "1", "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/test_ci.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "CI is set and iverilog is not on PATH" in done.stderr
    assert "apt-get install iverilog" in done.stderr


def test_ci_stops_by_name_without_icarus(tmp_path: Path) -> None:
    for tool in ("bash", "dirname", "python3", "cat", "sha256sum", "cut", "mkdir"):
        found = shutil.which(tool)
        assert found, tool
        (tmp_path / tool).symlink_to(found)
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}  # no apt-get either
    done = subprocess.run(
        [ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "iverilog is not on PATH and could not be installed" in done.stderr
