# SPDX-License-Identifier: Apache-2.0
"""`framegate bench`: what a measurement keeps."""

import json
from collections.abc import Callable
from pathlib import Path

import torch

from tests.cli.conftest import Result
from tests.networks import small


def test_the_command_keeps_device_and_rows(framegate: Callable[..., Result], tmp_path: Path) -> None:
    counts = ("--runs", 10, "--seconds", 0.01, "--largest-batch", 4, "--no-compiled", "--precisions", "fp32")
    checkpoint = small(tmp_path / "small.pt")
    result = framegate(
        "bench", "gpu", "--device", "cpu", "--only", checkpoint, *counts, "--keep", tmp_path, "--json"
    )
    assert result.code == 0, result.err
    kept = json.loads((tmp_path / "gpu-cpu.json").read_text())
    assert kept["rows"] == result.json["rows"]
    assert kept["machine"]["device"].startswith("CPU, ")
    assert kept["machine"]["torch"] == torch.__version__
