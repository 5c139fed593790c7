# SPDX-License-Identifier: Apache-2.0
"""The activation against sums of comparisons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Threshold
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream


def threshold(bits: int, base: int = 0, rows: int = 4, steps: int = 0, **changes: int | bool) -> Threshold:
    """Random thresholds of a 9-bit input, some repeated, some beyond both ends of its range."""
    taken = stream(**{"bits": 9, "signed": True, **changes})
    rng, span = np.random.default_rng(bits), taken.high - taken.low
    steps = steps or (1 << bits) - 1
    values = rng.integers(taken.low - span // 8, taken.high + span // 8 + 2, (rows, steps))
    values[0, 0], values[-1, -1] = taken.low - 5, taken.high + 5
    return Threshold(name="t", input=taken, thresholds=np.sort(values, axis=1), bits=bits, base=base)


CASES = {
    "signed-4bit": threshold(4, base=-8),
    "unsigned-one-lane": threshold(4, lanes=1, signed=False),
    "all-lanes": threshold(3, base=-4, lanes=4),
    "one-row": threshold(4, rows=1),
    "one-row-unsigned-not-full": threshold(4, rows=1, steps=11, signed=False),
    "not-full": threshold(4, base=-8, steps=14),
    "one-step": threshold(4, steps=1),
    "1bit": threshold(1),
    "2bit": threshold(2, base=-2),
    "5bit": threshold(5),
    "6bit-not-full": threshold(6, base=-32, steps=40),
    "7bit-one-row": threshold(7, base=-64, rows=1, lanes=4),
    "8bit": threshold(8, lanes=1),
    "last-levels-in-block-ram": threshold(4, rows=96, channels=96, lanes=2),
    "first-level-in-block-ram": threshold(2, rows=320, channels=320, lanes=32, height=2, width=2),
    "one-pixel": threshold(3, height=1, width=1),
}
CASES["large-in-luts"] = replace(CASES["last-levels-in-block-ram"], in_luts=True)


def test_cases_cover_levels_in_block_ram() -> None:
    slow = {name: kernel.instance().parameters["SLOW"] for name, kernel in CASES.items()}
    assert (slow["last-levels-in-block-ram"], slow["first-level-in-block-ram"]) == (0b1100, 0b01), slow
    assert slow["large-in-luts"] == 0


@each(CASES)
def test_values_and_cycles(kernel: Threshold, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["signed-4bit"], tmp_path, simulator="verilator")


@each(CASES)
def test_reference_counts_the_thresholds_reached(kernel: Threshold) -> None:
    values = random_clips(kernel.input, 2, 0)
    reached = (values[..., None] >= kernel.thresholds).sum(axis=-1)  # a single row serves all channels
    assert np.array_equal(kernel.reference(values), kernel.base + reached)


def test_a_threshold_is_reached_by_its_own_value() -> None:
    taken = stream(frames=1, height=1, width=1, signed=True)
    kernel = Threshold(name="t", input=taken, thresholds=np.array([[-8, -7, 7]]), bits=2, base=0)
    values = np.array([-8, -7, 6, 7], dtype=np.int32).reshape(1, 1, 1, 1, 4)
    assert kernel.reference(values).reshape(-1).tolist() == [1, 2, 2, 3]


@pytest.mark.parametrize(("rows", "steps"), [(2, 15), (4, 16), (4, 0)])
def test_thresholds_of_another_shape_are_refused(rows: int, steps: int) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^t: thresholds \({rows}, {steps}\) do not fit 4 channels and 4 bits; "
        rf"give one row per channel and at most 15 steps$",
    ):
        Threshold(name="t", input=stream(), thresholds=np.zeros((rows, steps), dtype=int), bits=4, base=0)


def test_thresholds_that_descend_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^t: thresholds must ascend in every channel$"):
        Threshold(name="t", input=stream(), thresholds=np.array([[0, 2, 1]]), bits=2, base=0)


@pytest.mark.parametrize(
    ("channels", "lanes", "bits", "blocks"),
    [(256, 2, 15, 7), (256, 1, 10, 5), (128, 2, 13, 7), (128, 1, 13, 4), (64, 2, 13, 4), (8, 1, 14, 0)],
)
def test_large_levels_are_counted_in_block_rams(channels: int, lanes: int, bits: int, blocks: int) -> None:
    """A block per lane for each level from 1.5 kbit on, of these layers of a 4-bit MobileNet."""
    taken = stream(channels=channels, lanes=lanes, bits=bits, signed=True)
    kernel = Threshold(name="t", input=taken, thresholds=np.zeros((channels, 15), dtype=int), bits=4, base=0)
    assert kernel.cost().bram == blocks


@pytest.mark.parametrize("bits", [0, 9, 16])
def test_more_levels_than_the_module_has_memories_for_are_refused(bits: int) -> None:
    with pytest.raises(UsageError, match=rf"^t: activations of {bits} bits; use a bit width from 1 to 8$"):
        Threshold(name="t", input=stream(), thresholds=np.zeros((1, 1), dtype=int), bits=bits, base=0)
