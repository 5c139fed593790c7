# SPDX-License-Identifier: Apache-2.0
"""Single faults in emitted RTL, as changes of its text: what `framegate simulate` must see without probes."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """One change, in the first file of that ending that holds the pattern."""

    kind: str
    design: str  # of tests.rtl_sim.test_mutants.DESIGNS
    file: str  # how its name ends
    pattern: str  # a regular expression; blanks stand for any white space
    instead: str
    equal: str = ""  # why no value and no cycle of the result changes
    seen_by: str = ""  # what sees it, where simulation without probes does not

    def __str__(self) -> str:
        return f"{self.kind}: {self.file}: {self.instead[:60] or 'nothing for'} ({self.pattern[:40]})"

    def apply(self, rtl: Path) -> None:
        """Change the text. Raises LookupError when the pattern is nowhere: the RTL has changed, adapt it."""
        pattern = re.compile(self.pattern.replace(" ", r"\s*"))
        for file in sorted(rtl.iterdir()):
            text = file.read_text()
            if re.search(rf"(^|_){self.file}$", file.name) and pattern.search(text):
                file.write_text(pattern.sub(self.instead, text, count=1))
                return
        raise LookupError(f"{self}: no such text in {rtl}")


A, B = "residual", "two-rates"
_MOVE = r"assign move = out_ready[^;]*;"
_ROOM = r"assign room = out_ready[^;]*;"
_IN = r"assign in_ready = [^;]*;"


def _reset(design: str, kernel: str, register: str, equal: str = "") -> Mutant:
    """A register of which the reset is missing."""
    pattern = rf"(if \(rst\)[^@]*?)\b{register} <= [^;]*;"
    return Mutant("reset missing", design, f"{kernel}.sv", pattern, r"\1", equal)


def _counts(design: str, kernel: str, pattern: str, instead: str) -> Mutant:
    return Mutant("counter off by one", design, f"{kernel}.sv", pattern, instead)


def _uncleared(design: str, instance: str, seen_by: str = "") -> Mutant:
    """An instance that `clear` does not reach."""
    pattern = rf"(u_{instance} \( \.clk\(clk\), \.rst\()reset"
    return Mutant("clear not connected", design, "framegate.sv", pattern, r"\1rst", seen_by=seen_by)


AT_REST = "other seeds: at each moment at which a clip is cut this kernel holds nothing"


IGNORES_READY = [
    *(
        Mutant("ignores ready", A, f"{k}.sv", _MOVE, "assign move = 1'b1;")
        for k in ("product_control", "threshold", "window")
    ),
    Mutant("ignores ready", B, "product_control.sv", _MOVE, "assign move = 1'b1;"),
    Mutant("ignores ready", A, "fifo.sv", _MOVE, "assign move = 1'b1;"),
    Mutant(
        "ignores ready",
        A,
        "shift.sv",
        _ROOM,
        "assign room = 1'b1;",
        equal="the branch beside it fills first and stops the fork: with probes no beat behind the shift ever waits",
    ),
    Mutant("ignores ready", A, "add.sv", _ROOM, "assign room = 1'b1;"),
    *(
        Mutant("ignores ready", B, f"{k}.sv", _ROOM, "assign room = 1'b1;")
        for k in ("frame_gather", "concat")
    ),
    *(
        Mutant("ignores ready", A, f"{k}.sv", _IN, "assign in_ready = 1'b1;")
        for k in ("mean", "decide", "skid", "fork")
    ),
    Mutant("ignores ready", B, "pool.sv", _IN, "assign in_ready = 1'b1;"),
    Mutant(
        "ignores ready",
        A,
        "width.sv",
        r"assign in_ready = !valid_q \|\| [^;]*;",  # of wide beats to narrow ones: nothing stalls the others here
        "assign in_ready = 1'b1;",
    ),
    Mutant("ignores ready", A, "pace.sv", _IN, "assign in_ready = open;"),
    Mutant("ignores ready", A, "fifo.sv", r"assign in_ready = !full_q;", "assign in_ready = 1'b1;"),
    Mutant("ignores ready", A, "window.sv", r"assign in_ready = has_room;", "assign in_ready = 1'b1;"),
]
CHANGES = [
    Mutant("changes while waiting", A, "accumulator.sv", r"if \(move && add\) total_q", "if (add) total_q"),
    Mutant("changes while waiting", A, "threshold.sv", r"if \(move\) out_q\[", "out_q["),
    Mutant("changes while waiting", A, "fifo.sv", r"if \(move\) data_q", "data_q"),
    Mutant("changes while waiting", A, "skid.sv", r"if \(!full_q\) kept_q", "kept_q"),
    Mutant("changes while waiting", A, "mean.sv", r"if \(take\) out_q", "out_q"),
    Mutant("changes while waiting", B, "pool.sv", r"if \(take\) pooled_q", "if (in_valid) pooled_q"),
    Mutant("changes while waiting", A, "decide.sv", r"if \(take\)( begin logits_q)", r"if (in_valid)\1"),
    Mutant("changes while waiting", A, "add.sv", r"if \(room\) begin (sum_q <= sum_d;)", r"\1 if (room) begin"),
]  # fmt: skip
RESETS = [
    _reset(A, "product_control", "step_q"), _reset(A, "product_control", "word_q"), _reset(A, "threshold", "beat_q"),
    _reset(A, "window", "margin_q"), _reset(A, "window", "write_q"), _reset(A, "shift", "slot_q"),
    _reset(A, "fifo", "head_q"), _reset(A, "mean", "turn_q"), _reset(A, "decide", "beat_q"),
    _reset(A, "fork", "left_done_q", "what drives it offers nothing in the cycle after a reset, which sets it back"),
    _reset(B, "frame_gather", "slot_q"), _reset(B, "concat", "beat_q"),
    _reset(B, "pool", "tap_q"), _reset(B, "product_control", "step_q"),
]  # fmt: skip
CLEARS = [
    Mutant("clear not connected", A, "framegate.sv", r"wire reset = rst \|\| clear;", "wire reset = rst;"),
    _uncleared(A, "stem_window"),
    _uncleared(B, "fast_gather"),
    _uncleared(B, "concat"),
    *(_uncleared(A, name) for name in ("stem", "stem_act", "segments")),
    _uncleared(A, "stage1_shift", AT_REST),
    _uncleared(B, "depthwise"),
]
COUNTERS = [
    _counts(A, "product_control", r"STEP'\(STEPS - 1\)", "STEP'(STEPS - 2)"),
    _counts(A, "mean", r"TURN'\(COUNT - 1\)", "TURN'(COUNT - 2)"),
    _counts(A, "ring_counter", r"BITS'\(COUNT - 2\)", "BITS'(COUNT - 1)"),
    _counts(A, "shift", r"SLOT'\(SLOTS - 1\)", "SLOT'(SLOTS - 2)"),
    _counts(A, "pace", r"WAIT'\(WHOLE - 1\)", "WAIT'(WHOLE)"),
    _counts(B, "pool", r"TAP'\(TAPS - 1\)", "TAP'(TAPS - 2)"),
    _counts(B, "frame_gather", r"WAIT'\(STRIDE - 1\)", "WAIT'(STRIDE)"),
    _counts(B, "concat", r"BEAT'\(BEATS - 1\)", "BEAT'(BEATS - 2)"),
]
VALUES = [
    Mutant("padding value", A, "window.sv", r"BITS'\(PAD_VALUE\)", "BITS'(PAD_VALUE + 1)"),
    Mutant("window address", A, "window.sv", r"PLACE'\(row_q \+ ADDR'\(x_q\)\)", "PLACE'(row_q + ADDR'(x_q) + 1'b1)"),
    Mutant("window address", B, "window.sv", r"(\bFREE_LINE = PIXELS'\(STRIDE_H \* WIDTH)", r"\1 + 1"),
    Mutant("window address", A, "window.sv", r"(\bFREE_FRAME = PIXELS'\(\(HEIGHT - LAST_TOP\) \* WIDTH)", r"\1 + 1"),
    Mutant("sign extension", A, "add.sv", r"\(LEFT_SIGNED != 0\) && left\[LEFT_BITS-1\]", "1'b0"),
    Mutant("sign extension", A, "threshold_level.sv", r"\{\(IN_SIGNED != 0\) && x\[IN_BITS-1\], x\}", "{1'b0, x}"),
    Mutant("sign extension", A, "mean.sv", r"\(SIGNED != 0\) && value\[IN_BITS-1\]", "1'b0",
           seen_by="clips of two frames with scores of unlike sign: of two below 0 what is lost is a whole turn"),
    Mutant("bit dropped", A, "adder_tree.sv", r"ab \+ cd", "ab | cd"),
    Mutant("bit dropped", A, "joint_sum.sv", r"field \+ FIELD'\(borrowed\)", "field",
           seen_by="--probe: sums are off by one, which the activation behind them may hide"),
    Mutant("bit dropped", A, "add.sv",
           r"(= OUT_BITS'\(\$signed\(\{left_sign, left\}\)\) \+ [^;]*);", r"\1 & ~OUT_BITS'(1);"),
    Mutant("pool compares", B, "pool.sv", r"wide > old \?", "wide < old ?"),
    Mutant("threshold compares", A, "threshold_level.sv", r">= \(limit \^ flip\)", "> (limit ^ flip)"),
    Mutant("alarm compares", A, "framegate.sv", r"(\.POSITIVE\()2", r"\g<1>1"),
    Mutant("ties", A, "decide.sv", r"> best_d\) \|\|", ">= best_d) ||"),
    Mutant("ties", A, "decide.sv", r">= (\$signed\(THRESHOLDS)", r"> \1"),
    Mutant("ties", A, "framegate.sv", r"34'h0", "34'h1"),
]  # fmt: skip
FIFOS = [
    Mutant("FIFO depth", A, "fifo.sv", r"COUNT'\(DEPTH - 1\)", "COUNT'(DEPTH - 2)"),
    Mutant("FIFO depth", A, "framegate.sv", r"(?<=\.DEPTH\()12(?=\), \.SLICE)", "11",
           equal="the kernel before it waits a cycle, which is made up for before the result, at the highest rate too"),
]  # fmt: skip
IMAGES = [
    Mutant("weights", A, "stem_weights0.hex", r"^\S+", "0"),
    Mutant("weights", A, "head_weights0.hex", r"0(?=\n)", "1"),
    Mutant("thresholds", A, "stem_act_level0.hex", r"0(?=\n)|1(?=\n)|2(?=\n)|3(?=\n)", "4"),
    Mutant("thresholds", B, "fast_act_level1.hex", r"(?<=\w)\w\n", "f\n"),
]

MUTANTS = [*IGNORES_READY, *CHANGES, *RESETS, *CLEARS, *COUNTERS, *VALUES, *FIFOS, *IMAGES]
QUICK = [IGNORES_READY[0], CHANGES[2], CLEARS[0]]  # images and ties have tests of their own
