# SPDX-License-Identifier: Apache-2.0
"""What synthesis counts, for both families: of a stand-in design, and of memories of known size."""

import json
import shutil
from pathlib import Path

import pytest
from framegate.errors import FramegateError, UsageError
from framegate.hls.flows.utilization import Utilization, utilization
from framegate.hls.targets import load_target

TARGETS = ["ulx3s-85f", "kv260"]
TINY = Path(__file__).parent / "tiny"
MEMORY = """
module framegate (input logic clk, write, input logic [{address}:0] at, input logic d, output logic q);
    logic [{bits}:0] memory [0:{words}], word_q;
    always_ff @(posedge clk) begin
        if (write) memory[at] <= {{word_q[{bits}-1:0], d}};
        word_q <= memory[at];
        q <= ^word_q;
    end
endmodule
"""

READERS = """
module framegate (input logic clk, write, input logic [3:0] at, d, output logic [63:0] q);
    logic [3:0] memory [0:15];
    always_ff @(posedge clk) if (write) memory[at] <= d;
    genvar i;
    generate
        for (i = 0; i < 16; i = i + 1) begin : g_reader
            always_ff @(posedge clk) q[4*i +: 4] <= memory[at ^ 4'(i)];
        end
    endgenerate
endmodule
"""


@pytest.fixture
def rtl(tmp_path: Path) -> Path:
    """BUILD/rtl with the stand-in and its memory."""
    shutil.copytree(TINY, tmp_path / "rtl")
    (tmp_path / "rtl" / "weights.hex").write_text(
        "".join(f"{i * 40503 & 0x3FFFF:05x}\n" for i in range(1024))
    )
    return tmp_path / "rtl"


def with_lanes(rtl: Path, lanes: int) -> None:
    source = rtl / "framegate.sv"
    source.write_text(source.read_text().replace("LANES   = 1,", f"LANES   = {lanes},"))


def memory(folder: Path, words: int, bits: int) -> Path:
    """BUILD/rtl with a memory of one address that its own words are shifted into."""
    (folder / "rtl").mkdir()
    values = {"address": words.bit_length() - 2, "words": words - 1, "bits": bits - 1}
    (folder / "rtl" / "framegate.sv").write_text(MEMORY.format(**values))
    return folder / "rtl"


def count(rtl: Path, target: str, said: list[str] | None = None) -> Utilization:
    progress = said.append if said is not None else lambda _: None
    return utilization(rtl, load_target(target), rtl.parent / "flow" / target, progress)


@pytest.mark.parametrize(
    ("target", "dsp"), [("ulx3s-85f", 1), pytest.param("kv260", 2, marks=pytest.mark.slow)]
)
def test_counts_are_kept_and_redone_after_an_edit(rtl: Path, target: str, dsp: int) -> None:
    """A product of 18 x 18 bits without sign is one multiplier of ECP5, two of 27 x 18 bits with sign."""
    found = count(rtl, target)
    assert (found.target, found.dsp, found.bram, found.uram) == (target, dsp, 1, 0)
    assert 80 < found.ff < 150, "weight, count, sum, pixel, operands and product"
    assert 50 < found.lut < 250
    board = load_target(target)
    assert found.available == {name: getattr(board, name) for name in ("lut", "ff", "dsp", "bram", "uram")}
    written = json.loads((rtl.parent / "flow" / target / "utilization.json").read_text())
    assert Utilization(**written) == found
    said: list[str] = []
    assert count(rtl, target, said) == found
    assert said == ["utilization: unchanged, kept"]
    with_lanes(rtl, 2)
    assert count(rtl, target).dsp == 2 * dsp


@pytest.mark.parametrize(
    ("target", "others"), [("ulx3s-85f", 3), pytest.param("kv260", 0, marks=pytest.mark.slow)]
)
def test_luts_used_as_memory_count(tmp_path: Path, target: str, others: int) -> None:
    """A LUT per bit of the words; nextpnr counts two more for the write port, and one for a constant."""
    found = count(memory(tmp_path, 16, 4), target)
    assert (found.ff, found.bram) == (4 + 1, 0)
    assert found.lut == 4 + 1 + others, "the memory and the parity"


@pytest.mark.parametrize("target", ["ulx3s-85f", pytest.param("kv260", marks=pytest.mark.slow)])
def test_a_memory_with_many_readers_does_not_exhaust_yosys(tmp_path: Path, target: str) -> None:
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "framegate.sv").write_text(READERS)
    found = count(tmp_path / "rtl", target)
    assert (found.ff, found.bram) == (2 * 64, 0), "the memory and what was read"


def test_a_design_larger_than_the_device_is_counted(tmp_path: Path) -> None:
    smaller = load_target("ulx3s-85f").model_copy(update={"device": "25k", "bram": 56})
    found = utilization(memory(tmp_path, 16384, 70), smaller, tmp_path / "flow", lambda _: None)
    assert 70 >= found.bram > found.available["bram"] == 56


@pytest.mark.parametrize("target", TARGETS)
def test_without_rtl_the_remedy_is_named(tmp_path: Path, target: str) -> None:
    with pytest.raises(UsageError, match=r"framegate\.sv: not there; run `framegate compile` first$"):
        count(tmp_path / "rtl", target)


@pytest.mark.parametrize("target", TARGETS)
def test_a_failing_yosys_is_quoted_with_its_log(rtl: Path, target: str) -> None:
    (rtl / "broken.sv").write_text("module broken (input clk; endmodule\n")
    with pytest.raises(FramegateError, match=r"^yosys failed: .*broken\.sv:1: ERROR: .*counting\.log\)$"):
        count(rtl, target)
