# SPDX-License-Identifier: Apache-2.0
"""The fork: both readers get everything, each at its own pace."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from framegate.hls.kernels import Fork
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.compare import compare_words

from tests.kernels import bench as kernel_bench
from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {
    "two-lanes": Fork(name="f", input=stream()),
    "one-bit": Fork(name="f", input=stream(bits=1, lanes=1)),
    "one-beat": Fork(name="f", input=stream(height=1, width=1, lanes=4, signed=True)),
}


@each(CASES)
def test_values_and_cycles(kernel: Fork, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["two-lanes"], tmp_path, simulator="verilator")


def test_readers_that_alternate_get_the_same(tmp_path: Path, icarus: Simulator) -> None:
    kernel = CASES["two-lanes"]
    clips = random_clips(kernel.input, kernel_bench.CLIPS, 0)
    offers = np.zeros(kernel_bench.CLIPS * kernel.input.beats, dtype=np.int64)
    made = kernel_bench._bench(kernel, tmp_path, [clips], [offers], icarus)
    even = np.arange(256) % 2 == 0
    left, right = (
        replace(sink, accepts=accepts) for sink, accepts in zip(made.outputs, (even, ~even), strict=True)
    )
    bench = replace(made, outputs=(left, right))
    bench.build()
    recorded = bench.run(20_000)
    for port in ("left", "right"):
        assert compare_words(port, clips, recorded[port].words, kernel.input).first is None
    assert set(recorded["left"].cycles % 2) == {0}
    assert set(recorded["right"].cycles % 2) == {1}


def test_reference_is_the_input() -> None:
    values = random_clips(stream(), 2, 0)
    assert np.array_equal(CASES["two-lanes"].reference(values), values)
