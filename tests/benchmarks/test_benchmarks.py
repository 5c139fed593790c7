# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run on little work and print ratios; their figures are for a quiet machine to tell."""

import json
from pathlib import Path

import numpy as np
import pytest
from framegate.benchmarks import area, chain, full_size, latency, results, zoo
from framegate.benchmarks.peers import software
from framegate.errors import UsageError
from framegate.files import write_json
from framegate.hls.build.compiler import CompileReport
from framegate.hls.build.files import REPORT
from framegate.hls.targets import load_target
from framegate.quant.clips.video import Clip

from tests.dataflows import two_rates
from tests.networks import compiled, small

pytestmark = pytest.mark.usefixtures("one_export")


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """Of a network with which every benchmark ends soon."""
    return str(small(tmp_path / "small.pt"))


def test_reference_against_brevitas_and_qonnx(
    checkpoint: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = compiled("small", "20000", tmp_path_factory, tmp_path / "build")
    rows = software.measure(checkpoint, 2, build, lambda _: None)
    assert [row["peer"] for row in rows] == ["Brevitas, eval mode", "QONNX, execute_onnx"]
    for row in rows:
        assert row["speed_ratio"] == pytest.approx(row["clips_per_second"] / row["peer_clips_per_second"])


def test_latency_is_of_every_beat(
    checkpoint: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    compiled("small", "20000", tmp_path_factory, tmp_path / "small-20000")  # where it will find its export
    (row,) = latency.measure([checkpoint], ["20000"], "ulx3s-85f", tmp_path, lambda _: None)
    assert row["latency_error"] == row["jitter"] == row["mismatches"] == 0
    assert row["first_late_beat"] is None
    assert row["values"] > 100_000, "every stream is compared"
    assert row["floor_cycles"] <= row["initiation_interval"]


def test_chain_measures_from_nothing(checkpoint: str, tmp_path: Path) -> None:
    rows = chain.measure(checkpoint, tmp_path / "build", lambda _: None, "20000")
    assert [row["work"] for row in rows] == [
        "synthetic shop, mp4 files",
        "QONNX to RTL",
        "RTL simulation of one clip, with the build",
    ]
    assert all(row["seconds"] > 0.1 for row in rows[1:]), "a kept step measures nothing"


def test_area_needs_a_bitstream(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run `framegate compile` first"):
        area.measure(tmp_path, lambda _: None)


def test_area_is_of_the_bitstream_or_of_synthesis(tmp_path: Path) -> None:
    estimated = {"lut": 120, "ff": 50, "bram": 0, "dsp": 6}
    numbers = dict.fromkeys(
        (
            "initiation_interval",
            "latency_cycles",
            "decision_delay_cycles",
            "frames_per_second",
            "clips_per_second",
        ),
        1,
    )
    times = {"latency_ms": 1, "decision_delay_ms": 1}
    report = CompileReport(
        "some", "ulx3s-85f", 50, mac_utilization=1, rtl="rtl", **numbers, **times, **estimated
    )
    write_json(tmp_path / REPORT, vars(report))
    with pytest.raises(
        UsageError, match=r"utilization\.json: not there; run .*--target ulx3s-85f.*--synthesis-only$"
    ):
        area.measure(tmp_path, lambda _: None)
    counted = {"lut": 100, "ff": 100, "bram": 0, "dsp": 6}
    write_json(tmp_path / "flow" / "ulx3s-85f" / "utilization.json", counted)
    rows = area.measure(tmp_path, lambda _: None)
    assert [(row["peer"], row["work"], row["ratio"]) for row in rows] == [
        ("Yosys", "some: lut", 1.2),
        ("Yosys", "some: ff", 0.5),
        ("Yosys", "some: dsp", 1.0),
    ]
    write_json(tmp_path / "flow" / "ulx3s-85f" / "report.json", {**counted, "lut": 240})
    assert next((row["peer"], row["ratio"]) for row in area.measure(tmp_path, lambda _: None)) == (
        "nextpnr",
        0.5,
    )


def test_figures_are_kept_with_machine_and_date(tmp_path: Path) -> None:
    kept = results.keep("some", [{"speed_ratio": 2.0}], tmp_path)
    assert json.loads(Path(kept["path"]).read_text())["machine"]["cores"] >= 1


@pytest.mark.slow  # trained, compiled and simulated on their own elsewhere
def test_the_zoo_from_training_to_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"name": "tsn-lite", "frames": 4, "size": 16, "widths": (8, 8, 16), "strides": (2, 2, 2)}
    monkeypatch.setitem(zoo.ZOO, "small", zoo.Entry(shape))
    once = {"float_epochs": 1, "quantized_epochs": 1, "batch": 8, "threads": 1}
    effort = zoo.Effort(
        training_clips=10,
        test_clips=2,
        simulated_clips=1,
        frames_per_second=20_000,
        recipe=once,
        synthesize=False,
    )
    (row,) = zoo.measure(tmp_path, lambda _: None, names=("small",), effort=effort)
    assert row["bit_exact"] is True
    assert (row["latency_error"], row["jitter"]) == (0, 0)
    assert row["latency_cycles"] > 4 * 16 * 16
    assert 0 <= row["top1"] <= 1
    assert 0 <= row["top1_order_only"] <= 1
    assert row["lut"] > row["dsp"] > 0
    assert row["kv260_lut"] > 0
    again = zoo.measure(tmp_path, lambda _: None, names=("small",), effort=effort)
    assert again == [row]  # nothing is made twice


def test_only_networks_of_the_zoo(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^network 'vgg' is not in the zoo; choose of tsn-lite, "):
        zoo.measure(tmp_path, lambda _: None, names=("vgg",))
    with pytest.raises(
        UsageError, match=r"^network 'vgg' has no full size here; choose of tsm-mobilenetv2-full, "
    ):
        full_size.measure(tmp_path, lambda _: None, names=("vgg",))


def test_accuracy_between_the_two_that_differ_in_order() -> None:
    classes = ("conceal", "put_back", "take")
    clips = [Clip(Path(name), (name,), name) for name in ("take", "put_back", "take", "conceal")]
    logits = np.array([[9, 1, 2], [0, 1, 2], [0, 3, 2], [1, 0, 0]])
    found = zoo._accuracy(logits, classes, clips)
    assert found == {"top1": 0.25, "top1_order_only": pytest.approx(1 / 3)}


def test_a_prediction_is_of_the_fastest_whose_logic_fits(tmp_path: Path) -> None:
    dataflow, target = two_rates(size=32), load_target("kv260")
    found = full_size._prediction(dataflow, target, macs=10**6, build=tmp_path)
    assert found["roofline_ms"] == pytest.approx(1e6 / (target.dsp * 200e3))
    assert found["bram"] <= found["bram_of"]
    assert (tmp_path / "kv260" / "rtl" / "framegate.sv").is_file()
    tight = full_size._prediction(dataflow, target.model_copy(update={"bram": 1, "uram": 0}), 10**6, tmp_path)
    assert tight["rtl"] is None
    assert tight["initiation_interval"] == found["initiation_interval"]


@pytest.mark.slow
def test_the_full_size_of_mobilenetv2_compiles(tmp_path: Path) -> None:
    (row,) = full_size.measure(tmp_path, lambda _: None, names=("tsm-mobilenetv2-full",), targets=("zcu102",))
    assert row["seconds"] < 300
    assert row["peak_gb"] < 16
    assert (tmp_path / row["rtl"] / "framegate.sv").is_file()
