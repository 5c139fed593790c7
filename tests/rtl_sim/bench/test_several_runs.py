# SPDX-License-Identifier: Apache-2.0
"""Several runs of one build, with one start of the simulator."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import FramegateError
from framegate.rtl_sim.bench.simulator import Bench, Simulator

from tests.rtl_sim.bench.test_simulator import CHANGED, COUNTS, STARTED, bench


def three_paces(made: Bench) -> list[Bench]:
    """The bench itself, one with other words, and one whose source and sink pause."""
    source, sink = made.inputs[0], made.outputs[0]
    slow = replace(source, offers=np.array([0, 3, 20, 21]))
    return [
        made,
        replace(made, inputs=(replace(source, words=[9, 8, 7, 6]),)),
        replace(made, inputs=(slow,), outputs=(replace(sink, accepts=np.array([False, False, True])),)),
    ]


def test_each_of_several_runs_starts_from_nothing(simulator: Simulator, tmp_path: Path) -> None:
    made = bench(COUNTS, tmp_path, simulator)
    made.build()
    runs = three_paces(made)
    together, alone = made.run_each(runs, 300), [run.run(300) for run in runs]
    assert [recorded["out"].words for recorded in together] == [[1, 3, 1, 249], [9, 9, 5, 5], [1, 3, 1, 249]]
    for several, one in zip(together, alone, strict=True):
        for port in ("in", "out"):
            assert several[port].words == one[port].words
            assert several[port].cycles.tolist() == one[port].cycles.tolist()


def test_of_several_runs_the_one_that_fails_is_named(simulator: Simulator, tmp_path: Path) -> None:
    made = bench(CHANGED, tmp_path, simulator)
    made.build()
    always, _, paused = three_paces(made)
    with pytest.raises(
        FramegateError,
        match=rf"^dut stopped in {simulator}{STARTED[simulator]}: stream out: beat [0-9a-f]{{2}} was withdrawn "
        r"or changed while it waited, at time \d+.* \(log: \S+/run1/run\.log\)$",
    ):
        made.run_each((always, paused, always), 300)
