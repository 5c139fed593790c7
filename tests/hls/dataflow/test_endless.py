# SPDX-License-Identifier: Apache-2.0
"""Designs that run for ever: their scores are those of clips, from the first frames on."""

from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.dataflow.endless import endless
from framegate.hls.dataflow.graph import Dataflow, load_dataflow
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import SlidingMean
from framegate.hls.schedule.schedule import schedule
from framegate.hls.targets import Target, load_target
from framegate.rtl_sim import reference

from tests.dataflows import random_pixels, residual, two_rates

NETWORKS = {
    "shift": residual(frames=4, online=True),
    "two-rates": two_rates(frames=8, ratio=4, causal=True),
    "half-rate": two_rates(frames=8, ratio=2, causal=True),
}


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target("ulx3s-85f")


@pytest.mark.parametrize("name", NETWORKS)
def test_after_the_frames_of_a_clip_the_score_is_the_clips(name: str) -> None:
    clips = random_pixels(NETWORKS[name], 3)
    running = endless(NETWORKS[name])
    assert running.window == NETWORKS[name].pixels.frames
    assert np.array_equal(reference.logits(running, clips), reference.logits(NETWORKS[name], clips))


def test_a_score_comes_for_every_step() -> None:
    steps = {name: endless(network).pixels.frames for name, network in NETWORKS.items()}
    assert steps == {"shift": 1, "two-rates": 4, "half-rate": 2}


def test_the_score_is_of_the_last_frames() -> None:
    running = endless(NETWORKS["shift"])
    frames = random_pixels(running, 12)
    values = dict(reference.outputs(running, frames))
    mean = running.kernel("segments")
    assert isinstance(mean, SlidingMean)
    per_frame = values["head"].reshape(12, -1)
    expected = [per_frame[max(0, end - 4) : end].sum(axis=0) for end in range(1, 13)]
    assert np.array_equal(values["segments"].reshape(12, -1), np.stack(expected))


def test_every_step_has_the_same_latency(target: Target) -> None:
    complete, times = schedule(fold(endless(NETWORKS["two-rates"]), target, 50, 10_000), 50)
    assert times.latency_cycles > 0
    assert times.clips_per_second == pytest.approx(times.frames_per_second / 4)
    assert complete.window == 8


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (residual(), r"^stage1_shift: looks 1 frames ahead.*shift=online or causal=true$"),
        (two_rates(), r"^fast_gather: looks 1 frames ahead"),
        (
            two_rates(frames=6, ratio=4, causal=True),
            r"score every 4 frames, which do not divide the 6 frames",
        ),
    ],
)
def test_what_cannot_run_for_ever_is_refused(network: Dataflow, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        endless(network)


def test_it_survives_the_file(tmp_path: Path, target: Target) -> None:
    folded = fold(endless(NETWORKS["shift"]), target, 50, 10_000)
    loaded = load_dataflow(folded.save(tmp_path / "dataflow.json"))
    assert loaded.window == 4
    assert loaded.pixels == folded.pixels
