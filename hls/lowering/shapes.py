# SPDX-License-Identifier: Apache-2.0
"""Shape inference that leaves the weights where they are.

QONNX's InferShapes hands the whole file to ONNX and takes it back, for every layer that gets a shape: gigabytes
of copies on networks of tens of millions of weights.
"""

from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, shape_inference
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp, is_custom_op

QUANTIZERS = ("BipolarQuant", "IntQuant", "Quant", "Trunc")  # QONNX's, which keep a shape
SMALL = 64  # values: shapes, axes and the like, by which ONNX computes the shapes of results


def infer_shapes(model: ModelWrapper) -> ModelWrapper:
    """Give every tensor its shape, as far as the layers tell; in place."""
    known = 0
    while True:  # a pass ends at layers of ours whose input has no shape yet
        graph = standard_graph(model)
        inferred = shape_inference.infer_shapes(
            helper.make_model(graph, opset_imports=model.model.opset_import), data_prop=True
        )
        outputs = {entry.name: entry for entry in inferred.graph.output}
        for entry in model.graph.output:
            entry.CopyFrom(outputs[entry.name])
        constants = {entry.name for entry in model.graph.initializer}
        kept = [entry for entry in model.graph.value_info if entry.name in constants]
        found = [
            entry
            for entry in inferred.graph.value_info
            if entry.name not in constants and entry.type.tensor_type.HasField("shape")
        ]
        del model.graph.value_info[:]
        model.graph.value_info.extend(kept + found)
        if len(found) == known:
            return model
        known = len(found)


def describe_constants(graph: GraphProto) -> None:
    """Give constants the shapes that QONNX looks for beside those of the other tensors."""
    described = {entry.name for entry in (*graph.value_info, *graph.input, *graph.output)}
    graph.value_info.extend(_info(entry) for entry in graph.initializer if entry.name not in described)


def without_weights(model: ModelWrapper) -> GraphProto:
    """A copy of the graph with large constants as inputs."""
    small = [entry for entry in model.graph.initializer if _size(entry) <= SMALL]
    inputs = [_info(entry) for entry in model.graph.initializer if _size(entry) > SMALL]
    named = {info.name for info in inputs}
    fed = [entry for entry in model.graph.input if entry.name not in named]
    return helper.make_graph(
        model.graph.node,
        "shapes",
        [*fed, *inputs],
        list(model.graph.output),
        small,
        value_info=[entry for entry in model.graph.value_info if entry.name not in named],
    )


def standard_graph(model: ModelWrapper) -> GraphProto:
    """That, with standard operators of the same shapes in the place of QONNX's, as far as their shapes are known."""
    graph = without_weights(model)
    nodes = [_standard(model, node) for node in model.graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return graph


def _standard(model: ModelWrapper, node: NodeProto) -> NodeProto:
    if node.op_type in QUANTIZERS:
        return helper.make_node("Identity", [node.input[0]], [node.output[0]])
    return getCustomOp(node).make_shape_compatible_op(model) if is_custom_op(node.domain) else node


def _size(constant: TensorProto) -> int:
    size = 1
    for count in constant.dims:
        size *= count
    return size


def _info(constant: TensorProto) -> ValueInfoProto:
    return helper.make_tensor_value_info(constant.name, constant.data_type, list(constant.dims))
