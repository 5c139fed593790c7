# SPDX-License-Identifier: Apache-2.0
"""A kernel as a design, for the flows."""

import shutil
from pathlib import Path

from framegate.hls.emission.emit import file_name, image, image_parameters
from framegate.hls.flows.flow import DESIGN
from framegate.hls.kernels import Kernel, hardware


def design_of(kernel: Kernel, rtl: Path) -> None:
    """Write a kernel with one input and one output to `rtl`."""
    instance = kernel.instance()
    rtl.mkdir()
    for source in hardware(kernel):
        shutil.copy(source, rtl)
    for memory in instance.memories:
        (rtl / file_name(memory)).write_text(image(memory))
    values = {**instance.parameters, **image_parameters(instance.memories, "")}
    parameters = ", ".join(f".{name}({value})" for name, value in values.items())
    memories = max(len(kernel.load_words), 1)
    load = (
        f"input load_rst, input [{memories - 1}:0] load, input [31:0] load_data," if kernel.LOADABLE else ""
    )
    taken, driven = kernel.inputs[0].beat_bits, kernel.outputs[0].beat_bits
    (rtl / f"{DESIGN}.sv").write_text(f"""\
module {DESIGN} (
    input clk, rst, in_valid, out_ready, input [{taken - 1}:0] in_data,
    {load}
    output in_ready, out_valid, output [{driven - 1}:0] out_data
);
    {instance.module} #({parameters}) u_kernel (.*);
endmodule
""")
