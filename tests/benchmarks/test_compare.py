# SPDX-License-Identifier: Apache-2.0
"""FPGA designs beside a GPU's figures, on a network small enough to be compiled here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from framegate.benchmarks import compare
from framegate.hls.schedule.schedule import read_times

from tests.networks import small

TIMES = {"p50_ms": 0.2, "p999_ms": 0.5, "clips_per_second": 5000.0, "joules_per_clip": 0.02, "watts": 100.0}
ON_GPU = [
    {"network": "some", "precision": precision, "mode": mode, **TIMES}
    for precision in ("fp32", "fp16")
    for mode in ("eager", "host to host")
]


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    """What `bench gpu` keeps."""
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps({"machine": {"device": "NVIDIA Some"}, "rows": ON_GPU}))
    return file


@pytest.fixture
def some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small checkpoint as the one network that is compared."""
    network = str(small(tmp_path / "small.pt"))
    monkeypatch.setattr(compare, "NETWORKS", {network: compare.Entry("some")})
    return network


def rows(framegate: Callable, some: str, gpu: Path, tmp_path: Path, *options: object) -> list[dict[str, Any]]:
    result = framegate(
        "bench", "compare", "--gpu", gpu, "--only", some, "--folder", tmp_path / "built", "--json", *options
    )
    assert result.code == 0, result.err
    return result.json["rows"]


def test_every_device_has_a_row_and_every_figure_its_tag(
    framegate: Callable, some: str, gpu: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "compare.png"
    found = rows(framegate, some, gpu, tmp_path, "--targets", "ulx3s-85f,kv260", "--plot", plot)
    assert [row["device"] for row in found] == [
        "NVIDIA Some, fp32", "NVIDIA Some, fp16", "ulx3s-85f, 50 MHz", "kv260, 200 MHz",
    ]  # fmt: skip
    on_gpu, _, ulx3s, kv260 = found
    assert on_gpu["tail_ms"] == pytest.approx(0.3)
    assert (on_gpu["tag"], ulx3s["tag"], kv260["tag"]) == ("measured", "computed exactly", "computed exactly")
    assert (ulx3s["tail_ms"], kv260["tail_ms"]) == (0, 0)
    (times,) = tmp_path.glob("built/**/ulx3s-85f/latency.json")
    assert ulx3s["decision_delay_cycles"] == read_times(times).after_last_pixel
    assert ulx3s["decision_delay_ms"] == pytest.approx(ulx3s["decision_delay_cycles"] / 50e3)
    assert ulx3s["joules_tag"] == "upper bound"
    assert ulx3s["joules_per_clip"] == pytest.approx(2.5 / ulx3s["clips_per_second"])
    assert 0 < ulx3s["joules_estimated"] < ulx3s["joules_per_clip"]
    assert ulx3s["estimate"].startswith("estimated: ")
    assert kv260["joules_per_clip"] is None, "nobody says what feeds it"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_report_shows_what_was_compared(framegate: Callable, some: str, gpu: Path, tmp_path: Path) -> None:
    found = rows(framegate, some, gpu, tmp_path, "--targets", "ulx3s-85f", "--keep", tmp_path)
    (build,) = {times.parent for times in tmp_path.glob("built/**/ulx3s-85f/latency.json")}
    told = framegate("report", build, "--comparison", tmp_path / "compare.json")
    assert told.code == 0, told.err
    page = (build / "report.html").read_text()
    assert "Beside other devices" in page
    for row in found:
        assert f"<td>{row['device']}</td>" in page
    assert "data:image/png;base64," in page
    assert framegate("report", build).code == 0
    assert "Beside other devices" not in (build / "report.html").read_text()
    other = framegate("report", build, "--comparison", gpu)
    assert other.code == 2
    assert "gpu.json: not of `framegate bench compare`" in other.err


def test_a_clock_may_be_another(framegate: Callable, some: str, gpu: Path, tmp_path: Path) -> None:
    (*_, row) = rows(framegate, some, gpu, tmp_path, "--targets", "ulx3s-85f", "--clock", "ulx3s-85f=80")
    assert row["device"] == "ulx3s-85f, 80 MHz"
    assert row["decision_delay_ms"] == pytest.approx(row["decision_delay_cycles"] / 80e3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--only", "vgg"), "network 'vgg': not compared here; choose of tsm-lite, "),
        (("--targets", "arty"), "target 'arty': unknown; choose one of"),
        (("--gpu", "absent.json"), "absent.json: not there; run `framegate bench gpu --keep FOLDER`"),
        (("--clock", "fast"), "--clock fast: give a target and MHz from 1 to 1000, as ulx3s-85f=80"),
        (("--clock", "ulx3s-85f=nan"), "--clock ulx3s-85f=nan: give a target and MHz from 1 to 1000"),
        (("--clock", "arty=80"), "target 'arty': unknown; choose one of"),
    ],
)
def test_what_is_not_there_is_named(
    framegate: Callable, tmp_path: Path, options: tuple[str, str], sentence: str
) -> None:
    result = framegate("bench", "compare", "--folder", tmp_path / "built", *options)
    assert result.code == 2
    assert sentence in result.err


def test_a_file_of_something_else_is_refused(framegate: Callable, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"rows": []}))
    result = framegate("bench", "compare", "--gpu", file, "--folder", tmp_path / "built")
    assert result.code == 2
    assert "other.json: not of `framegate bench gpu`" in result.err
