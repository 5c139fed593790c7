# SPDX-License-Identifier: Apache-2.0
"""Random graphs, folded at random: the RTL passes every beat of every stream in the predicted cycle."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.schedule.schedule import schedule
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED, NEW_SEEDS
from tests.dataflows import random_pixels
from tests.random_graphs import graphs

_SLACK = st.sampled_from([0.0, 0.0, 0.1, 1.0])  # how much slower than admitted the source is


@settings(FIXED_SEED, max_examples=8)
@given(dataflow=graphs(), slack=_SLACK)
def test_every_beat_is_on_time(dataflow: Dataflow, slack: float, quick: Simulator) -> None:
    expect_on_time(dataflow, slack, quick)


@pytest.mark.slow
@settings(FIXED_SEED, max_examples=400)
@given(dataflow=graphs(), slack=_SLACK)
def test_every_beat_of_many_graphs_is_on_time(dataflow: Dataflow, slack: float, quick: Simulator) -> None:
    expect_on_time(dataflow, slack, quick)


@pytest.mark.slow
@settings(NEW_SEEDS, max_examples=400)
@given(dataflow=graphs(), slack=_SLACK)
def test_every_beat_of_new_graphs_is_on_time(dataflow: Dataflow, slack: float, quick: Simulator) -> None:
    expect_on_time(dataflow, slack, quick)


def expect_on_time(dataflow: Dataflow, slack: float, simulator: Simulator) -> None:
    complete, times = schedule(dataflow, 50)
    pixels = random_pixels(complete, 2)
    step = times.initiation_interval * (1 + slack) * complete.pixels.frames / complete.pixels.beats
    offers = (np.arange(2 * complete.pixels.beats) * step).astype(np.int64) if slack else None
    with tempfile.TemporaryDirectory() as folder:
        rtl = emit(complete, times, Path(folder) / "rtl")
        verdict = verify(
            complete, rtl, pixels, Path(folder) / "sim", simulator=simulator, probe=True, offers=offers
        )
    assert verdict.mismatches == 0, verdict.first_mismatch
    assert verdict.late is None
    assert slack or set(verdict.measured) == {times.latency_cycles}
