# SPDX-License-Identifier: Apache-2.0
"""The pace: as many beats per interval as a frame has, evenly, and none lost."""

from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Pace
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {
    "uneven": Pace(name="p", input=stream(), interval=57),
    "as-fast-as-beats": Pace(name="p", input=stream(), interval=40),
    "one-cycle-more": Pace(name="p", input=stream(), interval=41),
    "one-cycle-less-than-twice": Pace(name="p", input=stream(), interval=79),
    "whole-ratio": Pace(name="p", input=stream(), interval=160),
    "slow": Pace(name="p", input=stream(height=1, width=3, lanes=4), interval=100),
    "one-beat": Pace(name="p", input=stream(height=1, width=1, lanes=4), interval=9),
    "one-beat-every-cycle": Pace(name="p", input=stream(height=1, width=1, lanes=4), interval=1),
}


@each(CASES)
def test_values_and_cycles(kernel: Pace, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["uneven"], tmp_path, simulator="verilator")


@each(CASES)
def test_a_source_that_always_offers_gets_one_frame_per_interval_evenly(kernel: Pace) -> None:
    beats = kernel.input.beats_per_frame
    taken = kernel.timing(np.zeros(3 * beats, dtype=np.int64)).taken[0]
    assert (taken[beats:] - taken[:-beats] == kernel.interval).all()
    even = np.arange(3 * beats) * kernel.interval / beats
    assert (np.abs(taken - even) < 1).all()


@each(CASES)
def test_a_pause_is_never_caught_up(kernel: Pace) -> None:
    offers = np.cumsum(np.random.default_rng(0).integers(0, 8, 4 * kernel.input.beats))
    taken = kernel.timing(offers).taken[0]
    assert (taken >= offers).all()
    assert (np.diff(taken) >= kernel.interval // kernel.input.beats_per_frame).all()
    frame = kernel.input.beats_per_frame
    assert (taken[frame:] - taken[:-frame] >= kernel.interval).all()


def test_reference_is_the_input() -> None:
    values = random_clips(stream(), 2, 0)
    assert np.array_equal(CASES["uneven"].reference(values), values)


def test_an_interval_shorter_than_the_frame_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^p: 40 beats do not fit 39 cycles; use an interval of at least 40$"
    ):
        Pace(name="p", input=stream(), interval=39)
