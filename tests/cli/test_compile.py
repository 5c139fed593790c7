# SPDX-License-Identifier: Apache-2.0
"""`framegate compile`: what it writes, keeps and refuses."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.networks import compiled


def test_writes_a_whole_build_and_keeps_it_when_nothing_changed(framegate: Callable, tmp_path: Path) -> None:
    first = framegate("compile", "tsm-lite", "--build", tmp_path, "--json")
    assert first.code == 0
    assert first.json["initiation_interval"] <= 41_666, "1200 frames/s at 50 MHz"
    assert first.json["mac_utilization"] > 0.9
    for name in ("model.qonnx.onnx", "hardware.onnx", "dataflow.json", "latency.json", "rtl/framegate.sv"):
        assert (tmp_path / name).is_file(), name
    again = framegate("compile", "tsm-lite", "--build", tmp_path, "--json")
    assert again.json == first.json
    assert again.err.count("unchanged, kept") == 3
    onnx_file = tmp_path / "model.qonnx.onnx"
    other = framegate("compile", onnx_file, "--build", tmp_path / "other", "--rate", "500", "--json")
    assert other.json["dsp"] < first.json["dsp"], "half the rate takes fewer multipliers"


def test_an_interrupted_step_is_made_again(
    framegate: Callable, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = compiled("tsm-lite", "1200", tmp_path_factory, tmp_path / "build")
    (build / "rtl" / "framegate.sv").unlink()
    (build / "rtl").rename(build / "gone")
    again = framegate("compile", "tsm-lite", "--build", build)
    assert "compile …" in again.err
    assert (build / "rtl" / "framegate.sv").is_file()
    assert not list(build.glob(".*.part*"))


def _cosine_network(target: Path) -> Path:
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [2, 3, 8, 8])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2, 3, 8, 8])
    node = helper.make_node("Cos", ["pixels"], ["scores"], name="squash")
    onnx.save(helper.make_model(helper.make_graph([node], "foreign", [pixels], [scores])), target)
    return target


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent.onnx"], "absent.onnx: not there; give a QONNX file"),
        (["tsm-huge"], "model 'tsm-huge' does not come with framegate"),
        (["tsm-lite", "--target", "arty"], "target 'arty': unknown; choose one of"),
        (
            ["tsm-lite", "--rate", "fast"],
            '--rate fast: give frames per second, above 0 and up to 1e+09, or "max"',
        ),
        (["tsm-lite", "--rate", "1e9"], "the rate leaves 0; ask for at most"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_code_2(
    framegate: Callable, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    result = framegate("compile", *arguments, "--build", tmp_path / "build")
    assert result.code == 2
    assert sentence in result.err
    assert "Traceback" not in result.err


def test_an_unsupported_layer_is_named_with_its_place(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("compile", _cosine_network(tmp_path / "foreign.onnx"), "--build", tmp_path / "build")
    assert result.code == 2
    assert "unsupported layer: Cos 'squash'" in result.err
