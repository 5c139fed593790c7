# SPDX-License-Identifier: Apache-2.0
"""Small QONNX files with much that is unusual in each, by the commands alone: every rung and every stream is exact."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from framegate.rtl_sim.bench.simulator import Simulator
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.cli.conftest import Result
from tests.drafts import GENERAL, Draft


def written(draft: Draft, output: str, shape: list[int], scores: int) -> ModelProto:
    """A file without shapes between the layers, whose constants are among its inputs."""
    constants = [numpy_helper.from_array(value, name) for name, value in draft.constants.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in constants]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, scores])]
    graph = helper.make_graph(draft.nodes, "odd", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(GENERAL, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def features(seed: int) -> ModelProto:
    """Three features: x + x, wide weights, rounding to zero, two-level weights, a bias finer than the sums."""
    draft = Draft(seed, frames=1)
    x = draft.quant("x", 2**-4, 4, signed=0)
    x = draft.node("MatMul", draft.node("Add", x, x), draft.weights(3, 6, bits=10, scale=2**-8))
    x = draft.quant(x, 2**-1, 4, signed=1, rounding="ROUND_TO_ZERO")
    signs = draft.constant(np.float32(draft.random.choice([-1, 1], (6, 5))))
    weights = draft.node("BipolarQuant", signs, draft.constant(np.float32(0.5)), domain=GENERAL)
    x = draft.quant(draft.node("MatMul", x, weights), 2**-1, 3, signed=0)
    bias = draft.quant(draft.constant(np.float32(draft.random.normal(size=4))), 2**-10, 14, signed=1)
    x = draft.node("Gemm", x, draft.weights(4, 5, scale=2**-3), bias, transB=1)
    for node in draft.nodes:
        if node.op_type == "Quant":  # the defaults: signed, to the nearest
            kept = [one for one in node.attribute if helper.get_attribute_value(one) not in (1, b"ROUND")]
            del node.attribute[:]
            node.attribute.extend(kept)
    return written(draft, x, [1, 3], 4)


def pictures(seed: int) -> ModelProto:
    """Small coloured pictures: a concatenation of x and x, two-level activations, the flattened mean of 36 pixels."""
    draft = Draft(seed, channels=4, frames=1, size=6)
    x = draft.quant("x", 2**-8, 8, signed=0)
    x = draft.conv(draft.node("Concat", x, x, axis=1), inputs=6)
    shifted = draft.node("Sub", x, draft.constant(np.float32(draft.random.normal(size=(1, 4, 1, 1)))))
    x = draft.node("BipolarQuant", shifted, draft.constant(np.float32(1)), domain=GENERAL)
    x = draft.node("Conv", x, draft.weights(3, 4, 1, 1), kernel_shape=[1, 1])
    return written(draft, draft.node("Flatten", draft.node("GlobalAveragePool", x)), [1, 3, 6, 6], 3)


@pytest.mark.parametrize("network", [features, pictures])
def test_from_file_to_hardware(
    network: Callable[[int], ModelProto], tmp_path: Path, rapid: Simulator, framegate: Callable[..., Result]
) -> None:
    onnx.save(network(7), file := tmp_path / "odd.onnx")
    build = tmp_path / "build"
    compiled = framegate("compile", file, "--build", build, "--target", "kv260", "--pixel-scale", "1/256")
    assert compiled.code == 0, compiled.err
    judged = framegate("simulate", build, "--simulator", rapid, "--probe", "--json")
    assert judged.code == 0, judged.err
    rungs = {rung["rung"]: (rung["mismatches"], rung["values"]) for rung in judged.json["ladder"]}
    assert rungs["qonnx"][0] == rungs["finn"][0] == rungs["rtl"][0] == 0
    assert rungs["reference"][0] is None
    assert rungs["rtl"][1] > 40, "every stream was compared"
    said = framegate("simulate", build, "--simulator", rapid, "--probe").out.splitlines()
    (yardstick,) = [line for line in said if line.startswith("reference")]
    assert yardstick.endswith(" integers, the yardstick")


def test_clips_for_small_pictures_are_refused(tmp_path: Path, framegate: Callable[..., Result]) -> None:
    onnx.save(pictures(7), file := tmp_path / "odd.onnx")
    assert framegate("compile", file, "--build", tmp_path / "build", "--target", "kv260").code == 0
    result = framegate("simulate", tmp_path / "build", "--clips", tmp_path)
    assert result.code == 2
    assert "no square frames of red, green and blue of 8x8 pixels or more, so no video" in result.err


@pytest.mark.parametrize("network", [features, pictures])
def test_branches_that_lead_nowhere_make_no_hardware(
    network: Callable[[int], ModelProto], tmp_path: Path, framegate: Callable[..., Result]
) -> None:
    """Behind every tensor one, of a layer that could be built and one that could not."""
    plain, branched = network(7), network(7)
    for number, node in enumerate(list(branched.graph.node), start=1):
        dead = [
            helper.make_node("Relu", [node.output[0]], [f"dead{number}"]),
            helper.make_node("Erf", [f"dead{number}"], [f"deader{number}"]),
        ]
        branched.graph.node.extend(dead)
    designs = []
    for name, model in (("plain", plain), ("branched", branched)):
        onnx.save(model, tmp_path / f"{name}.onnx")
        build = tmp_path / name
        result = framegate("compile", tmp_path / f"{name}.onnx", "--build", build, "--target", "kv260")
        assert result.code == 0, result.err
        rtl = {file.name: file.read_bytes() for file in (build / "rtl").iterdir() if file.suffix == ".hex"}
        designs.append(((build / "dataflow.json").read_text(), (build / "latency.json").read_text(), rtl))
    assert designs[0] == designs[1]
