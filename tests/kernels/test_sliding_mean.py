# SPDX-License-Identifier: Apache-2.0
"""The sum over the last frames of a stream without an end."""

from pathlib import Path

import numpy as np
from framegate.hls.kernels import Mean, SlidingMean
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream


def sliding(window: int, frames: int, **changes: int | bool) -> SlidingMean:
    return SlidingMean(name="s", input=stream(frames=frames, height=1, width=1, **changes), window=window)


CASES = {
    "every-frame": sliding(3, 1),
    "every-second-frame": sliding(4, 2, signed=True),
    "longer-steps-than-the-window": sliding(2, 3),
    "one-frame": sliding(1, 1, lanes=4),
    "one-lane": sliding(5, 1, lanes=1, signed=True, bits=6),
}


@each(CASES)
def test_values_and_cycles(kernel: SlidingMean, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["every-second-frame"], tmp_path, simulator="verilator")


@each(CASES)
def test_it_is_the_sum_of_the_last_frames(kernel: SlidingMean) -> None:
    values = random_clips(kernel.input, 4, 0)
    frames = values.reshape(-1, *values.shape[2:])
    ends = range(kernel.input.frames, len(frames) + 1, kernel.input.frames)
    expected = [frames[max(0, end - kernel.window) : end].sum(axis=0) for end in ends]
    assert np.array_equal(kernel.reference(values)[:, 0], np.stack(expected))


def test_after_a_window_it_is_the_mean_over_that_clip() -> None:
    values = random_clips(stream(frames=4, height=1, width=1), 1, 0)
    clip = Mean(name="m", input=stream(frames=4, height=1, width=1), over="clip").reference(values)
    steps = values.reshape(4, 1, *values.shape[2:])
    assert np.array_equal(sliding(4, 1).reference(steps)[-1], clip[0])
