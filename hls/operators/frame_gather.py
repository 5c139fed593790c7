# SPDX-License-Identifier: Apache-2.0
"""FrameGather: channels of other frames in the place of those of this one; what shifts and windows are."""

from typing import Any

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from framegate.hls import kernels
from framegate.hls.stream import Stream
from onnx import GraphProto, NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper

Groups = tuple[tuple[int, int, int], ...]


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
