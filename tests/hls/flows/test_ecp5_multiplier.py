# SPDX-License-Identifier: Apache-2.0
"""The ECP5's multiplier in the place of the portable one: the same values in the same cycles."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from framegate.hls import flows
from framegate.hls.emit import hardware
from framegate.hls.kernels import Kernel
from framegate.rtl_sim.simulator import Simulator

from tests.kernels import bench
from tests.kernels.test_depthwise import CASES as DEPTHWISE
from tests.kernels.test_matvec import CASES as MATVEC
from tests.kernels.test_matvec import matvec

KERNELS = {
    "pairs": MATVEC["pairs-4bit-signed"],
    "single": MATVEC["signed-8bit"],
    "depthwise": next(iter(DEPTHWISE.values())),
    "wider than a multiplier": replace(matvec(2, 1, 2, weight_bits=8, bits=18), name="wide"),
}


@pytest.mark.parametrize("name", KERNELS)
def test_values_and_cycles(
    name: str, tmp_path: Path, icarus: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "hardware", lambda kernel: _ecp5(kernel, tmp_path))
    bench.check_kernel(KERNELS[name], tmp_path, simulator=icarus)


def _ecp5(kernel: Kernel, folder: Path) -> list[Path]:
    multiplier = folder / "multiplier.sv"
    shutil.copy(Path(flows.__file__).with_name("ecp5_multiplier.sv"), multiplier)
    others = [path for path in hardware(kernel) if path.name != multiplier.name]
    return [*others, multiplier, Path(__file__).with_name("mult18x18d.sv")]
