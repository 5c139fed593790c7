# SPDX-License-Identifier: Apache-2.0
"""Concatenation: the channels of one stream, then those of another."""

from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Concat
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {
    "equal": Concat(name="c", left=stream(), right=stream()),
    "wide-and-narrow": Concat(name="c", left=stream(channels=6), right=stream(channels=2)),
    "one-lane": Concat(name="c", left=stream(lanes=1), right=stream(channels=3, lanes=1)),
    "signs-and-bits": Concat(name="c", left=stream(signed=True, bits=5), right=stream(bits=3)),
    "one-beat-each": Concat(name="c", left=stream(lanes=4), right=stream(lanes=4, bits=6)),
}


@each(CASES)
def test_values_and_cycles(kernel: Concat, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["signs-and-bits"], tmp_path, simulator="verilator")


def test_left_comes_first() -> None:
    kernel = CASES["wide-and-narrow"]
    left, right = random_clips(kernel.left, 2, 0), random_clips(kernel.right, 2, 1)
    both = kernel.reference(left, right)
    assert np.array_equal(both[..., :6], left)
    assert np.array_equal(both[..., 6:], right)


def test_lanes_for_fits_both_inputs() -> None:
    kernel = Concat(name="c", left=stream(channels=12, lanes=1), right=stream(channels=8, lanes=1))
    assert [kernel.lanes_for(offered) for offered in (1, 2, 4, 12)] == [1, 2, 4, 4]


@pytest.mark.parametrize("changes", [{"frames": 3}, {"height": 5}, {"lanes": 1}])
def test_streams_that_differ_are_refused(changes: dict) -> None:
    with pytest.raises(UsageError, match=r"^c: cannot concatenate .* same frames, pixels and lanes$"):
        Concat(name="c", left=stream(), right=stream(**changes))
