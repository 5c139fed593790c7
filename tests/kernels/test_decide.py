# SPDX-License-Identifier: Apache-2.0
"""The decision against a search written out."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Decide
from framegate.hls.kernels.decide import integer_threshold
from framegate.hls.stream import Stream
from framegate.rtl_sim.bench.simulator import Simulator
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.bench import check_kernel, each, in_whole_networks_too


def logits(**changes: int | bool) -> Stream:
    usual = {"frames": 1, "height": 1, "width": 1, "channels": 6, "bits": 11, "signed": True, "lanes": 2}
    return Stream(**usual | changes)  # type: ignore[arg-type]


CASES = {
    "two-lanes": Decide(name="d", input=logits(), positive=3),
    "all-at-once": Decide(name="d", input=logits(channels=5, lanes=5), positive=3),
    "one-lane-ties": Decide(name="d", input=logits(bits=2, lanes=1), positive=0),
    "no-alarm": Decide(name="d", input=logits(bits=3, lanes=3)),
    "unsigned-32-bit": Decide(name="d", input=logits(bits=31, signed=False), positive=5),
    "signed-32-bit": Decide(name="d", input=logits(bits=32, lanes=3), positive=1),
    "margin-above": Decide(name="d", input=logits(bits=4), positive=3, thresholds=(3,)),
    "margin-below": Decide(name="d", input=logits(bits=4, channels=5, lanes=5), positive=0, thresholds=(-6,)),
    "margin-out-of-reach": Decide(name="d", input=logits(lanes=3), positive=1, thresholds=(10**30,)),
    "margin-of-the-last": Decide(name="d", input=logits(bits=5, lanes=1), positive=5, thresholds=(1,)),
    "margin-32-bit": Decide(name="d", input=logits(bits=32, lanes=1), positive=5, thresholds=(-(2**31),)),
    "one-class": Decide(
        name="d", input=logits(channels=1, lanes=1, bits=5), positive=0, independent=True, thresholds=(4,)
    ),
    "one-class-without-alarm": Decide(name="d", input=logits(channels=1, lanes=1)),
    "independent": Decide(
        name="d",
        input=logits(bits=6),
        positive=4,
        independent=True,
        thresholds=(-40, -20, -1, 0, 7, 31),
    ),
    "independent-all-at-once": Decide(
        name="d", input=logits(channels=3, lanes=3, bits=4), independent=True, thresholds=(2, 0, -3)
    ),
    "independent-default": Decide(name="d", input=logits(bits=3, lanes=1), positive=0, independent=True),
    "independent-32-of-32-bit": Decide(
        name="d",
        input=logits(channels=32, lanes=4, bits=32),
        positive=31,
        independent=True,
        thresholds=tuple((k - 16) << 26 for k in range(32)),
    ),
    "independent-two-words": Decide(
        name="d",
        input=logits(channels=40, lanes=8, bits=4, frames=2),
        positive=0,
        independent=True,
        thresholds=tuple(k % 9 - 4 for k in range(40)),
    ),
    "a-score-per-frame": Decide(name="d", input=logits(frames=3, bits=4, channels=2), positive=1),
    "127-classes": Decide(name="d", input=logits(channels=127, lanes=1, bits=12), positive=126),
}


@each(CASES)
def test_values_and_cycles(kernel: Decide, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
@pytest.mark.parametrize("name", ["margin-above", "independent"])
def test_values_and_cycles_in_verilator(name: str, tmp_path: Path) -> None:
    check_kernel(CASES[name], tmp_path, simulator="verilator")


@pytest.mark.parametrize(
    ("scores", "winner"), [((1, 5, 3), 1), ((-4, -2, -9), 1), ((7, 7, 7), 0), ((-8, 2, 2), 1), ((0, 0, 1), 2)]
)
@pytest.mark.parametrize("positive", [-1, 0, 1, 2])
def test_reference_gives_logits_class_and_alarm(scores: tuple[int, ...], winner: int, positive: int) -> None:
    kernel = Decide(name="d", input=logits(channels=3, lanes=1), positive=positive)
    result = kernel.reference(np.array(scores, dtype=np.int32).reshape(1, 1, 1, 1, 3)).reshape(-1).tolist()
    alarm = positive >= 0 and scores[positive] == max(scores)
    assert result == [*scores, winner + (128 if alarm else 0)]


@pytest.mark.parametrize("threshold", [-9, -1, 0, 1, 4, 5, 10**30, -(10**30)])
def test_the_alarm_begins_exactly_at_its_threshold(threshold: int) -> None:
    table = np.array([(a, b, c) for a in range(-4, 4) for b in range(-4, 4) for c in range(-4, 4)])
    margin = Decide(name="d", input=logits(channels=3, lanes=1), positive=1, thresholds=(threshold,))
    expected = [b - max(a, c) >= threshold for a, b, c in table.tolist()]
    assert margin.decide(table)[1].reshape(-1).tolist() == expected
    alone = Decide(
        name="d", input=logits(channels=3, lanes=1), independent=True, thresholds=(threshold, 0, 2)
    )
    assert alone.decide(table)[1].tolist() == [[a >= threshold, b >= 0, c >= 2] for a, b, c in table.tolist()]


def test_a_bit_per_independent_class_stands_before_the_decision() -> None:
    kernel = Decide(
        name="d", input=logits(channels=33, lanes=1), positive=32, independent=True, thresholds=(5,) * 33
    )
    scores = np.zeros((1, 1, 1, 1, 33), dtype=np.int32)
    scores[..., [0, 31, 32]] = [7, 5, 6]
    words = kernel.reference(scores).reshape(-1).tolist()
    assert words[:33] == scores.reshape(-1).tolist()
    assert [word % 2**32 for word in words[33:]] == [1 + 2**31, 1, 128 + 0]


@given(
    logit=st.floats(-1e6, 1e6, allow_nan=False),
    scale=st.one_of(st.integers(-20, 4).map(lambda power: 2.0**power), st.floats(1e-6, 10)),
)
def test_the_integer_decides_as_the_logit_does(logit: float, scale: float) -> None:
    found = integer_threshold(logit, scale)
    for integer in range(found - 3, found + 4):
        assert (integer >= found) == (Fraction(integer) * Fraction(scale) >= Fraction(logit))
        if math.frexp(scale)[0] == 0.5 and abs(integer) < 2**24:  # then the network's own float32 is exact
            assert (integer >= found) == (float(np.float32(integer) * np.float32(scale)) >= logit)


def test_an_infinite_logit_is_beyond_every_score() -> None:
    for logit, expected in ((math.inf, False), (-math.inf, True)):
        limit = integer_threshold(logit, 0.5)
        kernel = Decide(name="d", input=logits(channels=2, lanes=1, bits=32), positive=0, thresholds=(limit,))
        assert (kernel.decide(np.array([[2**31 - 1, -(2**31)], [-(2**31), 2**31 - 1]]))[1] == expected).all()


@pytest.mark.parametrize(
    ("wrong", "shape", "bits"),
    [
        ({"channels": 128}, r"\(1, 1, 1, 128\)", 11),
        ({"width": 2}, r"\(1, 1, 2, 6\)", 11),
        ({"bits": 33}, r"\(1, 1, 1, 6\)", 33),
        ({"bits": 32, "signed": False}, r"\(1, 1, 1, 6\)", 32),
    ],
)
def test_what_it_cannot_decide_is_refused(wrong: dict[str, int], shape: str, bits: int) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^d: decides between at most 127 classes with logits of at most 32 bits, "
        rf"one score per class; got {shape} of {bits} bits$",
    ):
        Decide(name="d", input=logits(**wrong))


def test_one_class_without_another_has_no_margin() -> None:
    with pytest.raises(
        UsageError, match=r"^d: one class has no other to compare with; use independent labels"
    ):
        Decide(name="d", input=logits(channels=1, lanes=1), positive=0)
    with pytest.raises(UsageError, match=r"^d: 2 thresholds for 1 alarms$"):
        Decide(name="d", input=logits(), positive=0, thresholds=(1, 2))
