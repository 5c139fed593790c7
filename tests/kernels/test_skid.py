# SPDX-License-Identifier: Apache-2.0
"""The skid buffer: invisible in values and cycles, and its `ready` waits for nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from framegate.hls.kernels import Skid
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels import bench as kernel_bench
from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {
    "two-lanes": Skid(name="s", input=stream()),
    "one-bit": Skid(name="s", input=stream(bits=1, lanes=1)),
    "one-beat": Skid(name="s", input=stream(height=1, width=1, lanes=4, signed=True)),
}


@each(CASES)
def test_values_and_cycles(kernel: Skid, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["two-lanes"], tmp_path, simulator="verilator")


def test_it_takes_one_beat_while_the_reader_sleeps(tmp_path: Path, icarus: Simulator) -> None:
    kernel = CASES["two-lanes"]
    clips = random_clips(kernel.input, kernel_bench.CLIPS, 0)
    offers = np.zeros(kernel_bench.CLIPS * kernel.input.beats, dtype=np.int64)
    made = kernel_bench._bench(kernel, tmp_path, [clips], [offers], icarus)
    bench = replace(made, outputs=(replace(made.outputs[0], accepts=np.arange(256) >= 100),))
    bench.build()
    assert (bench.run(20_000)["in"].cycles < 100).sum() == 1


def test_reference_is_the_input() -> None:
    values = random_clips(stream(), 2, 0)
    assert np.array_equal(CASES["two-lanes"].reference(values), values)
