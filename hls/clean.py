# SPDX-License-Identifier: Apache-2.0
"""The first step of lowering: other exporters' ways to say the same, as one."""

import numpy as np
from framegate.hls import finn_ops
from framegate.hls.graphs import GENERAL
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.extract_conv_bias import ExtractBiasFromConv
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.basic import get_by_name


def clean(model: ModelWrapper) -> ModelWrapper:
    """Shapes everywhere, constants and padding folded, biases of products as additions, a name for every node."""
    for node in model.graph.node:
        if node.op_type in ("Quant", "IntQuant"):
            node.domain = GENERAL
    model = _infer_shapes(model).transform(FoldConstants(exclude_op_types=["Quant", "IntQuant"]))
    _fold_padding(model)
    _extract_bias_of_gemm(model)
    model = _infer_shapes(model.transform(ExtractBiasFromConv()))
    for number, node in enumerate(model.graph.node, start=1):
        node.name = node.name or f"{node.op_type}_{number}"
    return model


def _infer_shapes(model: ModelWrapper) -> ModelWrapper:
    """Shapes everywhere: one pass reaches as far as the next FrameGather or FrameMean of unknown input."""
    for _ in range(1 + sum(node.domain == finn_ops.DOMAIN for node in model.graph.node)):
        model = model.transform(InferShapes())
        if model.check_all_tensor_shapes_specified():
            break
    return model


def _fold_padding(model: ModelWrapper) -> None:
    """Zeros around a picture become the padding of the convolutions that read it."""
    for node in list(model.graph.node):
        pads = _picture_padding(model, node)
        readers = model.find_consumers(node.output[0])
        if pads is None or not readers or any(reader.op_type != "Conv" for reader in readers):
            continue
        for reader in readers:
            own = get_by_name(reader.attribute, "pads")
            total = np.add(pads, own.ints if own is not None else [0] * 4)
            if own is not None:
                reader.attribute.remove(own)
            reader.attribute.append(helper.make_attribute("pads", total.tolist()))
            reader.input[0] = node.input[0]
        model.graph.node.remove(node)


def _picture_padding(model: ModelWrapper, node: NodeProto) -> list[int] | None:
    """(top, left, bottom, right) of a Pad with zeros around pictures (N, C, H, W); None for any other node."""
    mode = get_by_name(node.attribute, "mode")
    if node.op_type != "Pad" or (mode is not None and mode.s != b"constant") or len(node.input) > 3:
        return None
    value = model.get_initializer(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    pads = model.get_initializer(node.input[1])
    if pads is None or value is None or value.any() or len(pads) != 8 or pads[[0, 1, 4, 5]].any():
        return None
    return pads[[2, 3, 6, 7]].tolist() if (pads >= 0).all() else None


def _extract_bias_of_gemm(model: ModelWrapper) -> None:
    """The third input of a Gemm as an addition behind it."""
    for place, node in reversed(list(enumerate(model.graph.node))):
        beta = get_by_name(node.attribute, "beta")
        if node.op_type != "Gemm" or len(node.input) < 3 or (beta is not None and beta.f != 1):
            continue
        bias, output = node.input.pop(), node.output[0]
        node.output[0] = model.make_new_valueinfo_name()
        model.set_tensor_shape(node.output[0], model.get_tensor_shape(output))
        model.graph.node.insert(place + 1, helper.make_node("Add", [node.output[0], bias], [output]))
