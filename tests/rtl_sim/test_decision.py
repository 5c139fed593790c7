# SPDX-License-Identifier: Apache-2.0
"""What the decision of a build is tried on, and what that sees."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import FramegateError
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Decide, Mean
from framegate.hls.schedule.schedule import schedule
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.decision import compare_decision, trials
from hypothesis import given
from hypothesis import strategies as st

from tests.dataflows import Builder


@st.composite
def decisions(draw: st.DrawFn) -> Decide:
    """Any number of classes and bits, signed or not, thresholds within reach, at its ends or far outside."""
    signed, independent = draw(st.booleans()), draw(st.booleans())
    bits = draw(st.integers(2, 32 if signed else 31))
    classes = draw(st.integers(1 if independent else 2, 6))
    stream = Stream(frames=1, height=1, width=1, channels=classes, bits=bits, signed=signed, lanes=1)
    positive = draw(st.integers(-1, classes - 1))
    count = classes if independent else int(positive >= 0)
    far = st.integers(-(1 << 40), 1 << 40)
    near = st.integers(-4, 4) | st.sampled_from([stream.low, stream.high])
    limits = tuple(draw(near | far) for _ in range(count))
    return Decide(name="d", input=stream, positive=positive, independent=independent, thresholds=limits)


@given(decide=decisions(), seed=st.integers(0, 9))
def test_neighbours_tie_and_every_threshold_is_met_and_just_missed(decide: Decide, seed: int) -> None:
    rows = trials(decide, np.random.default_rng(seed)).astype(np.int64)
    low, high, classes = decide.input.low, decide.input.high, decide.input.channels
    assert rows.min() >= low
    assert rows.max() <= high
    for place in range(classes - 1):
        tied = rows[rows[:, place] == rows[:, place + 1]]
        assert (decide.decide(tied)[0] == place).any()
    scores = decide.scores(rows)
    for alarm, limit in enumerate(decide.thresholds):
        reach = (low, high) if decide.independent else (low - high, high - low)
        for score in (limit - 1, limit, limit + 1):
            assert not reach[0] <= score <= reach[1] or score in scores[:, alarm]


def independent() -> Dataflow:
    """Means of pixels as three logits of their own, each with a threshold; not yet folded."""
    net = Builder(Stream(frames=2, height=4, width=4, channels=3, bits=8, signed=False, lanes=3), seed=0)
    x = net.add(Mean(name="pixels_mean", input=net.stream((PIXELS, 0)), over="frame"), (PIXELS, 0))
    x = net.conv("head", x, 3, 1, 1, 0, bits=8)
    x = net.add(Mean(name="frames_mean", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x), independent=True, thresholds=(5, -7, 0)), x)
    return net.dataflow(("a", "b", "c"))


def margin() -> Dataflow:
    """The same with one alarm, at a margin."""
    made = independent()
    *others, last = made.kernels
    assert isinstance(last, Decide)
    one = Decide(name="decide", input=last.input, positive=1, thresholds=(9,))
    return Dataflow("hand-made", made.classes, 0.125, made.pixels, (*others, one), made.links)


@pytest.fixture(scope="module", params=[independent, margin], ids=lambda made: made.__name__)
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataflow, Path]:
    made: Callable[[], Dataflow] = request.param
    complete, times = schedule(fold(made(), load_target("ulx3s-85f"), 50), 50)
    return complete, emit(complete, times, tmp_path_factory.mktemp(made.__name__) / "rtl")


def spoiled(rtl: Path, work: Path, file: str, old: str, new: str) -> Path:
    """A copy of `rtl` with another text."""
    copy = Path(shutil.copytree(rtl, work / "rtl"))
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    return copy


def test_what_compile_wrote_decides_as_it_should(
    design: tuple[Dataflow, Path], tmp_path: Path, quick: Simulator
) -> None:
    dataflow, rtl = design
    found = compare_decision(dataflow, rtl, tmp_path, simulator=quick, seed=1)
    assert (found.mismatches, found.first) == (0, None)
    assert found.values > 5 * 64


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("fg_decide.sv", "> best_d)", ">= best_d)"),
        ("fg_decide.sv", ">= $signed(", "> $signed("),
        ("framegate.sv", ".THRESHOLDS(", ".THRESHOLDS(1 + "),
        ("framegate.sv", ".IN_BITS({bits}), .SIGNED(1), .CLASSES", ".IN_BITS({bits}), .SIGNED(0), .CLASSES"),
    ],
    ids=["tie", "equal", "threshold-of-the-top", "sign"],
)
def test_a_wrong_decision_is_seen(
    file: str, old: str, new: str, design: tuple[Dataflow, Path], tmp_path: Path, icarus: Simulator
) -> None:
    dataflow, rtl = design
    bits = str(dataflow.kernels[-1].inputs[0].bits)
    wrong = spoiled(rtl, tmp_path, file, old.replace("{bits}", bits), new.replace("{bits}", bits))
    found = compare_decision(dataflow, wrong, tmp_path / "sim", simulator=icarus, seed=1)
    assert found.mismatches
    assert str(found.first).startswith("decide, on logits that tie or lie at thresholds: clip ")


def test_a_decision_of_another_name_is_not_passed_over(
    design: tuple[Dataflow, Path], tmp_path: Path, icarus: Simulator
) -> None:
    wrong = spoiled(design[1], tmp_path, "framegate.sv", "u_decide (", "u_judge (")
    found = compare_decision(design[0], wrong, tmp_path / "sim", simulator=icarus, seed=1)
    assert found.mismatches
    assert found.first == (
        "decide: no fg_decide of that name in rtl/framegate.sv, so it was not tried on ties"
    )


def test_a_decision_that_cannot_be_built_is_no_mismatch(
    design: tuple[Dataflow, Path], tmp_path: Path, icarus: Simulator
) -> None:
    wrong = spoiled(design[1], tmp_path, "fg_decide.sv", "endmodule", "no such word\nendmodule")
    with pytest.raises(
        FramegateError, match=r"^fg_decide does not compile with icarus-fast: .*fg_decide\.sv"
    ):
        compare_decision(design[0], wrong, tmp_path / "sim", simulator=icarus, seed=1)
