# SPDX-License-Identifier: Apache-2.0
"""FINN's own conversions as the oracle for the hardware nodes that are written directly."""

from collections.abc import Callable
from pathlib import Path

import pytest
from finn.transformation.fpgadataflow.convert_to_hw.concat import InferConcatLayer
from finn.transformation.fpgadataflow.convert_to_hw.duplicate_streams import InferDuplicateStreamsLayer
from finn.transformation.fpgadataflow.convert_to_hw.elementwise_binary_operation import (
    InferElementwiseBinaryOperation,
)
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from framegate.hls.lowering.graphs import save
from framegate.hls.lowering.lower import lower
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from tests.drafts import WIDTH, Draft

CONVERSIONS = (
    InferElementwiseBinaryOperation,
    InferThresholdingLayer,
    InferQuantizedMatrixVectorActivation,
    InferConcatLayer,
    InferDuplicateStreamsLayer,
)
CONVERTED = ("DuplicateStreams", "ElementwiseAdd", "MVAU", "StreamingConcat", "Thresholding")
OURS = {"accDataType", "out_dtype"}  # bounds that FINN does not know


def concat(folder: Path) -> Path:
    """BUILD of a network with a concatenation and a tensor that three layers read."""
    draft = Draft(1)
    x = draft.stem()
    branches = [draft.quant(draft.norm(draft.conv(x)), 0.5, bits, signed=1) for bits in (3, 4, 4)]
    both = draft.node("Concat", *branches, axis=1)
    x = draft.quant(draft.conv(both, inputs=3 * WIDTH), 1, 4, signed=1)
    lower(save(draft.model(draft.head(x)), folder / "model.onnx"), folder)
    return folder


def described(model: ModelWrapper) -> dict[str, tuple]:
    """Kind and attributes of each converted node, by what it makes."""
    return {
        ",".join(_parts(model, node)): (
            node.op_type,
            {
                entry.name: helper.get_attribute_value(entry)
                for entry in node.attribute
                if entry.name not in OURS
            },
        )
        for node in model.graph.node
        if node.op_type in CONVERTED
    }


def _parts(model: ModelWrapper, node: NodeProto) -> list[str]:
    """A node's output; a fork is known by its input, since FINN draws random names for its outputs."""
    return [node.input[0], "forked"] if node.op_type == "DuplicateStreams" else [node.output[0]]


@pytest.mark.parametrize("name", ["projections", "separable", "concat"])
def test_nodes_are_what_finns_conversions_make(lowered: Callable, name: str, tmp_path: Path) -> None:
    build = concat(tmp_path) if name == "concat" else lowered(name).build
    model = ModelWrapper(str(build / "steps" / "04_lower_convolutions.onnx"))
    kinds = {entry.name: model.get_tensor_datatype(entry.name) for entry in model.graph.value_info}
    for conversion in CONVERSIONS:
        model = model.transform(conversion())
        for node in model.get_nodes_by_op_type("ElementwiseAdd"):  # FINN takes 32 bits for sums
            getCustomOp(node).set_nodeattr("out_dtype", kinds[node.output[0]].name)
        for tensor, kind in kinds.items():
            model.set_tensor_datatype(tensor, kind)
    expected, found = described(model), described(ModelWrapper(str(build / "hardware.onnx")))
    assert len(expected) > 5
    assert found.keys() == expected.keys()
    for tensor, (kind, attributes) in expected.items():
        assert found[tensor] == (kind, attributes), tensor
