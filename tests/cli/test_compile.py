# SPDX-License-Identifier: Apache-2.0
"""`framegate compile`: what it writes, keeps and refuses."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from framegate.hls.build.compiler import read_report
from framegate.hls.schedule.schedule import read_times
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


def test_the_longest_decision_delay_is_an_option(
    framegate: Callable, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = compiled("small", "20000", tmp_path_factory, tmp_path / "build")
    plain = read_report(build)
    goal = 0.7 * plain.decision_delay_ms
    within = framegate("compile", build / "model.qonnx.onnx", "--build", build, "--latency", goal, "--json")
    assert within.code == 0, within.err
    assert within.json["decision_delay_ms"] <= goal
    assert within.json["decision_delay_cycles"] == read_times(build / "latency.json").after_last_pixel
    options = ("--build", build, "--rate", "20000", "--least-latency")
    least = framegate("compile", build / "model.qonnx.onnx", *options)
    assert "| nothing: the cheapest for the rate " in least.out
    assert read_report(build).decision_delay_ms < goal
    assert least.out.count("\n|") > len(read_report(build).steps) > 2, "a line for each step"
    assert read_report(build).frames_per_second >= 20_000


def test_only_one_way_to_a_short_delay_at_a_time(framegate: Callable, tmp_path: Path) -> None:
    both = framegate("compile", "tsm-lite", "--build", tmp_path, "--latency", 1, "--least-latency")
    assert (both.code, both.err) == (2, "framegate: --latency and --least-latency: give one of them\n")


def test_sources_of_somebody_are_not_replaced(framegate: Callable, tmp_path: Path) -> None:
    mine = tmp_path / "project" / "rtl" / "mine.sv"
    mine.parent.mkdir(parents=True)
    mine.write_text("module mine; endmodule")
    result = framegate("compile", "tsm-lite", "--build", tmp_path / "project")
    assert result.code == 2
    assert result.err.endswith(
        f"framegate: {mine.parent}: is there already, and not from here; move it, or choose another build folder\n"
    )
    assert [path.name for path in mine.parent.iterdir()] == ["mine.sv"]
    assert mine.read_text() == "module mine; endmodule"


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
