# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run on little work and print ratios; their figures are for a quiet machine to tell."""

import json
from pathlib import Path

import pytest
from framegate.benchmarks import area, chain, reference, results
from framegate.errors import UsageError
from framegate.files import write_json
from framegate.hls.compiler import REPORT, CompileReport


def test_reference_against_brevitas(tmp_path: Path) -> None:
    (row,) = reference.measure("tsm-lite", 2, tmp_path, lambda _: None)
    assert row["speed_ratio"] == pytest.approx(row["clips_per_second"] / row["peer_clips_per_second"])


def test_chain_measures_from_nothing(tmp_path: Path) -> None:
    rows = chain.measure("tsm-lite", tmp_path / "build", lambda _: None)
    assert [row["work"] for row in rows] == [
        "synthetic shop, mp4 files",
        "QONNX to RTL",
        "RTL simulation of one clip, with the build",
    ]
    assert all(row["seconds"] > 0.1 for row in rows[1:]), "a kept step measures nothing"


def test_area_needs_a_bitstream(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run `framegate compile` first"):
        area.measure(tmp_path)


def test_area_is_of_the_bitstream_or_of_synthesis(tmp_path: Path) -> None:
    estimated = {"lut": 120, "ff": 50, "bram": 0, "dsp": 6}
    numbers = dict.fromkeys(
        ("initiation_interval", "latency_cycles", "frames_per_second", "clips_per_second"), 1
    )
    report = CompileReport(
        "some", "ulx3s-85f", 50, latency_ms=1, mac_utilization=1, rtl="rtl", **numbers, **estimated
    )
    write_json(tmp_path / REPORT, vars(report))
    with pytest.raises(
        UsageError, match=r"utilization\.json: not there; run .*--target ulx3s-85f.*--synthesis-only$"
    ):
        area.measure(tmp_path)
    counted = {"lut": 100, "ff": 100, "bram": 0, "dsp": 6}
    write_json(tmp_path / "flow" / "ulx3s-85f" / "utilization.json", counted)
    rows = area.measure(tmp_path)
    assert [(row["peer"], row["work"], row["ratio"]) for row in rows] == [
        ("Yosys", "some: lut", 1.2),
        ("Yosys", "some: ff", 0.5),
        ("Yosys", "some: dsp", 1.0),
    ]
    write_json(tmp_path / "flow" / "ulx3s-85f" / "report.json", {**counted, "lut": 240})
    assert next((row["peer"], row["ratio"]) for row in area.measure(tmp_path)) == ("nextpnr", 0.5)


def test_figures_are_kept_with_machine_and_date(tmp_path: Path) -> None:
    kept = results.keep("some", [{"speed_ratio": 2.0}], tmp_path)
    assert json.loads(Path(kept["path"]).read_text())["machine"]["cores"] >= 1
