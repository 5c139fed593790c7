# SPDX-License-Identifier: Apache-2.0
"""Schedules of random graphs, looked at cycle by cycle: what they promise holds for each."""

import numpy as np
import pytest
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.kernels import Fifo, Pace, Skid
from framegate.hls.schedule.handshake import with_skids
from framegate.hls.schedule.schedule import latencies, passages_of, pixel_times, result_times, schedule
from framegate.rtl_sim import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.dataflows import random_pixels
from tests.random_graphs import graphs

CLIPS = 4


def stepped(enters: list[int], leaves: list[int]) -> int:
    """The most beats that a FIFO holds, cycle by cycle; a beat leaves as the oldest, and not at once."""
    came, gone, most = 0, 0, 0
    for cycle in range(leaves[-1] + 1):
        came += came < len(enters) and enters[came] == cycle
        most = max(most, came - gone)
        if gone < len(leaves) and leaves[gone] == cycle:
            assert gone < came, "it has come"
            assert cycle >= enters[gone] + Fifo.LATENCY
            gone += 1
    assert came == gone == len(enters)
    return most


@settings(FIXED_SEED, max_examples=12)
@given(dataflow=graphs(), clock=st.sampled_from([25.0, 50.0, 200.0]))
def test_what_a_schedule_promises_holds_cycle_by_cycle(dataflow: Dataflow, clock: float) -> None:
    complete, times = schedule(dataflow, clock)
    passages = passages_of(complete, CLIPS)
    period = times.initiation_interval * dataflow.pixels.frames
    assert set(latencies(passages, complete)) == {times.latency_cycles}, "the same for each clip: no jitter"
    assert set(np.diff(result_times(passages, complete))) == {period}
    assert (np.diff(pixel_times(passages, complete), axis=1) >= 1).all()
    depths = {fifo.name: fifo.depth for fifo in times.fifos}
    for kernel in complete.kernels:
        if isinstance(kernel, Fifo):
            into, out = complete.links_into(kernel.name)[0], complete.links_from(kernel.name)[0]
            full = stepped(passages[into].taken.tolist(), passages[out].taken.tolist())
            assert full == kernel.depth == depths.pop(kernel.name)
    assert depths == {}
    for link, passage in passages.items():
        free = link.producer == PIXELS or isinstance(complete.kernel(link.producer), Fifo)
        assert free or np.array_equal(passage.offered, passage.taken), f"{link}: a beat waits"
    assert times.frames_per_second == pytest.approx(clock * 1e6 / times.initiation_interval)
    assert 0 < times.mac_utilization <= 1


@settings(FIXED_SEED, max_examples=12)
@given(graphs())
def test_a_schedule_adds_room_and_changes_no_value(dataflow: Dataflow) -> None:
    complete, _ = schedule(dataflow, 50)
    added = [kernel for kernel in complete.kernels if isinstance(kernel, Fifo | Skid | Pace)]
    kept = [kernel.name for kernel in complete.kernels if kernel not in added]
    assert kept == [kernel.name for kernel in dataflow.kernels]
    assert with_skids(complete).kernels == complete.kernels
    pixels = random_pixels(dataflow, 2)
    assert np.array_equal(reference.logits(complete, pixels), reference.logits(dataflow, pixels))


@settings(FIXED_SEED, max_examples=10)
@given(dataflow=graphs(), seed=st.integers(0, 99))
def test_a_slow_source_is_late_and_nothing_is_lost(dataflow: Dataflow, seed: int) -> None:
    """With pauses before pixels no result comes sooner, and each stream has all its beats, in order."""
    complete, _ = schedule(dataflow, 50)
    beats = CLIPS * complete.pixels.beats
    offers = np.cumsum(np.random.default_rng(seed).integers(0, 40, beats))
    fast, slow = passages_of(complete, CLIPS), passages_of(complete, CLIPS, offers)
    assert (result_times(slow, complete) >= result_times(fast, complete)).all()
    for link, passage in slow.items():
        assert len(passage.taken) == len(fast[link].taken)
        assert (np.diff(passage.taken) >= 1).all()
        assert (passage.taken >= passage.offered).all()
