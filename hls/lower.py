# SPDX-License-Identifier: Apache-2.0
"""From QONNX to FINN's hardware nodes, in named steps, each of which leaves its graph behind."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from finn.transformation.fpgadataflow.convert_to_hw.duplicate_streams import InferDuplicateStreamsLayer
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (
    InferElementwiseBinaryOperation,
)
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from framegate.errors import UsageError
from framegate.hls import finn_ops
from framegate.hls.clean import clean
from framegate.hls.graphs import GENERAL, HARDWARE, GraphWriter, metadata, save
from framegate.hls.integerize import integerize
from framegate.hls.names import name_layers
from google.protobuf.message import DecodeError
from onnx import NodeProto, helper
from qonnx.core.datatype import BaseDataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import get_by_name

Step = Callable[[ModelWrapper], ModelWrapper]


def lower(qonnx_path: Path, build: Path, progress: Callable[[str], None] = lambda step: None) -> Path:
    """Write BUILD/hardware.onnx from a QONNX network; return its path.

    `progress` is called with the name of each step; what the step made is kept as BUILD/steps/NN_name.onnx.
    Raises UsageError when the file is no ONNX graph, or has a layer that cannot become hardware.
    """
    model = load(qonnx_path)
    for number, step in enumerate(LOWERING, start=1):
        progress(step.__name__)
        model = step(model)
        save(model, build / "steps" / f"{number:02}_{step.__name__}.onnx")
    return save(model, build / "hardware.onnx")


def load(path: Path) -> ModelWrapper:
    """Read an ONNX file. Raises UsageError when it is none."""
    remedy = "give a QONNX file, as `framegate train` or Brevitas exports it"
    try:
        model = ModelWrapper(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None
    except DecodeError:
        raise UsageError(f"{path}: not an ONNX file; {remedy}") from None
    if not model.graph.node:
        raise UsageError(f"{path}: a graph without layers; {remedy}")
    return model


def lower_convolutions(model: ModelWrapper) -> ModelWrapper:
    """Channels last; every convolution as Im2Col and MatMul, every vector as a frame of one pixel.

    Written anew instead of QONNX's LowerConvsToMatMul, which assumes one frame and leaves transposes behind.
    """
    writer = GraphWriter("NHWC", model.get_opset_imports()[""])
    for tensor in (model.graph.input[0].name, *(node.output[0] for node in model.graph.node)):
        writer.tensor(
            tensor, _channels_last(model.get_tensor_shape(tensor)), model.get_tensor_datatype(tensor)
        )
    for node in model.graph.node:
        if node.op_type != "Reshape":
            _EMIT[node.op_type](model, writer, node)
    _drop_reshapes(model, writer)
    return writer.model(model.graph.input[0].name, model.graph.output[0].name, metadata(model))


def to_hardware(model: ModelWrapper) -> ModelWrapper:
    """FINN's hardware nodes, named like the layers.

    FINN's own conversions where they know more than one frame; the input generators are set here, since their
    conversion, and FINN's shape inference behind them, assume one frame.
    """
    names = {node.output[0]: node.name for node in model.graph.node}
    kinds = {tensor: model.get_tensor_datatype(tensor) for tensor in names}
    _replace_nodes(model, {"MatMul": _harden_depthwise})
    model = model.transform(InferElementwiseBinaryOperation(_joins_layers))
    for node in model.graph.node:
        _narrow(model, node, kinds[node.output[0]])
    for conversion in (
        InferThresholdingLayer(),
        InferQuantizedMatrixVectorActivation(),
        InferElementwiseBinaryOperation(
            lambda _, node: node.op_type == "Add"
        ),  # biases: of bounds known by now
        InferDuplicateStreamsLayer(),
    ):
        model = model.transform(conversion)
    for node in model.graph.node:
        if node.output[0] in names:
            node.name = names[node.output[0]]
            if node.op_type == "MVAU":
                getCustomOp(node).set_nodeattr("accDataType", kinds[node.output[0]].name)
            _narrow(model, node, kinds[node.output[0]])
        else:
            _name_copies(model, node)
    _replace_nodes(model, _HARDEN)
    return model


def _replace_nodes(
    model: ModelWrapper, makers: Mapping[str, Callable[[ModelWrapper, NodeProto], list[NodeProto]]]
) -> None:
    """Put what the maker of a node's kind makes in its place."""
    nodes = [made for node in model.graph.node for made in makers.get(node.op_type, _keep)(model, node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _joins_layers(model: ModelWrapper, node: NodeProto) -> bool:
    """Whether a node adds two layers, not a constant to one."""
    return node.op_type == "Add" and model.get_initializer(node.input[1]) is None


LOWERING: tuple[Step, ...] = (
    clean,
    integerize,  # before FINN sees the graph: its thresholds then are integers already
    name_layers,
    lower_convolutions,
    to_hardware,
)


def _channels_last(shape: list[int]) -> tuple[int, ...]:
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    return shape[0], shape[2], shape[3], shape[1]


def _emit_conv(model: ModelWrapper, writer: GraphWriter, node: NodeProto) -> None:
    source, weights = node.input
    values = model.get_initializer(weights)
    given = {entry.name: list(entry.ints) for entry in node.attribute}
    kernel = list(values.shape[2:])
    stride, pads = given.get("strides", [1, 1]), given.get("pads", [0, 0, 0, 0])
    shape, kind = writer.tensors[node.output[0]][0], model.get_tensor_datatype(source)
    group = get_by_name(node.attribute, "group")
    if depthwise := group is not None and group.i > 1:
        values = _dense(values)
    columns = values.transpose(2, 3, 1, 0).reshape(-1, len(values))
    if depthwise or kernel + stride + pads != [1, 1, 1, 1, 0, 0, 0, 0]:
        window = writer.tensor(f"{node.name}_window", (*shape[:3], len(columns)), kind)
        source_shape = ",".join(str(size) for size in writer.tensors[source][0])
        writer.node(
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
        source = window
    name = writer.constant(weights, columns, model.get_tensor_datatype(weights))
    if depthwise:
        writer.sparsity[name] = {"dw": {"kernel_shape": kernel}}
    writer.node("MatMul", [source, name], node.output[0], label=node.name)


def _dense(values: np.ndarray) -> np.ndarray:
    """Depthwise weights (C, 1, ky, kx) as those of a full convolution (C, C, ky, kx)."""
    channels = np.arange(len(values))
    dense = np.zeros((len(values), len(values), *values.shape[2:]), values.dtype)
    dense[channels, channels] = values[:, 0]
    return dense


def _emit_matmul(model: ModelWrapper, writer: GraphWriter, node: NodeProto) -> None:
    name = writer.constant(
        node.input[1], model.get_initializer(node.input[1]), model.get_tensor_datatype(node.input[1])
    )
    writer.node("MatMul", [node.input[0], name], node.output[0], label=node.name)


def _emit_thresholds(model: ModelWrapper, writer: GraphWriter, node: NodeProto) -> None:
    thresholds = node.input[1]
    name = writer.constant(
        thresholds, model.get_initializer(thresholds), model.get_tensor_datatype(thresholds)
    )
    op = getCustomOp(node)
    attributes = {entry: op.get_nodeattr(entry) for entry in ("out_dtype", "out_bias")}
    inputs = [node.input[0], name]
    writer.node(
        "MultiThreshold", inputs, node.output[0], GENERAL, label=node.name, data_layout="NHWC", **attributes
    )


def _emit_sum(model: ModelWrapper, writer: GraphWriter, node: NodeProto) -> None:
    axes = writer.constant(node.input[1], np.array([1, 2]))
    writer.node("ReduceSum", [node.input[0], axes], node.output[0], label=node.name, keepdims=1)


def _emit_add(model: ModelWrapper, writer: GraphWriter, node: NodeProto) -> None:
    constant = model.get_initializer(node.input[1])
    if constant is not None:
        writer.constant(node.input[1], constant.reshape(-1), model.get_tensor_datatype(node.input[1]))
    writer.node("Add", list(node.input), node.output[0], label=node.name)


def _emit_temporal(model: ModelWrapper, writer: GraphWriter, node: NodeProto) -> None:
    attributes = {entry.name: getCustomOp(node).get_nodeattr(entry.name) for entry in node.attribute}
    attributes["data_layout"] = "NHWC"
    writer.node(
        node.op_type, list(node.input), node.output[0], finn_ops.DOMAIN, label=node.name, **attributes
    )


_EMIT: dict[str, Callable[[ModelWrapper, GraphWriter, NodeProto], None]] = {
    "Add": _emit_add,
    "Conv": _emit_conv,
    "FrameGather": _emit_temporal,
    "FrameMean": _emit_temporal,
    "MatMul": _emit_matmul,
    "MultiThreshold": _emit_thresholds,
    "ReduceSum": _emit_sum,
}


def _drop_reshapes(model: ModelWrapper, writer: GraphWriter) -> None:
    """A flattened frame of one pixel is the same frame."""
    same = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Reshape"}
    for node in writer.nodes:
        for slot, tensor in enumerate(node.input):
            while tensor in same:
                tensor = same[tensor]
            node.input[slot] = tensor
    for tensor in same:
        del writer.tensors[tensor]


def _narrow(model: ModelWrapper, node: NodeProto, kind: BaseDataType) -> None:
    """Put back the type that the bounds allow, where FINN takes 32 bits for sums."""
    if node.op_type == "ElementwiseAdd":
        getCustomOp(node).set_nodeattr("out_dtype", kind.name)
    model.set_tensor_datatype(node.output[0], kind)


def _name_copies(model: ModelWrapper, node: NodeProto) -> None:
    """Name a DuplicateStreams and its outputs after what it copies; FINN draws random names."""
    node.name = f"{node.input[0]}_fork"
    for number, tensor in enumerate(list(node.output)):
        model.rename_tensor(tensor, f"{node.input[0]}_copy{number}")
        model.set_tensor_layout(f"{node.input[0]}_copy{number}", ["N", "H", "W", "C"])


def _keep(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    return [node]


def _harden_window(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """Im2Col as FMPadding, where it pads, and ConvolutionInputGenerator."""
    op, source = getCustomOp(node), node.input[0]
    frames, height, width, channels = model.get_tensor_shape(source)
    kind = model.get_tensor_datatype(source)
    top, left, bottom, right = pads = op.get_nodeattr("pad_amount")
    made = []
    if any(pads):
        padded = f"{node.name.removesuffix('_window')}_padding"
        made.append(
            _hardware_node(
                "FMPadding",
                source,
                padded,
                ImgDim=[height, width],
                Padding=pads,
                NumChannels=channels,
                SIMD=1,
                inputDataType=kind.name,
                numInputVectors=frames,
            )
        )
        height, width, source = height + top + bottom, width + left + right, padded
        model.set_tensor_shape(padded, [frames, height, width, channels])
        model.set_tensor_datatype(padded, kind)
        model.set_tensor_layout(padded, ["N", "H", "W", "C"])
    generator = _hardware_node(
        "ConvolutionInputGenerator",
        source,
        node.output[0],
        ConvKernelDim=op.get_nodeattr("kernel_size"),
        IFMChannels=channels,
        IFMDim=[height, width],
        OFMDim=model.get_tensor_shape(node.output[0])[1:3],
        SIMD=1,
        Stride=op.get_nodeattr("stride"),
        Dilation=[1, 1],
        inputDataType=kind.name,
        outputDataType=kind.name,
        depthwise=op.get_nodeattr("depthwise"),
        is1D=int(1 in (height, width)),
    )
    return [*made, generator]


def _harden_depthwise(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """A product as VVAU, if its weights are marked as those of a depthwise convolution."""
    if model.get_tensor_sparsity(node.input[1]) is None:
        return [node]
    _, height, width, channels = model.get_tensor_shape(node.output[0])
    kernel = model.get_tensor_sparsity(node.input[1])["dw"]["kernel_shape"]
    taps = model.get_initializer(node.input[1]).reshape(-1, channels, channels)
    own = np.diagonal(taps, axis1=1, axis2=2).T.reshape(channels, 1, *kernel)
    model.set_initializer(node.input[1], np.ascontiguousarray(own))
    names = {
        "inputDataType": node.input[0],
        "weightDataType": node.input[1],
        "outputDataType": node.output[0],
    }
    kinds = {name: model.get_tensor_datatype(tensor).name for name, tensor in names.items()}
    made = _hardware_node(
        "VVAU",
        node.input[0],
        node.output[0],
        label=node.name,
        PE=1,
        Dim=[height, width],
        Channels=channels,
        Kernel=kernel,
        noActivation=1,
        accDataType=kinds["outputDataType"],
        **kinds,
    )
    made.input.append(node.input[1])
    return [made]


def _harden_sum(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """ReduceSum over a frame as GlobalAccPool."""
    *vectors, channels = model.get_tensor_shape(node.input[0])
    kind = model.get_tensor_datatype(node.input[0])
    return [
        _hardware_node(
            "GlobalAccPool",
            node.input[0],
            node.output[0],
            label=node.name,
            NumChannels=channels,
            PE=1,
            inputDataType=kind.name,
            numInputVectors=vectors,
        )
    ]


def _harden_gather(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """FrameGather with the attributes of a FINN stream."""
    _, height, width, channels = model.get_tensor_shape(node.input[0])
    kind = model.get_tensor_datatype(node.input[0])
    stream = {"ImgDim": [height, width], "NumChannels": channels, "SIMD": 1, "inputDataType": kind.name}
    for name, value in {"backend": "fpgadataflow", **stream}.items():
        getCustomOp(node).set_nodeattr(name, value)
    return [node]


_HARDEN: dict[str, Callable[[ModelWrapper, NodeProto], list[NodeProto]]] = {
    "Im2Col": _harden_window,
    "ReduceSum": _harden_sum,
    "FrameGather": _harden_gather,
}


def _hardware_node(op: str, source: str, output: str, label: str = "", **attributes: Any) -> NodeProto:
    return helper.make_node(
        op, [source], [output], name=label or output, domain=HARDWARE, backend="fpgadataflow", **attributes
    )
