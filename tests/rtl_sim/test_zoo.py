# SPDX-License-Identifier: Apache-2.0
"""Every family of networks, tiny, from Brevitas to the last beat of the RTL."""

from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.hls.build.compiler import compile_hardware
from framegate.hls.build.files import DATAFLOW, HARDWARE, QONNX, RTL
from framegate.hls.dataflow.graph import load_dataflow
from framegate.hls.lowering.graphs import run, run_qonnx
from framegate.hls.lowering.lower import load, lower
from framegate.hls.targets import load_target
from framegate.quant.networks.checkpoint import logits
from framegate.rtl_sim import reference
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify

from tests.networks import Exported, exported, random_clips
from tests.quant.families import CAUSAL, OPTIONS, large_ones_slow, small
from tests.slow import slow_if

RATE = 60_000.0  # frames per second: few cycles to simulate


@pytest.mark.parametrize("name", large_ones_slow(OPTIONS))
def test_every_value_and_every_cycle(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, rapid: Simulator
) -> None:
    check(exported(small(name), 1, tmp_path_factory), tmp_path, rapid, stream=False)


@pytest.mark.parametrize("name", slow_if(CAUSAL.__contains__, ["tsm-lite", *CAUSAL]))
def test_a_stream_gives_the_scores_of_clips(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, rapid: Simulator
) -> None:
    config = small(name, causal=True) if name in CAUSAL else small(name)
    assert config.streams
    check(exported(config, 1, tmp_path_factory), tmp_path, rapid, stream=True)


def check(made: Exported, work: Path, simulator: Simulator, *, stream: bool) -> None:
    """Two clips down the ladder: every rung gives Brevitas' integers, and every stream is on time."""
    network = made.network
    clips = random_clips(network.config, 2, seed=2)
    lower(made.copied(work / QONNX), work)
    compile_hardware(work, load_target("kv260"), frames_per_second=RATE, clock_mhz=200, stream=stream)
    dataflow = load_dataflow(work / DATAFLOW)
    expected = logits(network, torch.from_numpy(clips)).numpy() / dataflow.logit_scale
    assert len(np.unique(expected)) > 2, "the network tells nothing apart: this would prove nothing"
    assert np.array_equal(run_qonnx(load(work / QONNX), clips) / dataflow.logit_scale, expected)
    assert np.array_equal(run(load(work / HARDWARE), clips), expected)
    assert np.array_equal(reference.logits(dataflow, clips), expected)
    verdict = verify(
        dataflow, work / RTL, dataflow.taken(clips), work / "sim", simulator=simulator, probe=True
    )
    assert (verdict.mismatches, verdict.first_mismatch, verdict.late, verdict.jitter) == (0, None, None, 0)
    assert set(verdict.measured) == {verdict.predicted}
