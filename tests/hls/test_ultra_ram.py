# SPDX-License-Identifier: Apache-2.0
"""UltraRAM: which buffers are kept in it, that nothing else changes, and that synthesis counts as many."""

from pathlib import Path

import pytest
from framegate.hls.dataflow import Dataflow
from framegate.hls.fit import total_cost
from framegate.hls.flows.utilization import utilization
from framegate.hls.folding import fold
from framegate.hls.kernels import Buffer, Fifo, Kernel, Window
from framegate.hls.schedule import passages_of, schedule
from framegate.hls.targets import load_target
from framegate.hls.ultra_ram import in_ultra_ram

from tests.dataflows import residual
from tests.hls.flows.design import design_of
from tests.kernels.bench import stream

BOARD = load_target("kv260")
WIDE = stream(frames=1, height=16, width=160, channels=128, lanes=16)


@pytest.fixture(scope="module")
def complete() -> Dataflow:
    """Large frames of many channels: two FIFOs and a line buffer take some block RAMs each."""
    without = BOARD.model_copy(update={"uram": 0})
    return schedule(fold(residual(frames=2, size=128, widths=(64, 64)), without, 200, 1000), 200)[0]


def test_large_buffers_are_in_it_while_there_are_any(complete: Dataflow) -> None:
    whole = in_ultra_ram(complete, BOARD)
    taken = total_cost(whole).uram
    assert taken > 1
    assert total_cost(whole).bram < total_cost(complete).bram
    for uram in range(0, BOARD.uram, 4):
        assert total_cost(in_ultra_ram(complete, BOARD.model_copy(update={"uram": uram}))).uram <= uram
    assert in_ultra_ram(complete, load_target("zcu102")).kernels == complete.kernels, "it has none"
    assert in_ultra_ram(whole, BOARD).kernels == whole.kernels, "moved once"


def test_only_where_it_is_the_smaller_share(complete: Dataflow) -> None:
    before = {kernel.name: kernel.cost() for kernel in complete.kernels}
    moved = [kernel for kernel in in_ultra_ram(complete, BOARD).kernels if isinstance(kernel, Buffer)]
    for kernel in moved:
        share = before[kernel.name].bram / BOARD.bram
        assert kernel.ultra == (share > kernel.cost().uram / BOARD.uram if kernel.ultra else False)


def test_no_cycle_changes(complete: Dataflow) -> None:
    moved = in_ultra_ram(complete, BOARD)
    for before, after in zip(passages_of(complete, 2).values(), passages_of(moved, 2).values(), strict=True):
        assert (before.taken == after.taken).all()


@pytest.mark.parametrize(
    "kernel",
    [
        Fifo(name="fifo", input=WIDE, depth=5000, ultra=True),
        Window(
            name="window",
            input=WIDE,
            kernel=(3, 3),
            stride=(1, 1),
            padding=(1, 1, 1, 1),
            ultra=True,
        ),
    ],
    ids=lambda kernel: kernel.name,
)
def test_synthesis_counts_as_many(kernel: Kernel, tmp_path: Path) -> None:
    design_of(kernel, tmp_path / "rtl")
    found = utilization(tmp_path / "rtl", BOARD, tmp_path / "flow", lambda step: None)
    assert (found.uram, found.bram) == (kernel.cost().uram, 0)
