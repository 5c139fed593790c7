# SPDX-License-Identifier: Apache-2.0
"""`framegate demo`: the whole chain on the built-in network."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def test_everything_but_the_bitstream(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("demo", "--no-bitstream", "--build", tmp_path, "--json")
    assert result.code == 0
    found = result.json
    assert found["bit_exact"]
    assert found["latency_cycles"]["predicted"] == found["latency_cycles"]["measured"]
    assert found["latency_cycles"]["jitter"] == 0
    assert [rung["rung"] for rung in found["ladder"]] == [
        "float",
        "brevitas",
        "qonnx",
        "finn",
        "reference",
        "rtl",
    ]
    assert found["metrics"]["accuracy"] >= 0.85, "clips that the network never saw"
    assert Path(found["report"]).is_file()
    assert found["bitstream"] is None


@pytest.mark.slow
def test_with_the_bitstream(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("demo", "--build", tmp_path, "--json")
    assert result.code == 0
    flow = result.json["bitstream"]
    assert Path(flow["path"]).stat().st_size > 100_000
    assert flow["fmax_mhz"] >= 50


def test_a_missing_compiler_is_said_by_name(
    framegate: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("make", "perl"):
        (tools / name).symlink_to(str(shutil.which(name)))
    assert framegate("compile", "tsm-lite", "--build", tmp_path / "build").code == 0
    monkeypatch.setenv("PATH", str(tools))
    result = framegate("simulate", tmp_path / "build", "--limit", 1)
    assert result.code == 2
    assert "C++ compiler: neither g++" in result.err
