# SPDX-License-Identifier: Apache-2.0
"""What is not as `compile` wrote it is told by every command that reads a build, and `compile` mends it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.hls.build.compiler import edits
from framegate.rtl_sim.bench.simulator import Simulator

from tests import networks

WARNING = "not what `framegate compile` wrote: "


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, compiled once."""
    folder = tmp_path_factory.mktemp("compiled")
    networks.small(folder / "checkpoint.pt")
    networks.compiled("small", "20000", tmp_path_factory, folder / "build")
    return folder


@pytest.fixture
def build(compiled: Path, tmp_path: Path) -> Path:
    """A copy of it, which is as good as the original."""
    shutil.copytree(compiled / "build", tmp_path / "build")
    assert edits(tmp_path / "build") == []
    return tmp_path / "build"


def damage(build: Path) -> None:
    """An image under another name, an edited module, a missing and an additional file."""
    rtl = build / "rtl"
    (rtl / "framegate_stem_weights0.hex").rename(rtl / "renamed.hex")
    (rtl / "fg_window.sv").write_text((rtl / "fg_window.sv").read_text() + "\n// mutant\n")


TOLD = (
    "rtl/fg_window.sv changed, rtl/framegate_stem_weights0.hex missing, rtl/renamed.hex extra; "
    "run `framegate compile` again"
)


def test_simulate_runs_it_and_marks_it(framegate: Callable, build: Path, rapid: Simulator) -> None:
    run = ("simulate", build, "--limit", 1, "--simulator", rapid, "--json")
    first = framegate(*run)
    assert first.code == 0
    assert (first.json["edits"], first.json["bit_exact"]) == ([], True)
    damage(build)
    edited = framegate(*run)
    assert edited.code == 1, "the image that is gone is not taken from the simulation before"
    assert WARNING + TOLD in edited.err
    assert edited.json["edits"] == edits(build)
    assert json.loads((build / "verdict.json").read_text())["edits"] == edits(build)
    page = framegate("report", build)
    assert WARNING in page.err
    assert (build / "report.html").read_text().count("rtl/fg_window.sv changed") == 2, (
        "now, and when simulated"
    )


def test_the_other_commands_tell_it(
    framegate: Callable, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(build)
    flow = build / "flow" / "ulx3s-85f"
    flow.mkdir(parents=True)
    (flow / "utilization.json").write_text(json.dumps({"lut": 1, "ff": 1, "bram": 1, "dsp": 1}))
    monkeypatch.setenv("PATH", "")
    for command in (
        ("bitstream", build, "--target", "kv260"),
        ("report", build),
        (
            "explore",
            build / "checkpoint.pt",
            "--build",
            build.parent / "explore",
            "--points",
            2,
            "--measured",
            build,
        ),
    ):
        assert WARNING + TOLD in framegate(*command).err, command[0]


def test_compile_mends_it(framegate: Callable, compiled: Path, build: Path) -> None:
    damage(build)
    source = (compiled / "checkpoint.pt", "--build", build, "--rate", "20000")
    mended = framegate("compile", *source)
    assert "lower: unchanged, kept" in mended.err
    assert "compile …" in mended.err
    assert edits(build) == []
    assert mended.out.splitlines()[-1] == f"wrote {build / 'rtl'}"
    assert "compile: unchanged, kept" in framegate("compile", *source).err


def test_a_copied_build_prints_where_it_is_now(framegate: Callable, compiled: Path, build: Path) -> None:
    kept = framegate("compile", compiled / "checkpoint.pt", "--build", build, "--rate", "20000", "--json")
    assert kept.err.count("unchanged, kept") == 3
    assert kept.json["rtl"] == str(build / "rtl")


@pytest.mark.parametrize(
    "content", ["[]", "{}", "null", "1", '"x"', '{"kernels": 1, "clips": 1, "model": []}']
)
@pytest.mark.parametrize(
    "name", ["compile.json", "latency.json", "dataflow.json", "verdict.json", "threshold.json"]
)
def test_json_of_another_shape_is_named(
    framegate: Callable, compiled: Path, build: Path, name: str, content: str
) -> None:
    file = build.parent / name if name == "threshold.json" else build / name
    file.write_text(content)
    read = {
        "latency.json": ("report", build),
        "verdict.json": ("report", build),
        "threshold.json": ("compile", compiled / "checkpoint.pt", "--build", build, "--threshold", file),
    }
    result = framegate(*read.get(name, ("simulate", build, "--clips", build)))
    assert result.code == 2
    assert f"framegate: {file}" in result.err
    assert "run `framegate" in result.err or "`framegate evaluate" in result.err
