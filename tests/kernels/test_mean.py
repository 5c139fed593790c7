# SPDX-License-Identifier: Apache-2.0
"""Sums over a frame and over a clip against loops."""

from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Mean
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {
    "frame": Mean(name="m", input=stream(), over="frame"),
    "frame-signed-odd": Mean(name="m", input=stream(height=3, width=7, signed=True, lanes=1), over="frame"),
    "frame-all-lanes": Mean(name="m", input=stream(lanes=4), over="frame"),
    "frame-of-one-pixel": Mean(name="m", input=stream(height=1, width=1), over="frame"),
    "clip-signed": Mean(name="m", input=stream(height=1, width=1, signed=True), over="clip"),
    "clip-of-pixels": Mean(name="m", input=stream(frames=3, height=2, width=3, bits=8), over="clip"),
    "clip-one-beat": Mean(name="m", input=stream(frames=8, height=1, width=1, lanes=4, bits=2), over="clip"),
    "clip-of-one-frame": Mean(name="m", input=stream(frames=1, height=1, width=1, signed=True), over="clip"),
}


@each(CASES)
def test_values_and_cycles(kernel: Mean, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["clip-signed"], tmp_path, simulator="verilator")


@each(CASES)
def test_reference_is_the_sum(kernel: Mean) -> None:
    values = random_clips(kernel.input, 2, 0)
    expected = np.zeros((2, *kernel.outputs[0].shape), dtype=np.int64)
    for clip, frame, row, column in np.ndindex(values.shape[:-1]):
        place = (clip, frame, 0, 0) if kernel.over == "frame" else (clip, 0, row, column)
        expected[place] += values[clip, frame, row, column]
    assert np.array_equal(kernel.reference(values), expected)


@each(CASES)
@pytest.mark.parametrize("end", ["low", "high"])
def test_the_output_holds_every_sum(kernel: Mean, end: str) -> None:
    values = np.full((1, *kernel.input.shape), getattr(kernel.input, end), dtype=np.int32)
    result, out = kernel.reference(values), kernel.outputs[0]
    assert out.low <= result.min()
    assert result.max() <= out.high


def test_another_mean_is_refused() -> None:
    with pytest.raises(UsageError, match=r'^m: a mean over "channel" is unknown; use "frame" or "clip"$'):
        Mean(name="m", input=stream(), over="channel")
