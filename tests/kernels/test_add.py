# SPDX-License-Identifier: Apache-2.0
"""Residual addition against plain sums."""

from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Add
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {
    "signed-unsigned": Add(name="a", left=stream(signed=True), right=stream(bits=3)),
    "unsigned-signed": Add(name="a", left=stream(bits=2), right=stream(bits=7, signed=True)),
    "both-signed": Add(name="a", left=stream(signed=True, lanes=4), right=stream(signed=True, lanes=4)),
    "both-unsigned-one-lane": Add(name="a", left=stream(bits=8, lanes=1), right=stream(bits=8, lanes=1)),
    "one-bit": Add(name="a", left=stream(bits=1), right=stream(bits=1)),
    "one-pixel": Add(name="a", left=stream(height=1, width=1), right=stream(height=1, width=1, signed=True)),
}


@each(CASES)
def test_values_and_cycles(kernel: Add, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["signed-unsigned"], tmp_path, simulator="verilator")


@each(CASES)
def test_the_output_holds_every_sum_and_not_a_bit_more(kernel: Add) -> None:
    out = kernel.outputs[0]
    low, high = kernel.left.low + kernel.right.low, kernel.left.high + kernel.right.high
    assert out.low <= low
    assert high <= out.high
    narrower = stream(bits=max(out.bits - 1, 1), signed=out.signed)
    assert not (narrower.low <= low and high <= narrower.high)


def test_reference_is_the_sum() -> None:
    kernel = CASES["signed-unsigned"]
    left, right = (random_clips(taken, 2, seed) for seed, taken in enumerate(kernel.inputs))
    assert np.array_equal(kernel.reference(left, right), left + right)


def test_branches_that_disagree_are_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"^a: cannot add \(2, 4, 5, 4\) on 2 lanes to \(2, 4, 5, 4\) on 1 lanes; "
        r"both branches must agree$",
    ):
        Add(name="a", left=stream(), right=stream(lanes=1))
    with pytest.raises(UsageError, match=r"^a: cannot add \(2, 4, 5, 4\) .* to \(2, 4, 6, 4\) "):
        Add(name="a", left=stream(), right=stream(width=6))
