# SPDX-License-Identifier: Apache-2.0
"""The ECP5 flow on a stand-in design: a bitstream, reuse, and the sentences for what goes wrong."""

import json
import shutil
from pathlib import Path

import pytest
from framegate.errors import FramegateError, UsageError
from framegate.hls.emission.emit import HASH
from framegate.hls.flows.ecp5 import ecp5
from framegate.hls.flows.ecp5.ecp5 import board_files, build_bitstream
from framegate.hls.flows.flow import Flow, FlowReport, Step
from framegate.hls.targets import load_target
from framegate.hls.tools import Tool

from tests.once import once

# The board with a device of a third of the cells, in the same package, which the tools load and write in half the time;
# with its own it is in tests/cli/test_bitstream_and_report.py.
TARGET = load_target("ulx3s-85f").model_copy(
    update={"device": "25k", "lut": 24_288, "ff": 24_288, "bram": 56, "dsp": 28}
)
TINY = Path(__file__).parent / "tiny"


@pytest.fixture
def rtl(tmp_path: Path) -> Path:
    """BUILD/rtl with the stand-in and its memory."""
    return stand_in(tmp_path)


@pytest.fixture
def built_rtl(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, behind the whole flow, which is run once for all tests."""
    made = once(tmp_path_factory, "ecp5-stand-in", lambda folder: build(stand_in(folder)))
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "rtl"


def stand_in(folder: Path) -> Path:
    shutil.copytree(TINY, folder / "rtl")
    weights = ((i * 2654435761 >> 7) & 0x3FFFF for i in range(1024))
    (folder / "rtl" / "weights.hex").write_text("".join(f"{weight:05x}\n" for weight in weights))
    return folder / "rtl"


def set_parameter(rtl: Path, name: str, value: int) -> None:
    source = rtl / "framegate.sv"
    changed = [
        line.replace("= 1", f"= {value}") if line.startswith(f"    parameter int  {name} ") else line
        for line in source.read_text().splitlines(keepends=True)
    ]
    source.write_text("".join(changed))


def build(
    rtl: Path,
    said: list[str] | None = None,
    clock_mhz: float | None = None,
) -> FlowReport:
    out = rtl.parent / "flow" / TARGET.name
    progress = said.append if said is not None else lambda _: None
    return build_bitstream(rtl, board_files(TARGET), TARGET, out, progress, clock_mhz=clock_mhz)


def test_bitstream_and_report(built_rtl: Path) -> None:
    report = build(built_rtl)
    assert report.path is not None
    assert Path(report.path).stat().st_size > 10_000
    assert report.fmax_mhz >= report.clock_mhz == 50
    assert (report.dsp, report.bram) == (1, 1), "multiplier and memory are inferred"
    assert report.available == {"lut": TARGET.lut, "ff": TARGET.ff, "bram": TARGET.bram, "dsp": TARGET.dsp}
    written = json.loads((built_rtl.parent / "flow" / TARGET.name / "report.json").read_text())
    assert FlowReport(**written) == report


def test_rerun_reuses_every_step(built_rtl: Path) -> None:
    first = build(built_rtl)
    said: list[str] = []
    assert build(built_rtl, said) == first
    assert said == [f"{step}: unchanged, kept" for step in ("synthesis", "routing", "bitstream")]


def test_an_edited_memory_redoes_every_step_and_reaches_the_bitstream(built_rtl: Path) -> None:
    rtl = built_rtl
    before = Path(build(rtl).path or "").read_bytes()
    lines = (rtl / "weights.hex").read_text().splitlines()
    lines[5] = f"{int(lines[5], 16) ^ 1:05x}"
    (rtl / "weights.hex").write_text("\n".join(lines) + "\n")
    said: list[str] = []
    assert Path(build(rtl, said).path or "").read_bytes() != before
    assert not any("kept" in line for line in said)


@pytest.mark.parametrize("known", [True, False])
def test_the_usercode_begins_the_hash_of_the_design(rtl: Path, known: bool) -> None:
    source = rtl / "framegate.sv"
    source.write_text(f"// {HASH if known else ''}1234abcd{'5' * 56}\n{source.read_text()}")
    flow = ecp5._BoardFlow(rtl, TARGET, rtl.parent / "flow", lambda step: None, board_files(TARGET), 50, 1)
    routing = Step(flow.out / "routing", "routed", 0.0)
    routing.folder.mkdir(parents=True)
    (routing.folder / "framegate.config").write_text(".device LFE5U-25F\n")
    bits = (flow.pack(routing).folder / "framegate.bit").read_bytes()
    program_usercode = bytes.fromhex("c2800000")
    assert program_usercode + bytes.fromhex("1234abcd" if known else "00000000") in bits


def test_an_edit_is_synthesized_and_an_interrupted_step_after_it_leaves_nothing(
    built_rtl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rtl, flow = built_rtl, built_rtl.parent / "flow" / TARGET.name
    for folder in ("routing", "bitstream"):
        shutil.rmtree(flow / folder)
    for file in (*flow.glob("*.log"), flow / "report.json"):
        file.unlink()
    set_parameter(rtl, "LANES", 3)
    run = Flow.run

    def run_or_interrupt(flow: Flow, tool: Tool, arguments: list[str], log: Path) -> int:
        if tool.name != "nextpnr-ecp5":
            return run(flow, tool, arguments, log)
        log.write_text("begun")
        raise KeyboardInterrupt

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Flow, "run", run_or_interrupt)
        with pytest.raises(KeyboardInterrupt):
            build(rtl, said)
    assert said[0] != "synthesis: unchanged, kept"
    assert sorted(path.name for path in flow.iterdir()) == [
        ".lock", ".steps.json", "nextpnr.log", "synthesis", "yosys.log",
    ]  # fmt: skip
    said.clear()
    assert build(rtl, said).dsp == 3
    assert said[0] == "synthesis: unchanged, kept"
    assert not any("kept" in line for line in said[1:])


@pytest.mark.slow  # of an emitted design: tests/hls/folding/test_fit.py
def test_too_large_names_what_is_over_and_by_how_much(rtl: Path) -> None:
    set_parameter(rtl, "LANES", 200)
    message = r"^ulx3s-85f: the design does not fit: dsp 200 of 156 \(44 too many\); compile for fewer"
    with pytest.raises(FramegateError, match=message):
        build(rtl)
    assert not (rtl.parent / "flow" / TARGET.name / "report.json").exists()


def test_another_clock_reaches_the_pll_and_too_slow_names_both_clocks_and_leaves_the_numbers(
    rtl: Path,
) -> None:
    message = (
        r"^timing: [\d.]+ MHz reached, 200 MHz wanted \([\d.]+ MHz short, "
        r"from u_design\.\S+ to u_design\.\S+\); compile for a clock of \d+ MHz"
    )
    with pytest.raises(FramegateError, match=message):
        build(rtl, clock_mhz=200)
    flow = rtl.parent / "flow" / TARGET.name
    report = json.loads((flow / "report.json").read_text())
    assert report["path"] is None
    assert report["clock_mhz"] == 200
    assert 50 < report["fmax_mhz"] < 200
    timing = json.loads((flow / "routing" / "timing.json").read_text())
    assert [clock["constraint"] for clock in timing["fmax"].values()] == [pytest.approx(200, abs=0.1)]


@pytest.mark.parametrize("clock_mhz", [33, 52.5, 205])
def test_a_clock_that_the_pll_cannot_make(rtl: Path, clock_mhz: float) -> None:
    with pytest.raises(UsageError, match=rf"^clock of {clock_mhz:g} MHz: .*multiples of 5 from 5 to 200"):
        build(rtl, clock_mhz=clock_mhz)


def test_foreign_ports_are_refused(rtl: Path) -> None:
    source = rtl / "framegate.sv"
    source.write_text(source.read_text().replace("[23:0]             s_axis", "[15:0]             s_axis"))
    with pytest.raises(UsageError, match=r"framegate\.sv: s_axis_tdata must .*, not \[16, 72\] bits; run"):
        build(rtl)


def test_without_rtl_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"framegate\.sv: not there; run `framegate compile` first$"):
        build(tmp_path / "rtl")


def test_a_failing_tool_is_quoted_with_its_log(rtl: Path) -> None:
    (rtl / "broken.sv").write_text("module broken (input clk; endmodule\n")
    with pytest.raises(FramegateError, match=r"^yosys failed: .*broken\.sv:1: ERROR: .*yosys\.log\)$"):
        build(rtl)
