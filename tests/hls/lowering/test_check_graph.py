# SPDX-License-Identifier: Apache-2.0
"""A graph that contradicts itself is refused in one sentence, whatever is wrong with it; one that does not compiles."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from framegate.errors import UsageError
from framegate.hls.lowering.graphs import NETWORK, PIXEL_SCALE, save
from framegate.hls.lowering.lower import load_network, lower
from framegate.hls.lowering.read_off import read_dataflow
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.drafts import OURS, Draft

WIDTH, SIZE = 4, 4


def network(seed: int = 1) -> ModelProto:
    """Two convolutions, one of gathered frames, a residual addition, a pool and a head; 19 nodes or so."""
    draft = Draft(seed, channels=WIDTH, size=SIZE)
    x = draft.stem(3)
    y = draft.quant(
        draft.norm(draft.conv(draft.gather(x, ((0, 2, -1), (2, WIDTH, 0))), WIDTH)), 0.5, 3, signed=1
    )
    x = draft.quant(draft.node("Add", y, draft.quant(x, 0.5, 3, signed=1)), 0.5, 3, signed=0)
    x = draft.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    graph = draft.head(x)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [draft.frames, 3, SIZE, SIZE]), (graph, [1, 3]))
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in draft.constants.items()]
    made = helper.make_graph(draft.nodes, "mutant", ends[:1], ends[1:], initializer=constants)
    opsets = [
        helper.make_opsetid(name, version) for name, version in (("", 20), ("qonnx.custom_op.general", 2))
    ]
    return helper.make_model(made, opset_imports=[*opsets, helper.make_opsetid(OURS, 1)], ir_version=10)


def compiled(model: ModelProto, folder: Path) -> None:
    """As far as the dataflow, from which on only kernels are at work."""
    path = folder / "user.onnx"
    onnx.save(model, path)
    graph = save(load_network(path), folder / "taken.onnx")
    read_dataflow(lower(graph, folder))


def refusal(model: ModelProto, folder: Path) -> str:
    """What is said about it, behind the name of the file."""
    with pytest.raises(UsageError) as caught:
        compiled(model, folder)
    said = str(caught.value)
    assert said.startswith(f"{folder / 'user.onnx'}: "), said
    assert "\n" not in said
    return said.split(": ", 1)[1]


def node(model: ModelProto, kind: str, number: int = 0) -> NodeProto:
    return [entry for entry in model.graph.node if entry.op_type == kind][number]


def constant(model: ModelProto, name: str) -> TensorProto:
    return next(entry for entry in model.graph.initializer if entry.name == name)


def put(model: ModelProto, name: str, values: Any) -> None:
    constant(model, name).CopyFrom(numpy_helper.from_array(np.asarray(values), name))


def attribute(entry: NodeProto, name: str, value: Any) -> None:
    for old in [old for old in entry.attribute if old.name == name]:
        entry.attribute.remove(old)
    entry.attribute.append(helper.make_attribute(name, value))


def drop(entry: NodeProto, name: str) -> None:
    entry.attribute.remove(next(old for old in entry.attribute if old.name == name))


def test_the_network_itself_compiles(tmp_path: Path) -> None:
    compiled(network(), tmp_path)


def _second_output(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["x"], [node(model, "Relu").output[0]], name="again"))


def _second_constant(model: ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _cycle(model: ModelProto) -> None:
    node(model, "Conv").input[0] = node(model, "MaxPool").output[0]


def _unsorted(model: ModelProto) -> None:
    first = model.graph.node[0]
    moved = NodeProto.FromString(first.SerializeToString())
    model.graph.node.remove(first)
    model.graph.node.append(moved)


def _reshape(model: ModelProto) -> None:
    put(model, node(model, "Reshape").input[1], np.array([2, 7]))


def _missing(model: ModelProto) -> None:
    model.graph.initializer.remove(constant(model, node(model, "BatchNormalization").input[1]))


def _domain(model: ModelProto) -> None:
    node(model, "Relu").domain = "com.example"


def _no_opset(model: ModelProto) -> None:
    model.opset_import.remove(model.opset_import[0])


def _operator(model: ModelProto) -> None:
    node(model, "Relu").op_type = "Relo"


def _bias(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "bias"))
    node(model, "Conv").input.append("bias")


def _described(model: ModelProto) -> None:
    info = helper.make_tensor_value_info(node(model, "Relu").output[0], TensorProto.FLOAT, [1, 2, 3])
    model.graph.value_info.append(info)


def _two_inputs(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def _odd_constant(model: ModelProto) -> None:
    constant(model, node(model, "BatchNormalization").input[1]).dims[:] = [5]


def _metadata(name: str, value: str) -> Callable[[ModelProto], None]:
    return lambda model: helper.set_model_props(model, {name: value})


def _set(kind: str, name: str, value: Any) -> Callable[[ModelProto], None]:
    return lambda model: attribute(node(model, kind), name, value)


def _fill(kind: str, slot: int, value: Any, number: int = 0) -> Callable[[ModelProto], None]:
    """A constant of a node, all of one value; of a quantizer's weights the first."""

    def mutate(model: ModelProto) -> None:
        name = node(model, kind, number).input[slot]
        old = numpy_helper.to_array(constant(model, name))
        put(model, name, np.full_like(old, value))

    return mutate


def _retype(kind: str, slot: int, dtype: type, number: int = 0) -> Callable[[ModelProto], None]:
    def mutate(model: ModelProto) -> None:
        name = node(model, kind, number).input[slot]
        put(model, name, numpy_helper.to_array(constant(model, name)).astype(dtype))

    return mutate


AGAIN = "export the network again"
KINDS: dict[str, tuple[Callable[[ModelProto], None], str]] = {
    "two nodes with one output": (
        _second_output,
        rf"Relu 'again' at node \d+ gives 't4', as Relu 'n4' at node 5 does; {AGAIN}, with one maker of each",
    ),
    "two constants of one name": (_second_constant, rf"2 constants are named 'c0'; {AGAIN}"),
    "kernel against weights": (
        _set("Conv", "kernel_shape", [5, 5]),
        r"Conv 'n2' at node 3 of \d+ has kernel_shape=\[5, 5\], but weights of shape \[4, 3, 3, 3\]; make them agree",
    ),
    "impossible reshape": (
        _reshape,
        r"Reshape 'n\d+' at node \d+ of \d+ makes \[2, 7\] of \[2, 4, 1, 1\]; give a shape of as many values",
    ),
    "a cycle": (
        _cycle,
        r"Conv 'n2' at node 3 of \d+ reads 't\d+', which is made from its own result: a cycle; "
        r"unroll it over the frames",
    ),
    "not sorted": (
        _unsorted,
        r"Conv 'n2' at node 2 of \d+ reads 't0', which a later layer makes; sort the nodes in execution order",
    ),
    "unknown domain": (
        _domain,
        r"Relu 'n4' at node 5 of \d+ is of domain 'com.example'; beside ONNX's own operators use .*",
    ),
    "unknown operator": (
        _operator,
        rf"Relo 'n4' at node 5 of \d+ is no operator of ONNX's opset 20; {AGAIN}",
    ),
    "no opset": (_no_opset, r"ONNX's opset is missing; export it for an opset of 7 to \d+"),
    "a missing input": (
        _missing,
        rf"BatchNormalization 'n3' at node 4 of \d+ reads 'c\d+', which no input, constant or layer gives; {AGAIN}",
    ),
    "two inputs": (
        _two_inputs,
        "the network takes 2 tensors and gives 1; export one that takes one and gives one",
    ),
    "a bias of another size": (
        _bias,
        r"Conv 'n2' at node 3 of \d+ has a bias of shape \[3\]; give one value for each of 4 outputs",
    ),
    "another shape than it says": (_described, rf"ONNX refuses it: .*Relu.*n4.*; {AGAIN}"),
    "a constant of another size": (
        _odd_constant,
        rf"the constant 'c\d+' does not hold the values of its shape \[5\]; {AGAIN}",
    ),
    "weights that are no numbers": (
        _fill("Quant", 0, np.nan, 1),
        r"the constant 'c\d+', which Quant 'n1' at node 2 of \d+ reads, holds nan; train again; only numbers become "
        r"hardware",
    ),
    "an infinite scale": (
        _fill("Quant", 1, np.inf),
        r"the constant 'c0', which Quant 'n0' at node 1 of \d+ reads, holds inf; train again; .*",
    ),
    "weights of another type": (
        _retype("Quant", 0, np.int64, 1),
        r"Quant 'n1' at node 2 of \d+ reads 'c\d+', a constant of int64; export in float32",
    ),
    "a constant of another type": (
        _retype("BatchNormalization", 1, np.int64),
        rf"ONNX refuses it: .*BatchNormalization.*; {AGAIN}",
    ),
    "a negative variance": (
        _fill("BatchNormalization", 4, -1.0),
        r"BatchNormalization 'n3' at node 4 of \d+ has a variance of -1; train again; it is 0 or more",
    ),
    "groups of a gather": (
        _set("FrameGather", "groups", [0, 9, 0]),
        r"FrameGather 'n\d+' at node \d+ of \d+ has groups=\[0, 9, 0\] of 4 channels; give begin, end and frame offset "
        r"of each range",
    ),
    "frames of a gather": (
        _set("FrameGather", "frames", 3),
        r"FrameGather 'n\d+' at node \d+ of \d+ has frames=3, but 2 arrive; export the network for one clip",
    ),
    "a gather without groups": (
        lambda model: drop(node(model, "FrameGather"), "groups"),
        rf"FrameGather 'n\d+' at node \d+ of \d+ has no groups; {AGAIN}",
    ),
    "a rounding mode that is a number": (
        _set("Quant", "rounding_mode", 3),
        r"Quant 'n0' at node 1 of \d+ has rounding_mode=3; it must be of type s",
    ),
    "network metadata that are none": (
        _metadata(NETWORK, "no"),
        rf"its metadata {NETWORK} are no JSON object; {AGAIN}, or without them",
    ),
    "a pixel scale that is none": (
        _metadata(PIXEL_SCALE, "nan"),
        rf"its metadata say {PIXEL_SCALE} = 'nan'; give --pixel-scale",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_contradiction_is_named(kind: str, tmp_path: Path) -> None:
    model, (mutate, says) = network(), KINDS[kind]
    mutate(model)
    said = refusal(model, tmp_path)
    assert re.fullmatch(says, said), said


@pytest.mark.parametrize(
    ("strides", "remedy"),
    [
        ([0, 0], "use whole numbers from 1 to 65535"),
        ([-1, 1], "use whole numbers from 1 to 65535"),
        ([10**9, 10**9], "use whole numbers from 1 to 65535"),
        ([1], "give one per axis of the window, and two pads"),
        ([1, 1, 1], "give one per axis of the window, and two pads"),
    ],
)
@pytest.mark.parametrize("kind", ["Conv", "MaxPool"])
def test_odd_strides_are_named(kind: str, strides: list[int], remedy: str, tmp_path: Path) -> None:
    model = network()
    attribute(node(model, kind), "strides", strides)
    said = refusal(model, tmp_path)
    assert said.startswith(f"{kind} 'n")
    assert said.endswith(f"; {remedy}")


@pytest.mark.parametrize("bits", [0.0, 2.5, 33.0, 2.0**40, -3.0])
def test_odd_bit_widths_are_named(bits: float, tmp_path: Path) -> None:
    model = network()
    put(model, node(model, "Quant", 2).input[3], np.float32(bits))
    onnx.save(model, tmp_path / "user.onnx")
    with pytest.raises(
        UsageError, match=r"Quant 'n5' at node 6 of \d+: bit width .*; use a whole number from 1 to 32"
    ):
        compiled(model, tmp_path)


def test_a_kernel_larger_than_the_picture_is_named(tmp_path: Path) -> None:
    model = network()
    attribute(node(model, "MaxPool"), "kernel_shape", [7, 7])
    assert refusal(model, tmp_path).endswith(
        "has a kernel of [7, 7], which does not fit into [4, 4] with pads=[0, 0, 0, 0]; "
        "use a smaller kernel or more padding"
    )


def test_what_nothing_reads_is_left_out(tmp_path: Path) -> None:
    """A branch that leads nowhere, a layer in it that cannot be built, a constant of any type."""
    model = network()
    branch = helper.make_node("Relu", [node(model, "Relu").output[0]], ["nowhere"])
    odd = helper.make_node("Softmax", ["nowhere"], ["far"])
    model.graph.node.extend([branch, odd])
    model.graph.initializer.append(TensorProto(name="dangling", data_type=TensorProto.STRING, dims=[3]))
    compiled(model, tmp_path)
    kept = load_network(tmp_path / "taken.onnx").graph
    assert all(entry.name != "dangling" for entry in kept.initializer)
    assert "nowhere" not in {name for entry in kept.node for name in entry.output}


def test_two_names_of_the_standard_domain_are_one(tmp_path: Path) -> None:
    model = network()
    model.opset_import[0].domain = node(model, "Relu").domain = "ai.onnx"
    compiled(model, tmp_path)
