# SPDX-License-Identifier: Apache-2.0
"""The schedule: nothing waits for room, every clip takes the same time, no FIFO is a beat too deep."""

import json
from pathlib import Path

import numpy as np
import pytest
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Bursts, Fifo, MatVec, Pace, Skid, Width, each_beat
from framegate.hls.schedule.schedule import (
    Schedule,
    _timing,
    latencies,
    passages_of,
    pixel_times,
    result_times,
    schedule,
)
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target

from tests.dataflows import residual

Designs = dict[str, tuple[Dataflow, Schedule]]
NAMES = ["bidirectional", "online", "slow", "two-stages", "odd-size"]


@pytest.fixture(scope="module")
def designs() -> Designs:
    target = load_target("ulx3s-85f")
    folded = {
        "bidirectional": fold(residual(), target, 50, 100_000),
        "online": fold(residual(online=True), target, 50, 100_000),
        "slow": fold(residual(), target, 50, 10_000),
        "two-stages": fold(residual(size=16, widths=(8, 8, 16)), target, 50, 20_000),
        "odd-size": fold(residual(size=11, frames=2), target, 50),
    }
    return {name: schedule(dataflow, 50) for name, dataflow in folded.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_clip_takes_the_same_time_and_the_pattern_repeats(name: str, designs: Designs) -> None:
    complete, times = designs[name]
    passages = passages_of(complete, 7)
    assert set(latencies(passages, complete)) == {times.latency_cycles}
    period = times.initiation_interval * complete.pixels.frames
    assert set(np.diff(result_times(passages, complete))) == {period}
    for link, passage in passages.items():
        clips = passage.taken.reshape(7, -1)
        assert (np.diff(clips[2:], axis=0) == period).all(), str(link)


@pytest.mark.parametrize("name", NAMES)
def test_only_fifos_and_the_pace_let_a_beat_wait(name: str, designs: Designs) -> None:
    complete, _ = designs[name]
    for link, passage in passages_of(complete, 4).items():
        if link.producer == PIXELS or isinstance(complete.kernel(link.producer), Fifo):
            continue
        assert np.array_equal(passage.offered, passage.taken), str(link)


@pytest.mark.parametrize("name", NAMES)
def test_a_fifo_is_as_deep_as_it_is_ever_full(name: str, designs: Designs) -> None:
    complete, times = designs[name]
    passages = passages_of(complete, 6)
    fifos = [kernel for kernel in complete.kernels if isinstance(kernel, Fifo)]
    assert [(fifo.name, fifo.depth) for fifo in fifos] == [(fifo.name, fifo.depth) for fifo in times.fifos]
    for fifo in fifos:
        entered = passages[complete.links_into(fifo.name)[0]].taken
        left = passages[complete.links_from(fifo.name)[0]].taken
        held = np.zeros(left[-1] + 2, dtype=int)
        np.add.at(held, entered, 1)  # counted from the cycle in which it enters
        np.add.at(held, left + 1, -1)  # to the one in which it leaves
        assert np.cumsum(held).max() == fifo.depth


@pytest.mark.parametrize("name", NAMES)
def test_the_interval_is_no_shorter_than_the_slowest_kernel(name: str, designs: Designs) -> None:
    complete, times = designs[name]
    frames = complete.pixels.frames
    kernels = [kernel for kernel in complete.kernels if not isinstance(kernel, Pace)]
    slowest = max(-(-kernel.cycles_per_clip // frames) for kernel in kernels)
    assert slowest <= times.initiation_interval <= slowest * 1.05
    assert complete.kernels[0].name == "pace"
    assert complete.kernels[0].interval == times.initiation_interval  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_the_summary_follows_from_the_times(name: str, designs: Designs) -> None:
    complete, times = designs[name]
    passages = passages_of(complete, 1)
    last_pixel = pixel_times(passages, complete)[0, -1]
    assert times.after_last_pixel == result_times(passages, complete)[0] - last_pixel
    assert times.latency_ms == pytest.approx(times.latency_cycles / 50e6 * 1e3)
    assert times.frames_per_second == pytest.approx(50e6 / times.initiation_interval)
    assert times.clips_per_second == pytest.approx(times.frames_per_second / complete.pixels.frames)
    macs = slots = 0
    for kernel in complete.kernels:
        if isinstance(kernel, MatVec):
            out = kernel.outputs[0]
            macs += out.height * out.width * kernel.weights.size
            slots += kernel.pe * kernel.simd
    assert times.mac_utilization == pytest.approx(macs / (slots * times.initiation_interval))
    assert [entry.name for entry in times.kernels] == [
        kernel.name for kernel in complete.kernels if not isinstance(kernel, Fifo | Skid)
    ]
    assert all(0 <= entry.first_in <= entry.first_out <= entry.last_out for entry in times.kernels)
    assert times.kernels[-1].last_out == times.latency_cycles


def test_no_shift_ahead_means_less_latency(designs: Designs) -> None:
    ahead, online = designs["bidirectional"][1], designs["online"][1]
    assert online.after_last_pixel < ahead.after_last_pixel
    assert online.latency_cycles < ahead.latency_cycles


def test_the_file_says_the_same(designs: Designs, tmp_path: Path) -> None:
    times = designs["online"][1]
    plain = json.loads(times.save(tmp_path / "latency.json").read_text())
    assert plain["latency_cycles"] == times.latency_cycles
    assert plain["fifos"] == [
        {"name": fifo.name, "depth": fifo.depth, "bits": fifo.bits} for fifo in times.fifos
    ]
    assert len(plain["kernels"]) == len(times.kernels)


def test_a_kernel_that_knows_no_bursts_gets_beats() -> None:
    """As what is read from a window: a kernel that is added need not know them."""
    width = Width(
        name="w",
        input=Stream(frames=1, height=2, width=3, channels=4, bits=4, signed=False, lanes=2),
        lanes=4,
    )
    bursts = Bursts(np.array([3, 9, 20]), 4)
    timing, _ = _timing(width, [bursts], free=True)
    assert np.array_equal(timing.appears, width.timing(each_beat(bursts)).appears)
