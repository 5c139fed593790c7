# SPDX-License-Identifier: Apache-2.0
"""`framegate demo`: the whole chain on the built-in network."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.networks import compiled, small

REAL = Path(__file__).parents[3] / "shared" / "data" / "retail"


@pytest.mark.slow  # the small version is of a small network, below
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
        "images",
        "rtl decide",
        "rtl stalled",
        "rtl",
    ]
    assert found["metrics"]["accuracy"] >= 0.85, "clips that the network never saw"
    assert Path(found["report"]).is_file()
    assert found["bitstream"] is None


def test_synthetic_clips_for_a_network_of_other_classes(framegate: Callable, tmp_path: Path) -> None:
    classes = ("theft", "smoke", "fight")
    model = small(tmp_path / "model.pt", classes=classes, labels="independent", positive="theft")
    options = ("--model", model, "--rate", "20000", "--build", tmp_path / "build")
    result = framegate("demo", *options, "--no-bitstream", "--json")
    assert result.code == 0
    assert result.json["bit_exact"]
    assert result.json["metrics"] is None, "the clips' actions are none of its classes"


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real clips in ../shared/data/retail")
def test_the_detector_on_real_clips(framegate: Callable, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    rows = ["path,label"]
    for label, name in enumerate(("normal", "shoplifting")):
        for file in sorted((REAL / name).iterdir())[:8]:
            (tmp_path / "clips" / file.name).symlink_to(file)
            rows.append(f"{file.name},{label}")
    (tmp_path / "clips" / "clips.csv").write_text("\n".join(rows) + "\n")
    options = ("--model", "shoplifting", "--clips", tmp_path / "clips", "--build", tmp_path / "build")
    result = framegate("demo", *options, "--no-bitstream", "--json")
    assert result.code == 0
    times = result.json["latency_cycles"]
    assert times["predicted"] == times["measured"]
    assert times["jitter"] == 0
    ladder = result.json["ladder"]
    assert all(rung["mismatches"] == 0 for rung in ladder if rung["compares"] == "integers")
    assert result.json["metrics"]["auc"] >= 0.8, "it has seen these very clips"
    verdict = json.loads((tmp_path / "build" / "verdict.json").read_text())
    assert {clip["label"] for clip in verdict["clips"]} == {"normal", "shoplifting"}


@pytest.mark.slow
def test_with_the_bitstream(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("demo", "--build", tmp_path, "--json")
    assert result.code == 0
    flow = result.json["bitstream"]
    assert Path(flow["path"]).stat().st_size > 100_000
    assert flow["fmax_mhz"] >= 50


def test_a_missing_compiler_is_said_by_name(
    framegate: Callable,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = compiled("tsm-lite", "1200", tmp_path_factory, tmp_path / "build")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("make", "perl"):
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tools))
    result = framegate("simulate", build, "--limit", 1)
    assert result.code == 2
    assert "C++ compiler: neither g++" in result.err
