# SPDX-License-Identifier: Apache-2.0
"""QONNX files from elsewhere, by the commands alone: compiled, simulated, equal in every value and on time."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnx
import pytest
from framegate.rtl_sim.bench.simulator import Simulator

from tests import foreign
from tests.cli.conftest import Result
from tests.slow import slow_if

FILES: dict[str, Callable[[Path], Path]] = {
    "cnv_2w2a": foreign.cnv_2w2a,
    "tfc_2w2a": foreign.tfc_2w2a,
    "mobilenet_4b": foreign.mobilenet_4b,
    "mlp": foreign.mlp,
    "conv3d": foreign.conv3d,
    "conv3d-fixed-point": partial(foreign.conv3d, fixed_point=True),
}


LARGE = ("cnv_2w2a", "mobilenet_4b", "conv3d")  # a minute each; a small one of each kind is left

# Frames per second: the more, the fewer cycles are simulated.
RATES = {"conv3d": 50_000, "conv3d-fixed-point": 50_000, "tfc_2w2a": 8000}


@pytest.mark.parametrize("name", slow_if(LARGE.__contains__, FILES))
def test_from_file_to_hardware(
    name: str, tmp_path: Path, rapid: Simulator, framegate: Callable[..., Result]
) -> None:
    file, build = FILES[name](tmp_path / "model.onnx"), tmp_path / "build"
    assert all(node.op_type != "FrameGather" for node in onnx.load(file).graph.node)
    stream = ["--stream"] if name == "mlp" else []  # it has a score per frame
    rate = RATES.get(name, 2000)
    options = ["--build", build, "--pixel-scale", "1/255", "--rate", rate, *stream]
    assert framegate("compile", file, *options).code == 0
    judged = framegate("simulate", build, "--limit", 2, "--simulator", rapid, "--probe", "--json").json
    assert judged["bit_exact"]
    assert judged["error"] is None
    assert judged["latency_cycles"]["jitter"] == 0
    rungs = {rung["rung"]: rung for rung in judged["ladder"]}
    assert rungs["finn"]["mismatches"] == rungs["rtl"]["mismatches"] == 0
    assert rungs["rtl"]["values"] > 1000  # every stream inside was compared


def test_a_score_per_frame_needs_a_stream(tmp_path: Path, framegate: Callable[..., Result]) -> None:
    result = framegate("compile", foreign.mlp(tmp_path / "mlp.onnx"), "--build", tmp_path / "build")
    assert result.code == 2
    assert "gives a score for each of 4 frames; compile it with --stream" in result.err


def test_only_foreign_files_take_a_pixel_scale(tmp_path: Path, framegate: Callable[..., Result]) -> None:
    result = framegate("compile", "tsm-lite", "--build", tmp_path, "--pixel-scale", "1/255")
    assert result.code == 2
    assert "is of QONNX files from elsewhere" in result.err


@pytest.mark.parametrize("scale", ["0", "-1", "1/0", "a third"])
def test_a_pixel_scale_is_a_number_above_zero(
    scale: str, tmp_path: Path, framegate: Callable[..., Result]
) -> None:
    result = framegate("compile", "x.onnx", "--build", tmp_path, f"--pixel-scale={scale}")
    assert result.code == 2
    assert "give a number from 1e-09 to 1e+09, such as 1/255" in result.err


def test_the_users_file_is_named_and_nothing_is_built(
    tmp_path: Path, framegate: Callable[..., Result]
) -> None:
    file, build = foreign.mlp(tmp_path / "mlp.onnx"), tmp_path / "build"
    model = onnx.load(file)
    model.graph.node.append(model.graph.node[-1])
    onnx.save(model, file)
    result = framegate("compile", file, "--build", build)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(f"framegate: {file}: ")
    assert not list(build.glob("*.onnx"))
