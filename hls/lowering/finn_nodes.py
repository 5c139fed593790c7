# SPDX-License-Identifier: Apache-2.0
"""FINN's hardware nodes for the nodes of a channels-last integer graph.

They are what FINN's own conversions make (a test compares them). Those copy the model and infer all its shapes
again per node, minutes for networks of this size, and know one frame where windows and pools are concerned.
"""

from collections.abc import Callable
from typing import Any

from framegate.hls.lowering.graphs import HARDWARE
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.general import SortGraph

_LAYOUT = ["N", "H", "W", "C"]


def to_hardware(model: ModelWrapper) -> ModelWrapper:
    """FINN's hardware nodes in place of the others, named like the layers, and a fork for each tensor read twice."""
    replace_nodes(model, lambda node: _HARDEN.get(node.op_type, _keep)(model, node))
    _fork_streams(model)
    model.transform(SortGraph(), make_deepcopy=False, cleanup=False)
    replace_nodes(model, lambda node: _window(model, node) if node.op_type == "Im2Col" else [node])
    return model


def replace_nodes(model: ModelWrapper, make: Callable[[NodeProto], list[NodeProto]]) -> None:
    """Put what `make` gives for a node in its place."""
    nodes = [made for node in model.graph.node for made in make(node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def hardware_node(op: str, inputs: list[str], outputs: list[str], name: str, **attributes: Any) -> NodeProto:
    """A node of FINN's hardware domain."""
    return helper.make_node(op, inputs, outputs, name, domain=HARDWARE, backend="fpgadataflow", **attributes)


def _like(node: NodeProto, op: str, **attributes: Any) -> list[NodeProto]:
    return [hardware_node(op, list(node.input), list(node.output), node.name, **attributes)]


def _kind(model: ModelWrapper, tensor: str) -> str:
    return model.get_tensor_datatype(tensor).name


def _matrix(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """MatMul as MVAU."""
    source, weights = node.input
    width, height = model.get_tensor_shape(weights)
    return _like(
        node,
        "MVAU",
        MW=width,
        MH=height,
        SIMD=1,
        PE=1,
        inputDataType=_kind(model, source),
        weightDataType=_kind(model, weights),
        outputDataType=_kind(model, node.output[0]),
        accDataType=_kind(model, node.output[0]),
        ActVal=0,
        binaryXnorMode=0,
        noActivation=1,
        numInputVectors=model.get_tensor_shape(source)[:-1],
        mem_mode="internal_decoupled",
        inFIFODepths=[2],
    )


def _thresholding(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """MultiThreshold as Thresholding."""
    source, thresholds = node.input
    *vectors, channels = model.get_tensor_shape(source)
    return _like(
        node,
        "Thresholding",
        NumChannels=channels,
        PE=1,
        numSteps=model.get_tensor_shape(thresholds)[1],
        inputDataType=_kind(model, source),
        weightDataType=_kind(model, thresholds),
        outputDataType=_kind(model, node.output[0]),
        numInputVectors=vectors,
        ActVal=int(getCustomOp(node).get_nodeattr("out_bias")),
    )


def _add(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """Add as ElementwiseAdd."""
    left, right = node.input
    constant = model.get_initializer(right) is not None
    return _like(
        node,
        "ElementwiseAdd",
        lhs_shape=model.get_tensor_shape(left),
        rhs_shape=model.get_tensor_shape(right),
        out_shape=model.get_tensor_shape(node.output[0]),
        lhs_dtype=_kind(model, left),
        rhs_dtype=_kind(model, right),
        out_dtype=_kind(model, node.output[0]),
        lhs_style="input",
        rhs_style="const" if constant else "input",
    )


def _concat(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """Concat as StreamingConcat."""
    return _like(
        node,
        "StreamingConcat",
        SIMD=1,
        ChannelsPerStream=[model.get_tensor_shape(tensor)[-1] for tensor in node.input],
        inputDataTypes=[_kind(model, tensor) for tensor in node.input],
        numInputVectors=model.get_tensor_shape(node.output[0])[:-1],
        inFIFODepths=[2] * len(node.input),
        cpp_interface="hls_vector",
        hls_style="freerunning",
    )


def _pixel_sum(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """ReduceSum over a frame as GlobalAccPool."""
    *vectors, channels = model.get_tensor_shape(node.input[0])
    kind, name = _kind(model, node.input[0]), node.name
    shape = {"NumChannels": channels, "PE": 1, "inputDataType": kind, "numInputVectors": vectors}
    return [hardware_node("GlobalAccPool", [node.input[0]], list(node.output), name, **shape)]


def _gather(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """FrameGather with the attributes of a FINN stream."""
    _, height, width, channels = model.get_tensor_shape(node.input[0])
    kind = _kind(model, node.input[0])
    stream = {"ImgDim": [height, width], "NumChannels": channels, "SIMD": 1, "inputDataType": kind}
    for name, value in {"backend": "fpgadataflow", **stream}.items():
        getCustomOp(node).set_nodeattr(name, value)
    return [node]


def _keep(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    return [node]


_HARDEN: dict[str, Callable[[ModelWrapper, NodeProto], list[NodeProto]]] = {
    "Add": _add,
    "Concat": _concat,
    "FrameGather": _gather,
    "MatMul": _matrix,
    "MultiThreshold": _thresholding,
    "ReduceSum": _pixel_sum,
}


def _window(model: ModelWrapper, node: NodeProto) -> list[NodeProto]:
    """Im2Col as FMPadding, where it pads, and ConvolutionInputGenerator."""
    op, source = getCustomOp(node), node.input[0]
    frames, height, width, channels = model.get_tensor_shape(source)
    kind = model.get_tensor_datatype(source)
    top, left, bottom, right = pads = op.get_nodeattr("pad_amount")
    made = []
    if any(pads):
        padded = f"{node.name.removesuffix('_window')}_padding"
        made.append(
            hardware_node(
                "FMPadding",
                [source],
                [padded],
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
        model.set_tensor_layout(padded, _LAYOUT)
    generator = hardware_node(
        "ConvolutionInputGenerator",
        [source],
        list(node.output),
        node.name,
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


def _fork_streams(model: ModelWrapper) -> None:
    """A DuplicateStreams for each tensor with several readers."""
    readers: dict[str, list[tuple[NodeProto, int]]] = {}
    for node in model.graph.node:
        for slot, tensor in enumerate(node.input):
            readers.setdefault(tensor, []).append((node, slot))
    constants = {entry.name for entry in model.graph.initializer}
    forked = [tensor for tensor, found in readers.items() if len(found) > 1 and tensor not in constants]
    forks = {tensor: _fork(model, tensor, readers[tensor]) for tensor in forked}
    nodes = [forks.pop(entry.name) for entry in model.graph.input if entry.name in forks]
    for node in model.graph.node:
        nodes += [node, *(forks.pop(tensor) for tensor in node.output if tensor in forks)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _fork(model: ModelWrapper, tensor: str, readers: list[tuple[NodeProto, int]]) -> NodeProto:
    """Copies of `tensor`, one per reader."""
    *vectors, channels = shape = model.get_tensor_shape(tensor)
    copies = [f"{tensor}_copy{number}" for number in range(len(readers))]
    for copy, (reader, slot) in zip(copies, readers, strict=True):
        reader.input[slot] = copy
        model.set_tensor_shape(copy, shape)
        model.set_tensor_datatype(copy, model.get_tensor_datatype(tensor))
        model.set_tensor_layout(copy, _LAYOUT)
    return hardware_node(
        "DuplicateStreams",
        [tensor],
        copies,
        f"{tensor}_fork",
        NumChannels=channels,
        PE=1,
        inputDataType=_kind(model, tensor),
        numInputVectors=vectors,
        NumOutputStreams=len(copies),
        outFIFODepths=[2] * len(copies),
        cpp_interface="hls_vector",
        hls_style="freerunning",
    )
