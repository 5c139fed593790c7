# SPDX-License-Identifier: Apache-2.0
"""Names of layers say where they are; renaming loses no tensor and changes no value."""

from copy import deepcopy

import numpy as np
import pytest
from framegate.hls.lowering.graphs import metadata, pixel_scale, rename, run, set_pixel_scale
from framegate.hls.lowering.integers.integerize import integerize
from framegate.hls.lowering.layer_names import name_layers
from framegate.hls.lowering.shapes import describe_constants, infer_shapes, standard_graph, without_weights
from onnx import checker, helper
from qonnx.core.modelwrapper import ModelWrapper

from tests.drafts import FRAMES, WIDTH, Draft, random_pixels


def residual(draft: Draft) -> str:
    """Two stages, the second with a convolution on its shortcut."""
    x = draft.stem()
    for stage in range(2):
        long = draft.quant(draft.node("Relu", draft.conv(x)), 2**-2, 4, signed=0)
        long = draft.quant(draft.conv(long), 2**-2, 5, signed=1)
        short = (
            draft.quant(draft.conv(x), 2**-2, 5, signed=1) if stage else draft.quant(x, 2**-2, 5, signed=1)
        )
        x = draft.quant(draft.node("Relu", draft.node("Add", long, short)), 2**-2, 4, signed=0)
    return draft.head(x)


def separable(draft: Draft) -> str:
    """A shift, a depthwise and a 1x1 convolution."""
    x = draft.gather(draft.stem(), ((0, 2, -1), (2, WIDTH, 0)))
    x = draft.conv(x, group=WIDTH)
    x = draft.quant(draft.node("Relu", x), 2**-2, 4, signed=0)
    x = draft.node("Conv", x, draft.weights(WIDTH, WIDTH, 1, 1), kernel_shape=[1, 1])
    return draft.head(draft.quant(draft.node("Relu", x), 2**-2, 4, signed=0))


EXPECTED = {
    residual: {
        "stem", "stem_act", "stage1_conv1", "stage1_conv1_act", "stage1_conv2", "stage1_add", "stage1_act",
        "stage2_conv1", "stage2_conv2", "stage2_shortcut", "stage2_add", "stage2_act", "head",
    },
    separable: {"stem", "stem_act", "shift", "block1_depthwise", "block1_depthwise_act", "block1_pointwise",
                "block1_pointwise_act", "head"},
}  # fmt: skip


@pytest.fixture(params=[residual, separable], ids=lambda network: network.__name__)
def case(request: pytest.FixtureRequest) -> tuple[ModelWrapper, set[str]]:
    """An integer graph and the names that it must have."""
    draft = Draft()
    return integerize(draft.model(request.param(draft))), EXPECTED[request.param]


def test_layers_are_called_by_their_place(case: tuple[ModelWrapper, set[str]]) -> None:
    model, expected = case
    named = name_layers(deepcopy(model))
    names = [node.name for node in named.graph.node]
    assert len(set(names)) == len(names)
    assert expected - {"shift"} <= set(names), f"got {names}"
    assert named.graph.output[0].name == "logits"
    for node in named.graph.node:
        assert node.output[0] in (node.name, "logits")
        for tensor in node.input:
            if named.get_initializer(tensor) is not None:
                assert tensor.startswith(f"{node.name}_")


def test_names_change_no_value_and_lose_no_type(case: tuple[ModelWrapper, set[str]]) -> None:
    model, _ = case
    named, pixels = name_layers(deepcopy(model)), random_pixels(3)
    assert np.array_equal(run(named, pixels), run(model, pixels))
    assert len(named.graph.node) == len(model.graph.node)
    kinds = [
        [graph.get_tensor_datatype(node.output[0]) for node in graph.graph.node] for graph in (model, named)
    ]
    assert kinds[0] == kinds[1]
    again = name_layers(deepcopy(named))
    assert [node.name for node in again.graph.node] == [node.name for node in named.graph.node]


def test_a_tensor_is_renamed_wherever_it_is_read() -> None:
    draft = Draft()
    x = draft.stem()
    twice = draft.node("Add", x, x)
    model = draft.model(draft.head(draft.quant(twice, 2**-2, 5, signed=0)))
    (add,) = [node for node in model.graph.node if node.op_type == "Add"]
    old = add.input[0]
    rename(model, old, "renamed")
    assert list(add.input) == ["renamed", "renamed"]
    assert not any(old in (*node.input, *node.output) for node in model.graph.node)
    assert model.get_tensor_shape("renamed") is not None


def test_the_value_of_a_pixel_is_noted_beside_what_else_is() -> None:
    draft = Draft()
    model = draft.model(draft.head(draft.stem()))
    assert pixel_scale(model) == 1 / 256
    helper.set_model_props(model.model, {"note": "kept"})
    for scale in (1 / 255, 0.1, 3.0):
        set_pixel_scale(model, scale)
        assert pixel_scale(model) == scale, "to the last bit"
        assert metadata(model)["note"] == "kept"


@pytest.mark.parametrize("network", [residual, separable])
def test_shapes_are_those_of_the_values(network: type) -> None:
    draft = Draft()
    output = network(draft)
    model = ModelWrapper(draft.proto(output), fix_missing_initializer_valueinfo=False)
    assert model.get_tensor_shape(draft.nodes[3].output[0]) is None, "the exporter left them out"
    describe_constants(model.graph)
    infer_shapes(model)
    shapes = {node.output[0]: model.get_tensor_shape(node.output[0]) for node in model.graph.node}
    assert all(shape and min(shape) > 0 for shape in shapes.values())
    cleaned = draft.model(output)
    for name, shape in shapes.items():
        known = cleaned.get_tensor_shape(name)
        assert known is None or known == shape, name
    for name, values in draft.constants.items():
        assert model.get_tensor_shape(name) == list(values.shape), name
    assert shapes[output] == [1, 3]
    assert shapes[draft.nodes[0].output[0]][0] == FRAMES


def test_shapes_are_found_without_copies_of_the_weights() -> None:
    draft = Draft(channels=16)
    model = ModelWrapper(draft.proto(draft.head(draft.stem())), fix_missing_initializer_valueinfo=False)
    before = model.model.SerializeToString()
    light = without_weights(model)
    assert max(np.prod(entry.dims) for entry in light.initializer) <= 64
    large = {entry.name for entry in model.graph.initializer} - {entry.name for entry in light.initializer}
    assert large
    assert large <= {entry.name for entry in light.input}
    assert model.model.SerializeToString() == before, "the graph itself keeps them"
    describe_constants(model.graph)
    plain = standard_graph(infer_shapes(model))
    checker.check_model(helper.make_model(plain, opset_imports=[helper.make_opsetid("", 20)], ir_version=8))
    assert {node.domain for node in plain.node} == {""}
