# SPDX-License-Identifier: Apache-2.0
"""A FIFO that is one beat shorter than computed makes a beat late: the depths are minimal."""

from dataclasses import replace
from pathlib import Path

import pytest
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.fold import fold
from framegate.hls.kernels import Fifo
from framegate.hls.schedule.schedule import Schedule, schedule
from framegate.hls.targets import load_target
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify

from tests.dataflows import random_pixels, residual, two_rates
from tests.slow import slow_if

Design = tuple[Dataflow, Schedule]
TARGET = load_target("ulx3s-85f")
DESIGNS: dict[str, Design] = {
    "two-stages": schedule(fold(residual(size=8, widths=(8, 8, 16)), TARGET, 50, 40_000), 50),
    "lateral": schedule(fold(two_rates(), TARGET, 50, 60_000), 50),
}
CASES = [(name, fifo.name) for name, (_, times) in DESIGNS.items() for fifo in times.fifos]
LIKE_OTHERS = [
    case for case in CASES if case[0] == "two-stages"
]  # residual blocks as well, with the same FIFOs
LIKE_OTHERS += [
    ("lateral", name)
    for name in ("slow_window_fifo", "slow_frames_fifo", "lateral_gather_fifo", "features_right_fifo")
]


@pytest.mark.parametrize(("design", "fifo"), slow_if(LIKE_OTHERS.__contains__, CASES))
def test_one_beat_less_stalls(design: str, fifo: str, tmp_path: Path, rapid: Simulator) -> None:
    complete, times = DESIGNS[design]
    rtl = emit(shortened(complete, fifo), times, tmp_path / "rtl")
    verdict = verify(complete, rtl, random_pixels(complete, 4), tmp_path / "sim", simulator=rapid, probe=True)
    assert verdict.mismatches == 0, "a stall changes no value"
    assert verdict.late is not None


def shortened(complete: Dataflow, name: str) -> Dataflow:
    """The design with a beat less room in one FIFO."""
    kernels = [
        replace(kernel, depth=kernel.depth - 1)
        if isinstance(kernel, Fifo) and kernel.name == name
        else kernel
        for kernel in complete.kernels
    ]
    return replace(complete, kernels=tuple(kernels))


def test_the_cases_cover_residual_and_lateral_fifos() -> None:
    assert {"stage1_add_right_fifo", "lateral_gather_fifo", "concat_left_fifo"} <= {fifo for _, fifo in CASES}
