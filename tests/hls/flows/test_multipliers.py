# SPDX-License-Identifier: Apache-2.0
"""A device's own multiplier in the place of the portable one: the same values in the same cycles."""

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


# Of AMD's: rows that share a multiplier of 27 bits, and multipliers that add their products.
WIDE_KERNELS = {
    **{name: kernel for name, kernel in MATVEC.items() if name.startswith("27-bit")},
    "single": MATVEC["signed-8bit"],
    "depthwise": next(iter(DEPTHWISE.values())),
    "wider than a multiplier": replace(
        matvec(2, 1, 3, weight_bits=8, bits=18), name="wide", factor_bits=27, cascade=2
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_of_the_ecp5(name: str, tmp_path: Path, icarus: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    _check(KERNELS[name], "fg_multiplier_ecp5.sv", "mult18x18d.sv", tmp_path, icarus, monkeypatch)


@pytest.mark.parametrize("name", WIDE_KERNELS)
def test_of_ultrascale(name: str, tmp_path: Path, icarus: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    _check(WIDE_KERNELS[name], "fg_multiplier_xilinx.sv", "dsp48e2.sv", tmp_path, icarus, monkeypatch)


def _check(
    kernel: Kernel,
    part: str,
    model: str,
    folder: Path,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Simulate `kernel` with the flow's `part` in the place of fg_multiplier.sv, on a `model` of the device's own."""
    multiplier = folder / "fg_multiplier.sv"
    shutil.copy(Path(flows.__file__).with_name(part), multiplier)
    others = [path for path in hardware(kernel) if path.name != multiplier.name]
    monkeypatch.setattr(bench, "hardware", lambda _: [*others, multiplier, Path(__file__).with_name(model)])
    bench.check_kernel(kernel, folder, simulator=simulator)
