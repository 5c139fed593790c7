# SPDX-License-Identifier: Apache-2.0
"""The flow for AMD's parts: the scripts for Vivado, what is read of its reports, and what a Yosys cell counts for."""

import json
import sys
from pathlib import Path

import pytest
from framegate.errors import FramegateError, UsageError
from framegate.hls.flows.flow import FlowReport
from framegate.hls.flows.xilinx.xilinx import _count, build_checkpoint, write_scripts
from framegate.hls.targets import load_target

KV260 = load_target("kv260")

# Stands in for Vivado: runs the script, notes its commands beside the results and writes what Vivado would.
VIVADO = """#!{python}
import os, sys, tkinter
from pathlib import Path
source, results = sys.argv[sys.argv.index("-source") + 1], sys.argv[sys.argv.index("-tclargs") + 1]
noted = Path(results).resolve().with_name("commands")
os.environ.get("KILLED") and os.kill(os.getpid(), 9)
os.environ.get("FAILS") and sys.exit("ERROR: [Common 17-69] " + os.environ["FAILS"])
tcl = tkinter.Tcl()

def command(name, reply="", text=None):
    def note(*words):
        with noted.open("a") as out:
            print(name, *words, file=out)
        if text is not None:
            Path(words[-1]).write_text(text)
        return reply
    tcl.createcommand(name, note)

for name in "create_project read_verilog read_xdc synth_design opt_design place_design phys_opt_design".split():
    command(name)
command("route_design")
command("write_checkpoint", text="routed")
command("report_timing_summary", text="paths")
command("report_utilization", text=os.environ["UTILIZATION"])
command("get_timing_paths", reply="path")
command("get_property", reply=os.environ["SLACK"])
tcl.setvar("argc", "1")
tcl.setvar("argv", results)
tcl.eval("source " + source)
"""
UTILIZATION = """
+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| CLB LUTs                   | 10064 |     0 |          0 |    117120 |  8.59 |
|   LUT as Logic             |  9958 |     0 |          0 |    117120 |  8.50 |
| CLB Registers              |  7312 |     0 |          0 |    234240 |  3.12 |
| Block RAM Tile             |  23.5 |     0 |          0 |       144 | 16.32 |
|   RAMB36/FIFO*             |     4 |     0 |          0 |       144 |  2.78 |
| DSPs                       |    56 |     0 |          0 |      1248 |  4.49 |
+----------------------------+-------+-------+------------+-----------+-------+
"""


@pytest.fixture
def rtl(tmp_path: Path) -> Path:
    """BUILD/rtl with two sources and a memory."""
    folder = tmp_path / "a build" / "rtl"
    folder.mkdir(parents=True)
    (folder / "framegate.sv").write_text("module framegate; endmodule\n")
    (folder / "add.sv").write_text("module add; endmodule\n")
    (folder / "weights.hex").write_text("0\n")
    return folder


@pytest.fixture
def out(rtl: Path) -> Path:
    return rtl.parent / "flow" / "kv260"


@pytest.fixture
def vivado(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in on PATH, with 1 ns of slack."""
    pytest.importorskip("tkinter", reason="runs the Tcl script")
    tool = tmp_path / "bin" / "vivado"
    tool.parent.mkdir()
    tool.write_text(VIVADO.format(python=sys.executable))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.setenv("SLACK", "1.0")
    monkeypatch.setenv("UTILIZATION", UTILIZATION)


def build(rtl: Path, out: Path, said: list[str] | None = None) -> FlowReport:
    return build_checkpoint(rtl, KV260, out, said.append if said is not None else lambda _: None)


@pytest.mark.usefixtures("vivado")
def test_vivado_runs_the_script_and_is_read(rtl: Path, out: Path) -> None:
    report = build(rtl, out)
    assert report.path == str(out / "routing" / "framegate.dcp")
    assert Path(report.path).read_text() == "routed"
    assert (report.clock_mhz, report.fmax_mhz) == (200, 250), "5 ns less 1 ns"
    assert (report.lut, report.ff, report.dsp) == (10064, 7312, 56)
    assert report.bram == 47, "halves of 23.5"
    assert report.available == {"lut": 117120, "ff": 234240, "bram": 288, "dsp": 1248}
    assert FlowReport(**json.loads((out / "report.json").read_text())) == report


@pytest.mark.usefixtures("vivado")
def test_the_script_builds_the_design_out_of_context(rtl: Path, out: Path) -> None:
    build(rtl, out)
    commands = (out / "commands").read_text().splitlines()
    assert [line.split()[0] for line in commands] == [
        *("create_project", "read_verilog", "read_xdc", "synth_design", "opt_design", "place_design"),
        *(
            "phys_opt_design",
            "route_design",
            "write_checkpoint",
            "report_utilization",
            "report_timing_summary",
        ),
        *("get_timing_paths", "get_property"),
    ]
    assert commands[1] == "read_verilog -sv add.sv framegate.sv", "in the folder where the memories lie"
    assert (
        commands[3]
        == "synth_design -top framegate -part xck26-sfvc784-2LV-c -mode out_of_context -verilog_define VIVADO=1"
    )
    assert (out / "clock.xdc").read_text() == "create_clock -name clk -period 5.000 [get_ports clk]\n"


@pytest.mark.usefixtures("vivado")
def test_vivado_is_not_run_again_until_something_changes(rtl: Path, out: Path) -> None:
    first = build(rtl, out)
    said: list[str] = []
    assert build(rtl, out, said) == first
    assert said == ["routing: unchanged, kept"]
    (rtl / "weights.hex").write_text("1\n")
    said.clear()
    build(rtl, out, said)
    assert said[0] == "routing: Vivado …"


@pytest.mark.usefixtures("vivado")
def test_too_slow_names_both_clocks_and_leaves_the_numbers(
    rtl: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK", "-1.25")
    message = r"^timing: 160\.0 MHz reached, 200 MHz wanted .*timing\.rpt\); compile for a clock of 160 MHz$"
    with pytest.raises(FramegateError, match=message):
        build(rtl, out)
    assert json.loads((out / "report.json").read_text())["path"] is None


@pytest.mark.usefixtures("vivado")
def test_a_failing_vivado_is_quoted(rtl: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILS", "Command failed")
    with pytest.raises(FramegateError, match=r"^vivado failed: ERROR: .*Command failed \(.*vivado\.log\)$"):
        build(rtl, out)


@pytest.mark.usefixtures("vivado")
def test_a_killed_vivado_is_told(rtl: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILLED", "yes")
    with pytest.raises(FramegateError, match=r"^vivado: ended by signal 9; is there enough memory\?"):
        build(rtl, out)
    assert not (out / "routing").exists()


@pytest.mark.usefixtures("vivado")
def test_a_foreign_utilization_report_names_the_row(
    rtl: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UTILIZATION", UTILIZATION.replace("CLB Registers", "Slice Registers"))
    with pytest.raises(FramegateError, match=r"no row 'CLB Registers'$"):
        build(rtl, out)


def test_without_vivado_the_script_and_the_way_out_are_named(
    rtl: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    message = (
        r"^vivado: not found on PATH, and kv260 needs it; run `vivado .*kv260/vivado\.tcl` .*--synthesis-only"
    )
    with pytest.raises(UsageError, match=message):
        build(rtl, out)
    assert (out / "vivado.tcl").is_file()


def test_without_rtl_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"framegate\.sv: not there; run `framegate compile` first$"):
        build(tmp_path / "rtl", tmp_path / "flow")


def test_the_clock_reaches_the_constraints(rtl: Path, out: Path) -> None:
    write_scripts(rtl, KV260, out, 333)
    assert "-period 3.003 " in (out / "clock.xdc").read_text()


def test_a_cell_counts_for_what_it_takes() -> None:
    cells = {
        "LUT6": 5,
        "RAM64M": 2,
        "RAM128X1D": 1,
        "SRL16E": 1,
        "FDRE": 7,
        "FDSE": 1,
        "CARRY4": 9,
        "DSP48E2": 3,
    }
    counts = _count({**cells, "RAMB18E2": 1, "RAMB36E2": 2, "URAM288": 1})
    assert counts == {"lut": 5 + 2 * 4 + 4 + 1, "ff": 8, "dsp": 3, "bram": 5, "uram": 1}


def test_an_unknown_cell_is_named() -> None:
    with pytest.raises(FramegateError, match=r"cells that cannot be counted: LDCE$"):
        _count({"LUT6": 5, "LDCE": 1})
