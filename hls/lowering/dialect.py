# SPDX-License-Identifier: Apache-2.0
"""What exporters leave out of a QONNX file or say in words of their own, in QONNX's words: for whoever lowers the
graph, and for whoever executes it.
"""

from framegate.hls.lowering.graphs import GENERAL
from framegate.hls.lowering.shapes import QUANTIZERS, describe_constants, infer_shapes
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

ROUNDINGS = (
    "ROUND",
    "HALF_EVEN",
    "CEIL",
    "FLOOR",
    "UP",
    "DOWN",
    "HALF_UP",
    "HALF_DOWN",
)  # that QONNX defines

# What QONNX's documents let default; its code wants to be told.
_QUANT: dict[str, int | str] = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
_DEFAULTS: dict[str, dict[str, int | str]] = {
    "IntQuant": _QUANT,
    "Quant": _QUANT,
    "Trunc": {"rounding_mode": "FLOOR"},
}
SAME_ROUNDING = {"ROUND_TO_ZERO": "DOWN"}  # Brevitas' name -> QONNX's


def in_qonnx_words(model: ModelWrapper) -> ModelWrapper:
    """Constants that are no inputs, quantizers with all their attributes, a shape for every tensor; in place."""
    _drop_constant_inputs(model)
    for node in model.graph.node:
        if node.op_type in QUANTIZERS:
            node.domain = GENERAL
            _spell_out(node)
    describe_constants(model.graph)
    described = (*model.graph.value_info, *model.graph.output)
    shaped = {entry.name for entry in described if entry.type.tensor_type.HasField("shape")}
    if not shaped.issuperset(tensor for node in model.graph.node for tensor in node.output):
        infer_shapes(model)
    return model


def _drop_constant_inputs(model: ModelWrapper) -> None:
    """Some exporters list the weights among the inputs."""
    constants = {entry.name for entry in model.graph.initializer}
    for entry in [entry for entry in model.graph.input if entry.name in constants]:
        model.graph.input.remove(entry)


def _spell_out(node: NodeProto) -> None:
    """Give a quantizer the attributes that it leaves out, and its rounding mode QONNX's name."""
    given = {entry.name for entry in node.attribute}
    for name, value in _DEFAULTS.get(node.op_type, {}).items():
        if name not in given:
            node.attribute.append(helper.make_attribute(name, value))
    for entry in node.attribute:
        if entry.name == "rounding_mode":
            entry.s = SAME_ROUNDING.get(entry.s.decode().upper(), entry.s.decode()).encode()
