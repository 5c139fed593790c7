# SPDX-License-Identifier: Apache-2.0
"""The commands `bitstream` and `report`: what they read, print and write."""

import json
from pathlib import Path
from typing import Any

import pytest
from framegate.errors import UsageError
from framegate.main import app
from typer.testing import CliRunner

LATENCY: dict[str, Any] = {
    "clock_mhz": 60.0,
    "initiation_interval": 8,
    "latency_cycles": 12,
    "after_last_pixel": 4,
    "latency_ms": 0.0002,
    "frames_per_second": 7.5e6,
    "clips_per_second": 7.5e6,
    "mac_utilization": 1.0,
    "kernels": [],
    "fifos": [],
}
TINY = Path(__file__).parents[1] / "hls" / "flows" / "tiny" / "framegate.sv"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "framegate.sv").write_text(TINY.read_text())
    (tmp_path / "rtl" / "weights.hex").write_text("00001\n" * 1024)
    (tmp_path / "latency.json").write_text(json.dumps(LATENCY))
    return tmp_path


def test_bitstream_then_report(build: Path) -> None:
    done = CliRunner().invoke(app, ["bitstream", str(build), "--json"], catch_exceptions=False)
    flow = json.loads(done.stdout)
    assert {"path", "target", "fmax_mhz", "lut", "ff", "bram", "dsp"} <= flow.keys()
    assert flow["edits"] == ["nothing tells what `framegate compile` wrote here"]
    assert flow["clock_mhz"] == 60, "the clock that the design was compiled for"
    assert Path(flow["path"]).is_file()

    done = CliRunner().invoke(app, ["report", str(build), "--json"], catch_exceptions=False)
    page = Path(json.loads(done.stdout)["report"])
    assert page == build / "report.html"
    assert flow["path"] in page.read_text()


def test_report_prints_where_it_wrote(build: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(build)], catch_exceptions=False)
    assert done.stdout == f"wrote {build / 'report.html'}\n"


def test_synthesis_only_counts(build: Path) -> None:
    arguments = ["bitstream", str(build), "--target", "ulx3s-85f", "--synthesis-only"]
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    counted = json.loads(done.stdout)
    assert {"target", "lut", "ff", "bram", "dsp", "uram", "available", "seconds", "edits"} == counted.keys()
    assert counted["edits"] == ["nothing tells what `framegate compile` wrote here"]
    assert (counted["target"], counted["dsp"], counted["bram"]) == ("ulx3s-85f", 1, 0), (
        "all weights are equal"
    )

    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert f"lut {counted['lut']} of 83,640" in done.stdout


def test_an_amd_bitstream_without_vivado_leaves_the_script(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"^vivado: not found .*--synthesis-only"):
        CliRunner().invoke(app, ["bitstream", str(build), "--target", "kv260"], catch_exceptions=False)
    assert "-period 16.667 " in (build / "flow" / "kv260" / "clock.xdc").read_text(), "60 MHz, as compiled"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "arty"], r"^target 'arty': unknown; choose one of .*ulx3s-85f"),
        ([], r"latency\.json: not there; run `framegate compile` first$"),
    ],
)
def test_bitstream_names_what_is_missing(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(app, ["bitstream", str(tmp_path), *arguments], catch_exceptions=False)
