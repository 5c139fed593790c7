# SPDX-License-Identifier: Apache-2.0
"""Absolute values: of every integer, also the smallest one."""

from pathlib import Path

from framegate.hls.kernels.absolute import Absolute
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, stream

CASES = {
    "two-lanes": Absolute(name="a", input=stream(signed=True)),
    "two-bits": Absolute(name="a", input=stream(signed=True, bits=2, lanes=4)),
}


@each(CASES)
def test_values_and_cycles(kernel: Absolute, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)
