# SPDX-License-Identifier: Apache-2.0
"""Where the SystemVerilog of a kernel and of its parts lies."""

from pathlib import Path

from framegate.hls.kernels import Kernel

_HERE = Path(__file__).parent
STREAM_CHECK = _HERE / "parts" / "fg_stream_check.sv"  # in every simulation, nothing in a netlist


def kernel_file(kernel: Kernel) -> str:
    """The stem that a kernel's three files share; its hardware has fg_ before it, as its module."""
    return type(kernel).__module__.rsplit(".", 1)[1]


def hardware(kernel: Kernel) -> list[Path]:
    """The SystemVerilog of a kernel and of the modules that it is made of, with the one that checks its streams."""
    stems = (f"fg_{kernel_file(kernel)}", *kernel.PARTS, STREAM_CHECK.stem)
    return [next(_HERE.glob(f"**/{stem}.sv")) for stem in stems]
