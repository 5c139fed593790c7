# SPDX-License-Identifier: Apache-2.0
"""The first step of lowering: other exporters' ways to say the same, as one."""

import numpy as np
from framegate.errors import UsageError
from framegate.hls.lowering.frames_to_batch import frames_to_batch
from framegate.hls.lowering.shapes import QUANTIZERS, infer_shapes
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_node
from qonnx.util.basic import get_by_name


def clean(model: ModelWrapper) -> ModelWrapper:
    """Shapes everywhere, constants and padding folded, frames on the batch axis, biases of products as additions, one
    kind of quantizer for all widths, a name for every node; in place.

    Raises UsageError naming a 3-D layer that has no form with frames on the batch axis, or a BipolarQuant whose
    scale is no constant above 0.
    """
    for number, node in enumerate(model.graph.node, start=1):
        node.name = node.name or f"{node.op_type}_{number}"
        if node.op_type == "BipolarQuant":
            _spell_out_bipolar(model, node)
    infer_shapes(model)
    _fold_constants(model)
    _fold_padding(model)
    infer_shapes(frames_to_batch(model))
    _extract_biases(model)
    infer_shapes(model)
    return model


def _spell_out_bipolar(model: ModelWrapper, node: NodeProto) -> None:
    """A BipolarQuant as the Quant of one signed bit, which has the same two levels."""
    scale = model.get_initializer(node.input[1])
    if scale is None or (scale <= 0).any():
        raise UsageError(f"BipolarQuant '{node.name}': its scale must be a constant above 0")
    for name, value in (("zero", 0), ("bits", 1)):
        model.set_initializer(f"{node.output[0]}_{name}", np.array(value, np.float32))
        node.input.append(f"{node.output[0]}_{name}")
    node.op_type = "Quant"
    node.attribute.extend(
        helper.make_attribute(name, value)
        for name, value in (("signed", 1), ("narrow", 0), ("rounding_mode", "ROUND"))
    )


def _fold_constants(model: ModelWrapper) -> None:
    """Compute what follows from constants alone, but for the quantizers of weights."""
    opset = model.get_opset_imports()[""]
    constants = {entry.name for entry in model.graph.initializer} | {""}
    for node in list(model.graph.node):
        shape = model.get_tensor_shape(node.input[0]) if node.op_type == "Shape" else None
        known = shape is not None or constants.issuperset(node.input)
        if not known or node.op_type in QUANTIZERS:
            continue
        if node.op_type == "Shape":
            values = {node.output[0]: np.array(shape)}
        else:
            values = {name: model.get_initializer(name) for name in node.input if name}
            values |= {name: np.zeros(model.get_tensor_shape(name) or ()) for name in node.output}
            execute_node(node, values, model.graph, opset)
        for name in node.output:
            model.set_initializer(name, values[name])
            constants.add(name)
        model.graph.node.remove(node)
    infer_shapes(model)


def _fold_padding(model: ModelWrapper) -> None:
    """Zeros around pictures and clips become the padding of the convolutions that read them."""
    for node in list(model.graph.node):
        pads = _zero_padding(model, node)
        readers = model.find_consumers(node.output[0])
        if pads is None or not readers or any(reader.op_type != "Conv" for reader in readers):
            continue
        for reader in readers:
            own = get_by_name(reader.attribute, "pads")
            total = np.add(pads, own.ints if own is not None else [0] * len(pads))
            if own is not None:
                reader.attribute.remove(own)
            reader.attribute.append(helper.make_attribute("pads", total.tolist()))
            reader.input[0] = node.input[0]
        model.graph.node.remove(node)


def _zero_padding(model: ModelWrapper, node: NodeProto) -> list[int] | None:
    """Zeros before and behind each axis but batch and channels; None when a node is no such padding."""
    mode = get_by_name(node.attribute, "mode")
    if node.op_type != "Pad" or (mode is not None and mode.s != b"constant") or len(node.input) > 3:
        return None
    value = model.get_initializer(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
    pads = model.get_initializer(node.input[1])
    if pads is None or value is None or value.any() or len(pads) not in (8, 10) or (pads < 0).any():
        return None
    before, behind = pads.reshape(2, -1)
    return None if before[:2].any() or behind[:2].any() else [*before[2:].tolist(), *behind[2:].tolist()]


def _extract_biases(model: ModelWrapper) -> None:
    """The third input of a Conv or Gemm, quantized or not, as an addition behind it."""
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        beta = get_by_name(node.attribute, "beta")
        scaled = beta is not None and beta.f != 1
        if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3 or scaled:
            continue
        name, output = node.input.pop(), node.output[0]
        if node.op_type == "Conv":
            name = _per_channel(model, name, len(model.get_tensor_shape(output)))
        node.output[0] = f"{output}_unbiased"
        nodes.append(helper.make_node("Add", [node.output[0], name], [output], name=f"{node.name}_bias"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _per_channel(model: ModelWrapper, bias: str, rank: int) -> str:
    """A vector, or the quantizer of one, as one value per channel of a tensor of `rank` axes."""
    shape = (1, -1, *[1] * (rank - 2))
    values = model.get_initializer(bias)
    if values is not None:
        model.set_initializer(f"{bias}_per_channel", values.reshape(shape))
        return f"{bias}_per_channel"
    maker = model.find_producer(bias)
    for slot, name in enumerate(maker.input):
        values = model.get_initializer(name)
        if values is not None and values.size > 1:
            model.set_initializer(f"{name}_per_channel", values.reshape(shape))
            maker.input[slot] = f"{name}_per_channel"
    return bias
