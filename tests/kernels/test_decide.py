# SPDX-License-Identifier: Apache-2.0
"""The decision against a search written out."""

from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Decide
from framegate.hls.stream import Stream
from framegate.rtl_sim.simulator import Simulator

from tests.kernels.bench import check_kernel, each


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
    "one-class": Decide(name="d", input=logits(channels=1, lanes=1), positive=0),
    "a-score-per-frame": Decide(name="d", input=logits(frames=3, bits=4, channels=2), positive=1),
    "127-classes": Decide(name="d", input=logits(channels=127, lanes=1, bits=12), positive=126),
}


@each(CASES)
def test_values_and_cycles(kernel: Decide, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["two-lanes"], tmp_path, simulator="verilator")


@pytest.mark.parametrize(
    ("scores", "winner"), [((1, 5, 3), 1), ((-4, -2, -9), 1), ((7, 7, 7), 0), ((-8, 2, 2), 1), ((0, 0, 1), 2)]
)
@pytest.mark.parametrize("positive", [-1, 0, 1, 2])
def test_reference_gives_logits_class_and_alarm(scores: tuple[int, ...], winner: int, positive: int) -> None:
    kernel = Decide(name="d", input=logits(channels=3, lanes=1), positive=positive)
    result = kernel.reference(np.array(scores, dtype=np.int32).reshape(1, 1, 1, 1, 3)).reshape(-1).tolist()
    assert result == [*scores, winner + (128 if winner == positive else 0)]


@pytest.mark.parametrize(
    ("wrong", "shape", "bits"),
    [
        ({"channels": 128}, r"\(1, 1, 1, 128\)", 11),
        ({"width": 2}, r"\(1, 1, 2, 6\)", 11),
        ({"bits": 33}, r"\(1, 1, 1, 6\)", 33),
    ],
)
def test_what_it_cannot_decide_is_refused(wrong: dict[str, int], shape: str, bits: int) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^d: decides between at most 127 classes with logits of at most 32 bits, "
        rf"one score per class; got {shape} of {bits} bits$",
    ):
        Decide(name="d", input=logits(**wrong))
