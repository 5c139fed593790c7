# SPDX-License-Identifier: Apache-2.0
"""The bench itself: what it records, and how it fails."""

import os
import re
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import FramegateError, UsageError
from framegate.hls.kernels import STREAM_CHECK
from framegate.hls.tools import find
from framegate.rtl_sim.bench.simulator import SIMULATORS, Bench, Simulator, Sink, Source, Tap

from tests.slow import slow_if

BITS = 8
PORTS = """module dut (
    input  logic clk, input logic rst,
    input  logic in_valid, output logic in_ready, input logic [7:0] in_data,
    output logic out_valid, input logic out_ready, output logic [7:0] out_data
);
"""
GOOD = """
    wire mid_valid = in_valid, mid_ready = out_ready;
    wire [7:0] mid_data = in_data;
    assign in_ready = mid_ready; assign out_valid = mid_valid; assign out_data = mid_data;
"""
WITHDRAWN = """
    logic phase_q;
    always_ff @(posedge clk) phase_q <= rst ? 1'b0 : !phase_q;
    assign in_ready = out_ready && phase_q; assign out_valid = in_valid && phase_q; assign out_data = in_data;
"""
CHANGED = """
    logic [7:0] age_q;
    always_ff @(posedge clk) age_q <= rst ? 8'd0 : age_q + 8'd1;
    assign in_ready = out_ready; assign out_valid = in_valid; assign out_data = age_q;
"""
SWALLOWS = """
    assign in_ready = 1'b1; assign out_data = in_data;
    assign out_valid = in_valid && out_ready && in_data != 8'd3;
"""
UNSET = """
    logic [7:0] never_q;
    assign in_ready = out_ready; assign out_valid = in_valid; assign out_data = never_q;
"""
COUNTS = """
    logic [7:0] count_q;
    initial count_q = 8'd0;  // and no reset: what a run before has left would be seen
    always_ff @(posedge clk) if (in_valid && in_ready) count_q <= count_q + 8'd1;
    assign in_ready = out_ready; assign out_valid = in_valid; assign out_data = in_data ^ count_q;
"""
DOUBLES = """
    logic second_q;
    always_ff @(posedge clk) if (rst) second_q <= 1'b0; else if (in_valid && out_ready) second_q <= !second_q;
    assign in_ready = out_ready && second_q; assign out_valid = in_valid; assign out_data = in_data;
"""
# How a failure tells the state that the simulator started from; Icarus starts from x.
STARTED = dict.fromkeys(SIMULATORS, r" \(FRAMEGATE_SEED=\d+\)") | {"icarus": "", "icarus-fast": ""}


def bench(
    body: str,
    work: Path,
    simulator: Simulator,
    *,
    taps: tuple[Tap, ...] = (),
    offers: np.ndarray | None = None,
    accepts: np.ndarray | None = None,
) -> Bench:
    rtl = work / "rtl"
    rtl.mkdir()
    (rtl / "dut.sv").write_text(f"{PORTS}{body}endmodule\n")
    words = [1, 2, 3, 250]
    return Bench(
        module="dut",
        rtl=rtl,
        pins={
            f"{port}_{pin}": f"{port}_{pin}" for port in ("in", "out") for pin in ("valid", "ready", "data")
        },
        inputs=(
            Source(
                name="in", bits=BITS, words=words, offers=np.zeros(4, dtype=int) if offers is None else offers
            ),
        ),
        outputs=(Sink(name="out", bits=BITS, beats=4, accepts=np.ones(1) if accepts is None else accepts),),
        taps=taps,
        work=work / "sim",
        simulator=simulator,
    )


def test_words_and_cycles_are_recorded_at_ports_and_taps(tmp_path: Path, quick: Simulator) -> None:
    made = bench(GOOD, tmp_path, quick, taps=(Tap(name="mid", bits=BITS),), offers=np.array([0, 0, 5, 7]))
    made.build()
    recorded = made.run(1000)
    assert set(recorded) == {"in", "out", "mid"}
    for recording in recorded.values():
        assert recording.words == [1, 2, 3, 250]
        assert recording.cycles.tolist() == [0, 1, 5, 7]


def test_a_sink_is_ready_as_told(tmp_path: Path, quick: Simulator) -> None:
    made = bench(GOOD, tmp_path, quick, accepts=np.array([False, False, True]))
    made.build()
    assert made.run(1000)["out"].cycles.tolist() == [2, 5, 8, 11]


@pytest.mark.parametrize("body", [WITHDRAWN, CHANGED], ids=["withdrawn", "changed"])
def test_a_beat_that_does_not_wait_is_caught(body: str, simulator: Simulator, tmp_path: Path) -> None:
    made = bench(body, tmp_path, simulator, accepts=np.array([False, False, False, True]))
    made.build()
    with pytest.raises(
        FramegateError,
        match=rf"^dut stopped in {simulator}{STARTED[simulator]}: stream out: beat [0-9a-f]{{2}} was withdrawn "
        r"or changed while it waited, at time \d+.* \(log: \S+/run\.log\)$",
    ):
        made.run(1000)


def test_missing_beats_are_an_error_at_the_cycle_limit(tmp_path: Path, simulator: Simulator) -> None:
    made = bench(SWALLOWS, tmp_path, simulator)
    made.build()
    with pytest.raises(
        FramegateError,
        match=rf"^dut stopped in {simulator}{STARTED[simulator]}: beats are missing after 300 cycles "
        r"\(log: \S+/run\.log\)$",
    ):
        made.run(300)


@pytest.mark.parametrize(
    ("body", "simulators"),
    [(GOOD, ("verilator", "fast")), (GOOD, ("icarus", "icarus-fast")), (DOUBLES, ("icarus", "icarus-fast"))],
    ids=["good", "good-icarus", "doubles"],
)
@pytest.mark.usefixtures("icarus")
def test_without_cocotb_the_same_is_recorded(
    body: str, simulators: tuple[Simulator, Simulator], tmp_path: Path
) -> None:
    recorded = {}
    for simulator in simulators:
        work = tmp_path / simulator
        work.mkdir()
        made = bench(body, work, simulator, accepts=np.array([False, True, True]))
        made.build()
        recorded[simulator] = made.run(300)
    for port in ("in", "out"):
        with_cocotb, without = (recorded[simulator][port] for simulator in simulators)
        assert with_cocotb.words == without.words
        assert with_cocotb.cycles.tolist() == without.cycles.tolist()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("echo 'no memory'; echo", "Vbench ended with 3, and the last line of its log is: no memory"),
        ("", "Vbench ended with 3, and the last line of its log is: nothing"),
    ],
    ids=["words", "none"],
)
def test_a_program_that_ends_for_a_reason_of_its_own_is_quoted(
    said: str, sentence: str, tmp_path: Path
) -> None:
    made = bench(GOOD, tmp_path, "fast")
    program = made.work / "fast" / "Vbench"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{said}\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(FramegateError, match=re.escape(f": {sentence} (log: ")):
        made.run(300)


@pytest.mark.parametrize("simulator", ["fast", "icarus-fast"])
@pytest.mark.usefixtures("icarus")
def test_a_relative_folder_will_do(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = replace(bench(GOOD, tmp_path, simulator), rtl=Path("rtl"), work=Path("sim"))
    made.build()
    assert made.run(300)["out"].words == [1, 2, 3, 250]


def test_surplus_beats_are_recorded(tmp_path: Path, quick: Simulator) -> None:
    made = bench(DOUBLES, tmp_path, quick)
    made.build()
    assert made.run(300)["out"].words == [1, 1, 2, 2, 3, 3, 250, 250]


# A word that is read while it is written, and a register that nothing has set: what comes out is nobody's guess.
READ_WHILE_WRITTEN = """
    fg_ram #(.BITS(8), .DEPTH(2), .ADDR(1), .SLICE(8)) u_ram (
        .clk(clk), .write(in_valid && in_ready), .write_address(1'b0), .write_data(in_data),
        .read(in_valid && in_ready), .read_address(1'b0), .read_data(out_data)
    );
    logic full_q;
    assign in_ready = out_ready || !full_q;
    assign out_valid = full_q;
    always_ff @(posedge clk) begin
        if (in_ready) full_q <= in_valid;
        if (rst) full_q <= 1'b0;
    end
"""
NEVER_SET = """
    logic [7:0] never_q;
    always_ff @(posedge clk) if (in_data == 8'hff) never_q <= in_data;
    assign in_ready = out_ready; assign out_valid = in_valid; assign out_data = in_data ^ never_q;
"""


@pytest.mark.parametrize(
    ("body", "simulator"),
    [
        (READ_WHILE_WRITTEN, "fast"),
        (NEVER_SET, "verilator"),
        *slow_if(lambda _: True, [(READ_WHILE_WRITTEN, "verilator"), (NEVER_SET, "fast")]),
    ],
    ids=["read-while-written-fast", "never-set-verilator", "read-while-written-verilator", "never-set-fast"],
)
def test_what_is_unknown_is_random_on_verilator(
    body: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(body, tmp_path, simulator)
    shutil.copy(STREAM_CHECK.with_name("fg_ram.sv"), made.rtl)
    made.build()
    found = set()
    for seed in ("1", "1", "2", "3"):
        monkeypatch.setenv("FRAMEGATE_SEED", seed)
        found.add(tuple(made.run(300)["out"].words))
        assert (made.work / "seed.txt").read_text() == f"{seed}\n"
    assert len(found) == 3, "one for each seed"
    assert (1, 2, 3, 250) not in found


@pytest.mark.parametrize("seed", ["often", "-1", "0", str(1 << 31), ""])
def test_a_seed_is_a_number_that_verilator_takes(
    seed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEGATE_SEED", seed)
    made = bench(GOOD, tmp_path, "fast")
    made.work.mkdir()
    with pytest.raises(
        UsageError, match=rf"^FRAMEGATE_SEED={seed}: a whole number from 1 to 2147483647 is wanted"
    ):
        made.run(300)


def test_the_seed_of_a_bench_comes_before_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMEGATE_SEED", "often")
    made = replace(bench(SWALLOWS, tmp_path, "fast"), seed=12)
    made.build()
    with pytest.raises(
        FramegateError, match=r"^dut stopped in fast \(FRAMEGATE_SEED=12\): beats are missing"
    ):
        made.run(300)
    assert (made.work / "seed.txt").read_text() == "12\n"


def test_undefined_bits_are_marked(tmp_path: Path, icarus: Simulator) -> None:
    made = bench(UNSET, tmp_path, icarus)
    made.build()
    assert made.run(300)["out"].words == [-1] * 4


PARTLY_UNSET = """
    logic never_q;
    assign in_ready = out_ready; assign out_valid = in_valid; assign out_data = {in_data[7:1], never_q};
"""
FLOATING = """
    assign in_ready = out_ready; assign out_valid = in_valid; assign out_data = {in_data[7:1], 1'bz};
"""


@pytest.mark.parametrize("body", [PARTLY_UNSET, FLOATING], ids=["unknown", "floating"])
def test_partly_undefined_digits_are_marked(body: str, tmp_path: Path, icarus: Simulator) -> None:
    """They are printed as X and Z."""
    made = bench(body, tmp_path, icarus)
    made.build()
    assert made.run(300)["out"].words == [-1] * 4


def test_a_module_that_does_not_compile_gives_one_line_and_the_log(
    simulator: Simulator, tmp_path: Path
) -> None:
    made = bench("assign in_ready = nowhere.at_all;", tmp_path, simulator)
    with pytest.raises(FramegateError) as failure:
        made.build()
    sentence = rf"dut does not compile with {simulator}: .*(dut\.sv|nowhere).* \(log: \S+/sim/build\.log\)"
    assert re.fullmatch(sentence, str(failure.value)), str(failure.value)
    assert failure.value.exit_code == 1


@pytest.mark.parametrize(
    ("simulator", "sentence"),
    [
        ("icarus", r"^(vvp|iverilog): not found on PATH; install "),
        ("verilator", r"^C\+\+ compiler: neither "),
    ],
)
def test_a_missing_tool_is_named(
    simulator: Simulator, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=sentence):
        bench(GOOD, tmp_path, simulator).build()


@pytest.mark.usefixtures("icarus")
def test_the_environment_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEGATE_TEST", "kept")
    before = dict(os.environ)
    made = bench(GOOD, tmp_path, "icarus")
    made.build()
    made.run(100)
    assert dict(os.environ) == before


def test_an_image_that_is_gone_is_not_taken_from_the_run_before(tmp_path: Path, icarus: Simulator) -> None:
    made = bench(GOOD, tmp_path, icarus)
    (made.rtl / "weights.hex").write_text("1\n")
    made.build()
    made.run(300)
    assert (made.work / "weights.hex").is_file()
    (made.rtl / "weights.hex").unlink()
    made.run(300)
    assert not (made.work / "weights.hex").exists()


def test_a_second_run_takes_new_words_without_a_build(tmp_path: Path, quick: Simulator) -> None:
    made = bench(GOOD, tmp_path, quick)
    made.build()
    assert made.run(300)["out"].words == [1, 2, 3, 250]
    again = replace(made, inputs=(replace(made.inputs[0], words=[9, 8, 7, 6]),))
    assert again.run(300)["out"].words == [9, 8, 7, 6]


def test_the_runtime_of_verilator_is_not_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find("ccache"), "a dependency of the package"
    for number in ("first", "second"):
        words = f'$display("{secrets.token_hex(8)}");'  # that nobody has compiled before
        body = f"{GOOD}\n    always @(posedge clk) if (rst && in_valid) {words}"
        work = tmp_path / number
        work.mkdir()
        monkeypatch.setenv("CCACHE_STATSLOG", str(work / "stats.log"))
        bench(body, work, "fast").build()
    entries = (work / "stats.log").read_text().split("# ")[1:]  # of each file, with what ccache did about it
    done = {Path(entry.split()[0]).name: entry.split()[1:] for entry in entries}
    for name in ("verilated.cpp", "verilated_threads.cpp"):
        assert "direct_cache_hit" in done[name]
    assert "cache_miss" in done["Vbench__ALL.cpp"]  # else the log says nothing
