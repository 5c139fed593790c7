# SPDX-License-Identifier: Apache-2.0
"""A device's own multiplier in the place of the portable one: the same values in the same cycles."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from framegate.hls import flows
from framegate.hls.kernels import Kernel, hardware
from framegate.rtl_sim.bench.simulator import Simulator

from tests import lint
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


def test_verilator_takes_the_cell_as_the_flow_sets_it(tmp_path: Path) -> None:
    registers = ", ".join(f'.REG_{name}_CLK("CLK0")' for name in ("INPUTA", "INPUTB", "OUTPUT"))
    ports = ".CLK0(clk), .CE0(1'b1), .RST0(1'b0), .A0(a), .B0(b), .P0(p)"
    netlist = tmp_path / "netlist.sv"
    netlist.write_text(
        f"module netlist (input clk, a, b, output p); MULT18X18D #({registers}) u ({ports}); endmodule\n"
    )
    said = lint.warnings([netlist, Path(__file__).with_name("mult18x18d.sv")], "netlist", "-Wno-lint")
    assert [line for line in said if line.startswith("%Error")] == []


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
    shutil.copy(next(Path(flows.__file__).parent.rglob(part)), multiplier)
    others = [path for path in hardware(kernel) if path.name != multiplier.name]
    cell = Path(__file__).with_name(model).read_text()
    for register in ("INPUTA", "INPUTB", "OUTPUT"):  # which the flow turns on in the netlist
        cell = cell.replace(f'REG_{register}_CLK = "NONE"', f'REG_{register}_CLK = "CLK0"')
    (folder / model).write_text(cell)
    monkeypatch.setattr(bench, "hardware", lambda _: [*others, multiplier, folder / model])
    bench.check_kernel(kernel, folder, simulator=simulator)
