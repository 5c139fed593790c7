# SPDX-License-Identifier: Apache-2.0
"""The operators that FINN lacks, as an ONNX domain: QONNX imports this module, whose name is the domain.

Importing it also registers `FrameGather_rtl` with FINN's RTL operators, and replaces QONNX's Im2Col and FINN's VVAU
by ones that are right for more than one frame on the batch axis: qonnx 1.0.0 mixes the frames, finn-plus 1.6.1 takes
one.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import qonnx.custom_op.general.im2col as stock
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.rtl import register_custom_op
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.custom_op.fpgadataflow.vectorvectoractivation import VVAU as StockVVAU  # noqa: N811  FINN's name
from framegate.hls import kernels
from framegate.hls.emit import hardware
from framegate.hls.pool_ops import ChannelMax, SumPool
from framegate.hls.stream import Stream, bits_for
from onnx import GraphProto, NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp
from qonnx.custom_op.registry import add_op_to_domain
from qonnx.transformation.base import Transformation

DOMAIN = __name__
RTL_DOMAIN = "finn.custom_op.fpgadataflow.rtl"  # the only one that FINN's builder takes RTL from

__all__ = [
    "DOMAIN",
    "ChannelMax",
    "FrameGather",
    "FrameGather_rtl",
    "FrameMean",
    "SpecializeFrameGather",
    "SumPool",
    "datatype",
]

Groups = tuple[tuple[int, int, int], ...]


def datatype(low: int, high: int) -> BaseDataType:
    """The smallest QONNX integer type that holds `low` … `high`."""
    bits, signed = bits_for(low, high)
    return DataType[f"{'INT' if signed else 'UINT'}{bits}"]


def gather(x: np.ndarray, groups: Groups, stride_t: int, axis: int, outputs: int = 0) -> np.ndarray:
    """Frames (T, …) to `outputs` frames (0: ceil(T/stride_t)); channels are on `axis`.

    Output frame j holds, per group (begin, end, offset), these channels of frame j*stride_t + offset; frames
    outside the clip are zero.
    """
    source = np.arange(outputs or -(-len(x) // stride_t)) * stride_t
    parts = []
    for begin, end, offset in groups:
        frames = source + offset
        inside = (frames >= 0) & (frames < len(x))
        part = x.take(range(begin, end), axis=axis).take(np.clip(frames, 0, len(x) - 1), axis=0)
        part[~inside] = 0
        parts.append(part)
    return np.concatenate(parts, axis=axis)


class FrameGather(HWCustomOp):
    """Output frame t: the channel ranges of `groups` from frames t*stride_t + offset, zero outside the clip.

    There are `outputs` of them, 0 standing for ceil(frames/stride_t): a 3-D convolution of k_t taps that pads its clip
    by p frames on both sides has the offsets -p … k_t-1-p and (frames + 2p - k_t)//stride_t + 1 outputs.

    In a network `frames` and `groups` (begin, end, offset, begin, …) say all. Between FINN's hardware nodes,
    `backend` is set and the stream attributes describe one clip in NHWC order.
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Attributes: (type, required, default, allowed values)."""
        return {
            **super().get_nodeattr_types(),
            "groups": ("ints", True, []),
            "stride_t": ("i", False, 1),
            "frames": ("i", True, 0),
            "outputs": ("i", False, 0),
            "data_layout": ("s", False, "NCHW", {"NCHW", "NHWC"}),
            "ImgDim": ("ints", False, []),  # [H, W]
            "NumChannels": ("i", False, 0),
            "SIMD": ("i", False, 1),
            "inputDataType": ("s", False, ""),
        }

    @property
    def groups(self) -> Groups:
        """(channel begin, channel end, frame offset) of each group."""
        flat = self.get_nodeattr("groups")
        return tuple(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))

    @property
    def axis(self) -> int:
        """Where the channels are."""
        return 1 if self.get_nodeattr("data_layout") == "NCHW" else 3

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape; the node itself while its input has no shape with channels."""
        known = model.get_tensor_shape(self.onnx_node.input[0])
        if known is None or len(known) <= self.axis:
            return self.onnx_node
        shape = list(known)
        shape[0] = self._frames_out()
        shape[self.axis] = self._gathered()
        return self.make_const_shape_op(shape)

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """The output has the input's type; every integer type holds the zeros outside the clip."""
        kind = model.get_tensor_datatype(self.onnx_node.input[0])
        if self.get_nodeattr("inputDataType"):
            self.set_nodeattr("inputDataType", kind.name)
        model.set_tensor_datatype(self.onnx_node.output[0], kind)

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on one clip, in either layout."""
        stride_t, outputs = self.get_nodeattr("stride_t"), self.get_nodeattr("outputs")
        x = context[self.onnx_node.input[0]]
        context[self.onnx_node.output[0]] = gather(x, self.groups, stride_t, self.axis, outputs)

    def verify_node(self) -> list[str]:
        """Nothing beyond the attribute types to verify."""
        return []

    def get_input_datatype(self, ind: int = 0) -> BaseDataType:
        """Type of a channel."""
        return DataType[self.get_nodeattr("inputDataType")]

    def get_output_datatype(self, ind: int = 0) -> BaseDataType:
        """Type of a channel."""
        return self.get_input_datatype()

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(T, H, W, C)."""
        return self.get_nodeattr("frames"), *self.get_nodeattr("ImgDim"), self.get_nodeattr("NumChannels")

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(T, H, W, C)."""
        return self._frames_out(), *self.get_nodeattr("ImgDim"), self._gathered()

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(T, H, W, beats per pixel, SIMD)."""
        return self._fold(self.get_normal_input_shape())

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """(T, H, W, beats per pixel, SIMD)."""
        return self._fold(self.get_normal_output_shape())

    def get_instream_width(self, ind: int = 0) -> int:
        """Bits of a beat."""
        return self.get_nodeattr("SIMD") * self.get_input_datatype().bitwidth()

    def get_outstream_width(self, ind: int = 0) -> int:
        """Bits of a beat."""
        return self.get_instream_width()

    def get_exp_cycles(self) -> int:
        """Cycles of a clip."""
        return self.kernel().cycles_per_clip

    def bram_estimation(self, fpgapart: str) -> int:
        """18 Kib blocks for the frames that are kept."""
        return self.kernel().cost().bram

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs of the kernel."""
        return self.kernel().cost().lut

    def kernel(self) -> kernels.Shift | kernels.FrameGather:
        """The hardware of this node. Raises UsageError when the kernel cannot do it."""
        frames, height, width, channels = self.get_normal_input_shape()
        kind = self.get_input_datatype()
        stream = Stream(
            frames=frames,
            height=height,
            width=width,
            channels=channels,
            bits=kind.bitwidth(),
            signed=kind.signed(),
            lanes=self.get_nodeattr("SIMD"),
        )
        return kernels.gather_kernel(
            name=self.onnx_node.name,
            input=stream,
            groups=self.groups,
            stride_t=self.get_nodeattr("stride_t"),
            output_frames=self.get_normal_output_shape()[0],
        )

    def _frames_out(self) -> int:
        frames, stride_t = self.get_nodeattr("frames"), self.get_nodeattr("stride_t")
        return int(self.get_nodeattr("outputs") or -(-frames // stride_t))

    def _gathered(self) -> int:
        return sum(end - begin for begin, end, _ in self.groups)

    def _fold(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        simd = self.get_nodeattr("SIMD")
        return *shape[:-1], shape[-1] // simd, simd


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


class FrameMean(CustomOp):
    """The sum over a clip's frames: (T, K) to (1, K), or (T, 1, 1, K) to (1, 1, 1, K).

    The division is a scale of the result. FINN's builder leaves it to the host, behind the hardware.
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Attributes: (type, required, default, allowed values)."""
        return {"frames": ("i", True, 0), "data_layout": ("s", False, "NC", {"NC", "NHWC"})}

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape; the node itself while its input shape is unknown."""
        shape = model.get_tensor_shape(self.onnx_node.input[0])
        return self.onnx_node if shape is None else self.make_const_shape_op([1, *shape[1:]])

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Wide enough for the sum of all frames."""
        kind, frames = model.get_tensor_datatype(self.onnx_node.input[0]), self.get_nodeattr("frames")
        total = datatype(int(kind.min()) * frames, int(kind.max()) * frames) if kind.is_integer() else kind
        model.set_tensor_datatype(self.onnx_node.output[0], total)

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on one clip."""
        x = context[self.onnx_node.input[0]]
        context[self.onnx_node.output[0]] = x.sum(axis=0, keepdims=True, dtype=np.float32)

    def verify_node(self) -> list[str]:
        """Nothing beyond the attribute types to verify."""
        return []


class Im2Col(stock.Im2Col):
    """Channels-last sliding window, right for any batch; patches ordered (ky, kx, channel)."""

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape."""
        shape = model.get_tensor_shape(self.onnx_node.input[0])
        return self.make_const_shape_op(self._windows(np.zeros(shape, dtype=np.int8)).shape)

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on frames (N, H, W, C)."""
        context[self.onnx_node.output[0]] = self._windows(context[self.onnx_node.input[0]])

    def _windows(self, x: np.ndarray) -> np.ndarray:
        """(N, H, W, C) to (N, H', W', ky*kx*C)."""
        top, left, bottom, right = self.get_nodeattr("pad_amount")
        (kernel_h, kernel_w), (stride_h, stride_w) = (
            self.get_nodeattr("kernel_size"),
            self.get_nodeattr("stride"),
        )
        dilation_h, dilation_w = self.get_nodeattr("dilations")
        pads = ((0, 0), (top, bottom), (left, right), (0, 0))
        padded = np.pad(x, pads, constant_values=self.get_nodeattr("pad_value"))
        span = ((kernel_h - 1) * dilation_h + 1, (kernel_w - 1) * dilation_w + 1)
        views = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(1, 2))
        picked = views[:, ::stride_h, ::stride_w, :, ::dilation_h, ::dilation_w].transpose(0, 1, 2, 4, 5, 3)
        return picked.reshape(*picked.shape[:3], -1)


class VVAU(StockVVAU):
    """Depthwise product, right for any batch. FINN's hardware variants keep their own execution."""

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape."""
        *pixels, _ = model.get_tensor_shape(self.onnx_node.input[0])
        return self.make_const_shape_op([*pixels, self.get_nodeattr("Channels")])

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on frames of windows (N, H, W, ky*kx*C), patches ordered (ky, kx, channel)."""
        windows, weights = (context[name] for name in self.onnx_node.input[:2])
        taps = weights.reshape(len(weights), -1).T
        patches = windows.reshape(*windows.shape[:-1], *taps.shape)
        context[self.onnx_node.output[0]] = (patches * taps).sum(axis=-2, dtype=np.float32)


add_op_to_domain("qonnx.custom_op.general", Im2Col)
add_op_to_domain("finn.custom_op.fpgadataflow", VVAU)
