# SPDX-License-Identifier: Apache-2.0
"""Small QONNX networks written node by node, and the comparison of every graph below them."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.lowering.graphs import LOGIT_SCALE, metadata, run, run_qonnx
from framegate.hls.lowering.integers.integerize import integerize
from framegate.hls.lowering.lower import LOWERING, clean
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

FRAMES, SIZE, WIDTH = 2, 6, 8
GENERAL, OURS = "qonnx.custom_op.general", "framegate.hls.finn_ops"


@dataclass
class Draft:
    """A QONNX network written by hand; every method appends a node and returns its output."""

    seed: int = 0
    channels: int = WIDTH
    frames: int = FRAMES
    size: int = SIZE
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def constant(self, values: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values)
        return name

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        number = len(self.nodes)
        node = helper.make_node(op, list(inputs), [f"t{number}"], name=f"n{number}", domain=domain)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)
        return node.output[0]

    def quant(
        self,
        x: str,
        scale: Any,
        bits: float,
        signed: int,
        zero: float = 0.0,
        narrow: int = 0,
        rounding: str = "ROUND",
    ) -> str:
        values = (np.float32(scale), np.float32(zero), np.float32(bits))
        inputs = [x, *(self.constant(value) for value in values)]
        return self.node(
            "Quant", *inputs, domain=GENERAL, signed=signed, narrow=narrow, rounding_mode=rounding
        )

    def weights(self, *shape: int, bits: int = 4, scale: Any = 0.25) -> str:
        top = 2 ** (bits - 1) - 1
        values = self.random.integers(-top, top + 1, shape).astype(np.float32) * np.float32(scale)
        return self.quant(self.constant(values), scale, bits, signed=1, narrow=1)

    def conv(self, x: str, inputs: int = WIDTH, bits: int = 4, scale: Any = 0.25, **attributes: Any) -> str:
        geometry = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], **attributes}
        group = geometry.get("group", 1)
        return self.node(
            "Conv", x, self.weights(self.channels, inputs // group, 3, 3, bits=bits, scale=scale), **geometry
        )

    def norm(self, x: str, scale: Any = None, spread: float = 2.0) -> str:
        count, random = self.channels, self.random
        if scale is None:
            scale = random.uniform(0.2, 1.5, count) * random.choice([-1, 1], count)
        values = (
            scale,
            random.uniform(-1, 1, count),
            random.uniform(-1, 1, count),
            random.uniform(0.5, spread, count),
        )
        return self.node("BatchNormalization", x, *(self.constant(np.float32(value)) for value in values))

    def stem(self, bits: int = 4) -> str:
        """Pixels, a convolution, BatchNorm, ReLU, quantizer."""
        x = self.conv(self.quant("x", 2**-8, 8, signed=0), inputs=3, bits=8, scale=2**-5)
        return self.quant(self.node("Relu", self.norm(x)), 2**-2, bits, signed=0)

    def gather(
        self, x: str, groups: Sequence[tuple[int, int, int]], stride_t: int = 1, outputs: int = 0
    ) -> str:
        """Channel ranges of neighbouring frames."""
        flat = [number for group in groups for number in group]
        attributes = {"groups": flat, "frames": self.frames, "stride_t": stride_t, "outputs": outputs}
        return self.node("FrameGather", x, domain=OURS, **attributes)

    def head(self, x: str, *, bias: str = "", **attributes: Any) -> str:
        """Sum of pixels, 3 logits, sum of frames."""
        x = self.node("ReduceSum", x, self.constant(np.array([2, 3])), keepdims=1)
        x = self.node("Mul", x, self.constant(np.float32(2**-6)))
        x = self.node("Reshape", x, self.constant(np.array([self.frames, self.channels])))
        x = self.node("Gemm", x, self.weights(3, self.channels, bits=8, scale=2**-7), transB=1, **attributes)
        x = self.node("Add", x, bias) if bias else x
        x = self.node("FrameMean", x, domain=OURS, frames=self.frames)
        return self.node("Mul", x, self.constant(np.float32(0.5)))

    def model(self, output: str) -> ModelWrapper:
        return clean(ModelWrapper(self.proto(output)))

    def proto(self, output: str) -> ModelProto:
        """The file as an exporter could write it: without the shapes of the tensors between the layers."""
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.frames, 3, self.size, self.size])
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "draft", [x], [y], initializer=constants)
        opsets = [helper.make_opsetid(name, version) for name, version in (("", 20), (GENERAL, 2), (OURS, 1))]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def refusal(self, output: str) -> str:
        """What integerize says about it."""
        with pytest.raises(UsageError) as caught:
            integerize(self.model(output))
        return str(caught.value)


def random_pixels(seed: int, frames: int = FRAMES, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, frames, size, size, 3)).astype(np.uint8)


def expect_equal(model: ModelWrapper, seed: int) -> ModelWrapper:
    """The integer graph, after it and all graphs below it have given the same logits as the network."""
    frames, _, size, _ = model.get_tensor_shape(model.graph.input[0].name)
    integers, pixels = integerize(model), random_pixels(seed, frames, size)
    scale = np.float32(metadata(integers)[LOGIT_SCALE])
    expected = run_qonnx(model, pixels)
    assert len(np.unique(expected)) > 3
    lowered = deepcopy(integers)
    assert np.array_equal(run(lowered, pixels) * scale, expected)
    for step in LOWERING[LOWERING.index(integerize) + 1 :]:
        lowered = step(lowered)
        assert np.array_equal(run(lowered, pixels) * scale, expected), step.__name__
    return integers
