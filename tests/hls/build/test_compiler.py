# SPDX-License-Identifier: Apache-2.0
"""Compilation as a whole: what is said to fit does so with its FIFOs."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.hls.build.compiler import CompileReport, compile_hardware
from framegate.hls.build.files import HARDWARE
from framegate.hls.dataflow.graph import load_dataflow
from framegate.hls.kernels import Fifo
from framegate.hls.targets import Target, load_target


def compiled(
    lowered: Callable, build: Path, target: Target, rate: float | None = None
) -> tuple[CompileReport, int]:
    """The report of a small network on `target`, and the LUTs of its FIFOs."""
    build.mkdir()
    shutil.copy(lowered("projections").build / HARDWARE, build)
    report = compile_hardware(build, target, frames_per_second=rate, clock_mhz=50)
    kernels = load_dataflow(build / "dataflow.json").kernels
    return report, sum(kernel.cost().lut for kernel in kernels if isinstance(kernel, Fifo))


@pytest.fixture
def scarce() -> Target:
    """A device on which LUTs count for much already, so that one less changes no choice between LUTs and others."""
    return load_target("ulx3s-85f").model_copy(update={"lut": 10_500})


def test_a_design_makes_room_for_its_fifos(lowered: Callable, tmp_path: Path, scarce: Target) -> None:
    free, fifos = compiled(lowered, tmp_path / "free", scarce)
    assert fifos > 1
    tight = scarce.model_copy(update={"lut": free.lut - 1})
    smaller, _ = compiled(lowered, tmp_path / "tight", tight)
    assert smaller.lut < free.lut
    assert smaller.initiation_interval > free.initiation_interval


def test_a_rate_whose_fifos_have_no_room_is_refused(
    lowered: Callable, tmp_path: Path, scarce: Target
) -> None:
    free, _ = compiled(lowered, tmp_path / "free", scarce, rate=50_000)
    tight = scarce.model_copy(update={"lut": free.lut - 1})
    with pytest.raises(
        UsageError, match=rf"needs [\d,]+ LUT of {free.lut - 1:,} \(1 too many: .* on ulx3s-85f"
    ):
        compiled(lowered, tmp_path / "tight", tight, rate=50_000)
