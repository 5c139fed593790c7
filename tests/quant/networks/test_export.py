# SPDX-License-Identifier: Apache-2.0
"""The QONNX file: nothing but the operators that lowering knows, and the very values of the network."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.networks.checkpoint import Network, NetworkConfig, logits, to_input
from framegate.quant.networks.export import export_qonnx, network_config
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from tests.networks import Exported, exported

OPERATORS = {
    "Quant", "Conv", "BatchNormalization", "Relu", "FrameGather", "Add", "ReduceSum", "Mul", "Reshape",
    "Gemm", "FrameMean",
}  # fmt: skip


@pytest.fixture
def made(tiny: NetworkConfig, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The tiny network as a graph."""
    return exported(tiny, 0, tmp_path_factory)


def test_the_graph_holds_known_operators(made: Exported) -> None:
    graph = onnx.load(made.qonnx).graph
    assert {node.op_type for node in graph.node} == OPERATORS
    gathers = [node for node in graph.node if node.op_type == "FrameGather"]
    attributes = [{a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} for node in gathers]
    assert [a["groups"] for a in attributes] == [[0, 1, -1, 1, 2, 1, 2, 8, 0]] * 2
    assert {
        (node.domain, a["frames"], a["stride_t"]) for node, a in zip(gathers, attributes, strict=True)
    } == {("framegate.hls.finn_ops", 4, 1)}
    shapes = [
        [d.dim_value for d in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)
    ]
    assert shapes == [[4, 3, 16, 16], [1, 3]]


def test_every_scale_is_a_power_of_two_and_the_first_is_of_a_pixel(made: Exported) -> None:
    graph = onnx.load(made.qonnx).graph
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    quantizers = [node for node in graph.node if node.op_type == "Quant"]
    scales = {node.input[0]: float(constants[node.input[1]]) for node in quantizers}
    assert all(np.frexp(scale)[0] == 0.5 for scale in scales.values())
    assert scales[graph.input[0].name] == 2**-8


def test_executing_the_graph_gives_the_network_s_logits(made: Exported) -> None:
    network = made.network
    model = ModelWrapper(str(made.qonnx))
    pixels = torch.randint(0, 256, (3, 4, 16, 16, 3), dtype=torch.uint8)
    for clip, expected in zip(pixels, logits(network, pixels), strict=True):
        values = execute_onnx(model, {model.graph.input[0].name: to_input(clip[None]).numpy()})
        assert np.array_equal(values[model.graph.output[0].name][0], expected.numpy())


def test_the_graph_carries_its_configuration(made: Exported, tiny: NetworkConfig) -> None:
    model = onnx.load(made.qonnx)
    assert network_config(model) == tiny
    assert network_config(onnx.ModelProto()) is None


def test_a_float_network_has_nothing_to_export(tiny: NetworkConfig, tmp_path: Path) -> None:
    for option in ("weight_bits", "act_bits", "edge_bits"):
        with pytest.raises(
            UsageError, match=rf"^{option}=None: float values cannot become hardware; give 2 to 8"
        ):
            export_qonnx(Network(tiny.model_copy(update={option: None})), tmp_path / "model.qonnx.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["no", '{"frames": -3}', '{"widths": "wide"}'])
def test_a_configuration_that_cannot_be_read_is_named(value: str) -> None:
    model = onnx.ModelProto()
    onnx.helper.set_model_props(model, {"framegate.network": value})
    with pytest.raises(
        UsageError, match=r"^the graph's metadata framegate.network cannot be read \(.*; export the"
    ):
        network_config(model)
