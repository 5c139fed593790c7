# SPDX-License-Identifier: Apache-2.0
"""An integer graph with the channels last: convolutions as windows and products, vectors as frames of one pixel.

Written anew instead of QONNX's LowerConvsToMatMul, which assumes one frame and leaves transposes behind.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from framegate.errors import UsageError
from framegate.hls import finn_ops
from framegate.hls.lowering.graphs import GENERAL, HARDWARE, GraphWriter, metadata, rename
from framegate.hls.operators.frame_gather import Groups
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import get_by_name

PIXEL = [1, 1, 1, 1, 0, 0, 0, 0]  # kernel, strides and pads of a convolution that sees one pixel


def lower_convolutions(model: ModelWrapper) -> ModelWrapper:
    """Channels last; every convolution as Im2Col and MatMul or VVAU, every vector as a frame of one pixel.

    Raises UsageError when frames are gathered both for a convolution of each channel and for another layer.
    """
    return _Lowering(model).run()


@dataclass
class _Lowering:
    """One walk over the nodes, in order."""

    model: ModelWrapper
    same: dict[str, str] = field(default_factory=dict)  # what a Reshape makes -> what it reads

    def run(self) -> ModelWrapper:
        model = self.model
        self.writer = GraphWriter("NHWC", model.get_opset_imports()[""])
        for tensor in (model.graph.input[0].name, *(node.output[0] for node in model.graph.node)):
            shape, kind = _channels_last(model.get_tensor_shape(tensor)), model.get_tensor_datatype(tensor)
            self.writer.tensor(tensor, shape, kind)
        for node in model.graph.node:
            _EMIT[node.op_type](self, node)
        for tensor in self.same:
            del self.writer.tensors[tensor]
        output = model.graph.output[0].name
        made = self.same.get(output, output)
        lowered = self.writer.model(model.graph.input[0].name, made, metadata(model))
        if made != output:
            rename(lowered, made, output)
        return lowered

    def source(self, node: NodeProto, slot: int = 0) -> str:
        """The tensor of the new graph that enters `node`."""
        return self.same.get(node.input[slot], node.input[slot])

    def constant(self, name: str, values: np.ndarray) -> str:
        """Keep a constant, with new values."""
        return self.writer.constant(name, values, self.model.get_tensor_datatype(name))

    def shape(self, tensor: str) -> tuple[int, ...]:
        """Of a tensor of the new graph."""
        return self.writer.tensors[tensor][0]

    def reshape(self, node: NodeProto) -> None:
        """A flattened frame of one pixel is the same frame."""
        self.same[node.output[0]] = self.source(node)

    def conv(self, node: NodeProto) -> None:
        """Windows and a product, of all channels or of each by itself."""
        weights = self.model.get_initializer(node.input[1])
        group = get_by_name(node.attribute, "group")
        depthwise = group is not None and group.i > 1
        source = self.window(node, list(weights.shape[2:]), depthwise)
        if depthwise:
            self._depthwise(node, source, weights)
            return
        columns = weights.transpose(2, 3, 1, 0).reshape(-1, len(weights))
        name = self.constant(node.input[1], columns)
        self.writer.node("MatMul", [source, name], node.output[0], label=node.name)

    def window(self, node: NodeProto, kernel: list[int], depthwise: bool) -> str:
        """The windows of a convolution or pool; its source itself when a window is one pixel of all channels."""
        source = self.source(node)
        given = {entry.name: list(entry.ints) for entry in node.attribute}
        stride, pads = given.get("strides", [1, 1]), given.get("pads", [0, 0, 0, 0])
        if not depthwise and kernel + stride + pads == PIXEL:
            return source
        channels = self.shape(source)[3] * kernel[0] * kernel[1]
        shape = (*self.shape(node.output[0])[:3], channels)
        window = self.writer.tensor(
            f"{node.name}_window", shape, self.model.get_tensor_datatype(node.input[0])
        )
        source_shape = ",".join(str(size) for size in self.shape(source))
        self.writer.node(
            "Im2Col",
            [source],
            window,
            GENERAL,
            stride=stride,
            kernel_size=kernel,
            pad_amount=pads,
            input_shape=f"({source_shape})",
            depthwise=int(depthwise),
        )
        return window

    def _depthwise(self, node: NodeProto, window: str, weights: np.ndarray) -> None:
        """VVAU; the taps of a channel are ordered (ky, kx, frame)."""
        channels, frames, kernel_h, kernel_w = weights.shape
        taps = weights.transpose(0, 2, 3, 1).reshape(channels, 1, kernel_h, kernel_w * frames)
        name = self.constant(node.input[1], taps)
        tensors = {"inputDataType": node.input[0], "weightDataType": name, "outputDataType": node.output[0]}
        kinds = {key: self.model.get_tensor_datatype(tensor).name for key, tensor in tensors.items()}
        self.writer.node(
            "VVAU",
            [window, name],
            node.output[0],
            HARDWARE,
            label=node.name,
            backend="fpgadataflow",
            PE=1,
            Dim=list(self.shape(node.output[0])[1:3]),
            Channels=channels,
            Kernel=[kernel_h, kernel_w * frames],
            noActivation=1,
            accDataType=kinds["outputDataType"],
            **kinds,
        )

    def pool(self, node: NodeProto) -> None:
        """The largest value or the sum under windows of each channel."""
        kernel = list(get_by_name(node.attribute, "kernel_shape").ints)
        function = "MaxPool" if node.op_type == "MaxPool" else "AccPool"
        self._pool(node, self.window(node, kernel, depthwise=True), kernel, function)

    def channel_max(self, node: NodeProto) -> None:
        """The largest value over gathered frames, which by now come frame by frame."""
        group = getCustomOp(node).get_nodeattr("group")
        self._pool(node, self.source(node), [group, 1], "MaxPool")

    def _pool(self, node: NodeProto, source: str, kernel: list[int], function: str) -> None:
        frames, *size, channels = self.shape(node.output[0])
        self.writer.node(
            "Pool",
            [source],
            node.output[0],
            HARDWARE,
            label=node.name,
            backend="fpgadataflow",
            cpp_interface="hls_vector",
            PE=1,
            Channels=channels,
            KernelSize=kernel,
            Function=function,
            OutImgDims=size,
            BatchSize=frames,
            InputDataType=self.model.get_tensor_datatype(node.input[0]).name,
            OutputDataType=self.model.get_tensor_datatype(node.output[0]).name,
        )

    def matmul(self, node: NodeProto) -> None:
        """A linear layer."""
        name = self.constant(node.input[1], self.model.get_initializer(node.input[1]))
        self.writer.node("MatMul", [self.source(node), name], node.output[0], label=node.name)

    def thresholds(self, node: NodeProto) -> None:
        """An activation."""
        name = self.constant(node.input[1], self.model.get_initializer(node.input[1]))
        op = getCustomOp(node)
        attributes = {entry: op.get_nodeattr(entry) for entry in ("out_dtype", "out_bias")}
        attributes |= {"label": node.name, "data_layout": "NHWC"}
        self.writer.node("MultiThreshold", [self.source(node), name], node.output[0], GENERAL, **attributes)

    def pixel_sum(self, node: NodeProto) -> None:
        """The sum over the pixels of a frame."""
        axes = self.writer.constant(node.input[1], np.array([1, 2]))
        inputs = [self.source(node), axes]
        self.writer.node("ReduceSum", inputs, node.output[0], label=node.name, keepdims=1)

    def add(self, node: NodeProto) -> None:
        """Two layers, or a layer and constants."""
        constant = self.model.get_initializer(node.input[1])
        right = self.source(node, 1)
        if constant is not None:
            self.constant(right, constant.reshape(-1))
        self.writer.node("Add", [self.source(node), right], node.output[0], label=node.name)

    def concat(self, node: NodeProto) -> None:
        """Channels of several layers side by side."""
        inputs = [self.source(node, slot) for slot in range(len(node.input))]
        self.writer.node("Concat", inputs, node.output[0], label=node.name, axis=3)

    def temporal(self, node: NodeProto) -> None:
        """FrameMean, or FrameGather: frame by frame when the frames of each channel are one layer's business."""
        attributes = {entry.name: getCustomOp(node).get_nodeattr(entry.name) for entry in node.attribute}
        if node.op_type == "FrameGather" and (frames := self._frames_of_each_channel(node)) > 1:
            attributes["groups"] = _frame_by_frame(getCustomOp(node).groups, frames)
        attributes |= {"label": node.name, "data_layout": "NHWC"}
        self.writer.node(node.op_type, [self.source(node)], node.output[0], finn_ops.DOMAIN, **attributes)

    def _frames_of_each_channel(self, node: NodeProto) -> int:
        """How many gathered frames the readers of a FrameGather take per channel; 1 when they mix all channels."""
        readers = self.model.find_consumers(node.output[0])
        found = {self._frames_read(reader) for reader in readers}
        if len(found) > 1:
            names = " and ".join(f"'{reader.name}'" for reader in readers)
            raise UsageError(
                f"'{node.name}': is read per channel and across channels, by {names}; give each its own FrameGather"
            )
        return found.pop()

    def _frames_read(self, reader: NodeProto) -> int:
        if reader.op_type == "ChannelMax":
            return int(getCustomOp(reader).get_nodeattr("group"))
        group = get_by_name(reader.attribute, "group")
        depthwise = reader.op_type == "Conv" and group is not None and group.i > 1
        return self.model.get_tensor_shape(reader.input[1])[1] if depthwise else 1


def _channels_last(shape: list[int]) -> tuple[int, ...]:
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    return shape[0], shape[2], shape[3], shape[1]


def _frame_by_frame(groups: Groups, frames: int) -> list[int]:
    """The same channels, not (channel, frame) but (frame, channel) ordered; flat, as the attribute is."""
    picks = np.array([(channel, offset) for begin, end, offset in groups for channel in range(begin, end)])
    picks = picks.reshape(-1, frames, 2).transpose(1, 0, 2).reshape(-1, 2)
    steps = np.diff(picks, axis=0)
    starts = [0, *(np.flatnonzero((steps != (1, 0)).any(axis=1)) + 1).tolist(), len(picks)]
    merged = []
    for start, stop in itertools.pairwise(starts):
        merged += [picks[start, 0], picks[stop - 1, 0] + 1, picks[start, 1]]
    return [int(number) for number in merged]


_EMIT: dict[str, Callable[[_Lowering, NodeProto], None]] = {
    "Add": _Lowering.add,
    "ChannelMax": _Lowering.channel_max,
    "Concat": _Lowering.concat,
    "Conv": _Lowering.conv,
    "FrameGather": _Lowering.temporal,
    "FrameMean": _Lowering.temporal,
    "MatMul": _Lowering.matmul,
    "MaxPool": _Lowering.pool,
    "MultiThreshold": _Lowering.thresholds,
    "ReduceSum": _Lowering.pixel_sum,
    "Reshape": _Lowering.reshape,
    "SumPool": _Lowering.pool,
}
