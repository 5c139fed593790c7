# SPDX-License-Identifier: Apache-2.0
"""The FIFO: order kept, never a beat lost, room for exactly its depth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Fifo
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels import bench as kernel_bench
from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {f"depth-{depth}": Fifo(name="q", input=stream(), depth=depth) for depth in (1, 2, 3, 4, 5, 8, 100)}


@each(CASES)
def test_values_and_cycles(kernel: Fifo, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["depth-5"], tmp_path, simulator="verilator")


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_a_stalled_fifo_takes_exactly_its_depth(depth: int, tmp_path: Path, icarus: Simulator) -> None:
    kernel = Fifo(name="q", input=stream(), depth=depth)
    clips = random_clips(kernel.input, kernel_bench.CLIPS, 0)
    offers = np.zeros(kernel_bench.CLIPS * kernel.input.beats, dtype=np.int64)
    made = kernel_bench._bench(kernel, tmp_path, [clips], [offers], icarus)
    closed = np.arange(256) >= 100  # the reader sleeps for the first 100 cycles
    bench = replace(made, outputs=(replace(made.outputs[0], accepts=closed),))
    bench.build()
    taken = bench.run(20_000)["in"].cycles
    assert (taken < 100).sum() == depth
    assert taken[:depth].tolist() == list(range(depth))


def test_reference_is_the_input() -> None:
    values = random_clips(stream(), 2, 0)
    assert np.array_equal(CASES["depth-3"].reference(values), values)


def test_a_fifo_without_room_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^q: a FIFO of depth 0 holds nothing; use at least 1$"):
        Fifo(name="q", input=stream(), depth=0)
