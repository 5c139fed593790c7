# SPDX-License-Identifier: Apache-2.0
"""FrameGather among FINN's RTL operators, which its builder specializes and generates."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.rtl import register_custom_op
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from framegate.hls.kernels import hardware
from framegate.hls.operators.frame_gather import FrameGather
from onnx import GraphProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation

RTL_DOMAIN = "finn.custom_op.fpgadataflow.rtl"  # the only one that FINN's builder takes RTL from


@register_custom_op
class FrameGather_rtl(FrameGather, RTLBackend):  # noqa: N801  FINN finds the variant by this name
    """FrameGather for FINN's builder: our kernel behind FINN's port names."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Attributes of both bases."""
        return {**FrameGather.get_nodeattr_types(self), **RTLBackend.get_nodeattr_types(self)}

    def generate_hdl(self, model: ModelWrapper, fpgapart: str, clk: float) -> None:
        """Write the kernel and its wrapper to `code_gen_dir_ipgen`."""
        top = self.get_verilog_top_module_name()
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        self.set_nodeattr("gen_top_module", top)
        for source in hardware(self.kernel()):
            shutil.copy(source, folder)
        (folder / f"{top}.v").write_text(self._wrapper(top))
        self.set_nodeattr("ipgen_path", str(folder))
        self.set_nodeattr("ip_path", str(folder))

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """The files that `generate_hdl` wrote, the kernel first."""
        sources = [path.name for path in hardware(self.kernel())]
        names = [*sources, f"{self.get_nodeattr('gen_top_module')}.v"]
        folder = Path(self.get_nodeattr("code_gen_dir_ipgen"))
        return [str(folder / name) for name in names] if abspath else names

    def code_generation_ipi(self) -> list[str]:
        """Tcl that puts the node into a Vivado block design."""
        files = [f"add_files -norecurse {name}" for name in self.get_rtl_file_list(abspath=True)]
        top = self.get_nodeattr("gen_top_module")
        return [*files, f"create_bd_cell -type module -reference {top} {self.onnx_node.name}"]

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Python by default, FINN's RTL simulation when `exec_mode` asks for it."""
        base = RTLBackend if self.get_nodeattr("exec_mode") == "rtlsim" else FrameGather
        base.execute_node(self, context, graph)

    def _wrapper(self, top: str) -> str:
        instance = self.kernel().instance()
        parameters = ", ".join(f".{name}({value})" for name, value in instance.parameters.items())
        bits, port = self.get_instream_width(), self.get_instream_width_padded()
        return _WRAPPER.format(
            top=top,
            module=instance.module,
            parameters=parameters,
            high=bits - 1,
            port=port - 1,
            spare=port - bits,
        )


_WRAPPER = """\
module {top} (
    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 ap_clk CLK" *)
    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF in0_V:out0_V, ASSOCIATED_RESET ap_rst_n" *)
    input           ap_clk,
    (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
    input           ap_rst_n,
    input  [{port}:0] in0_V_TDATA,
    input           in0_V_TVALID,
    output          in0_V_TREADY,
    output [{port}:0] out0_V_TDATA,
    output          out0_V_TVALID,
    input           out0_V_TREADY
);
    wire [{high}:0] gathered;
    assign out0_V_TDATA = gathered;  // {spare} spare bits on top, zero

    {module} #({parameters}) impl (
        .clk(ap_clk), .rst(!ap_rst_n),
        .in_valid(in0_V_TVALID), .in_ready(in0_V_TREADY), .in_data(in0_V_TDATA[{high}:0]),
        .out_valid(out0_V_TVALID), .out_ready(out0_V_TREADY), .out_data(gathered)
    );
endmodule
"""


class SpecializeFrameGather(Transformation):
    """Give each hardware FrameGather its RTL variant, as FINN's SpecializeLayers does for FINN's own."""

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Rename the nodes in place."""
        for node in model.get_nodes_by_op_type("FrameGather"):
            node.op_type, node.domain = "FrameGather_rtl", RTL_DOMAIN
        return model, False
