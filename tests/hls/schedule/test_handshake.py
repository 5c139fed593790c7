# SPDX-License-Identifier: Apache-2.0
"""Skid buffers: no long chain of `ready` signals is left, and no beat passes in another cycle."""

import pytest
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Fifo, Skid
from framegate.hls.schedule import handshake
from framegate.hls.schedule.handshake import with_skids
from framegate.hls.schedule.schedule import schedule
from framegate.hls.targets import load_target

from tests.dataflows import residual, separable, two_rates


@pytest.mark.parametrize("made", [residual(widths=(8, 8, 16)), separable(), two_rates()])
def test_no_chain_is_longer_than_the_longest(made: Dataflow) -> None:
    complete, _ = schedule(fold(made, load_target("ulx3s-85f"), 50, 20_000), 50)
    assert any(isinstance(kernel, Skid) for kernel in complete.kernels)
    assert with_skids(complete).kernels == complete.kernels, "placed once, nothing is left to cut"
    for kernel in complete.kernels:
        if isinstance(kernel, Skid):
            producer = complete.links_into(kernel.name)[0].producer
            assert not isinstance(complete.kernel(producer), Fifo), "a beat waits behind a FIFO"


def test_a_design_has_the_same_times_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fold(residual(), load_target("ulx3s-85f"), 50, 20_000)
    _, times = schedule(made, 50)
    monkeypatch.setattr(handshake, "_LONGEST", 1000)
    complete, without = schedule(made, 50)
    assert not any(isinstance(kernel, Skid) for kernel in complete.kernels)
    assert without == times
