# SPDX-License-Identifier: Apache-2.0
"""Integer thresholds, found by bisection through the network's own float32 operations.

Scale, BatchNorm, ReLU and quantizer between an accumulator and the next integers are a monotone staircase per
channel. Where each step lies is asked of those very operations, run by what also runs the QONNX graph:
rounding, ties and the last bit of a float are inside the thresholds.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx import NodeProto, TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.general.intquant import max_int, min_int
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

SAMPLES = 129  # accumulator values per channel at which a staircase is checked


class NotMonotoneError(Exception):
    """A channel's output rises and falls with its accumulator."""


@dataclass(frozen=True)
class Staircase:
    """Output = base + number of thresholds <= sign * accumulator."""

    thresholds: (
        np.ndarray
    )  # int64 (channels, steps), ascending, between the accumulator's lowest value and highest + 1
    base: int
    sign: np.ndarray  # +1, or -1 where the channel falls with its accumulator

    def count(self, accumulators: np.ndarray) -> np.ndarray:
        """Output integers for (signed) accumulators (levels, channels)."""
        return self.base + (accumulators[:, :, None] >= self.thresholds).sum(axis=2)


def output_format(quant: NodeProto) -> tuple[str, str]:
    """The names of the scale and the bit width that a quantizer gives its output."""
    return (quant.input[4], quant.input[5]) if quant.op_type == "Trunc" else (quant.input[1], quant.input[3])


class FloatChain:
    """Elementwise float32 nodes that end in a Quant or Trunc, as a function from accumulators to integers."""

    def __init__(
        self, model: ModelWrapper, source: str, nodes: list[NodeProto], quant: NodeProto, rank: int
    ) -> None:
        """`source` is the tensor of `model` that enters `nodes`; its channels are on axis 1 of `rank`."""
        self._source = source
        self._quant = quant
        self._rank = rank
        self._session = _session(model, source, nodes, rank) if nodes else None
        self._context = {name: model.get_initializer(name) for name in quant.input[1:]}
        scale_name, bits_name = output_format(quant)
        scale = self._context[scale_name].astype(np.float32)
        self.scale = scale.reshape(-1 if scale.size > 1 else ())  # one, or one per channel
        bits = self._context[bits_name]
        op = getCustomOp(quant)
        signed, narrow = op.get_nodeattr("signed"), op.get_nodeattr("narrow")
        self.low, self.high = int(min_int(signed, narrow, bits)), int(max_int(signed, narrow, bits))
        if signed and bits == 1:
            self.low, self.high = -1, 1  # QONNX knows these two levels alone, without the 0 between them

    def __call__(self, accumulators: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Integers (levels, channels) of the quantizer; `scale` is the value of one accumulator step."""
        x = accumulators.astype(np.float32) * np.float32(scale)
        x = x.reshape(*x.shape, *[1] * (self._rank - 2))
        if self._session is not None:
            (x,) = self._session.run(None, {self._source: x})
        context = {**self._context, self._quant.input[0]: x}
        getCustomOp(self._quant).execute_node(context, None)
        values = context[self._quant.output[0]].reshape(accumulators.shape)
        return np.rint(values / self.scale).astype(np.int64)


def staircase(chain: FloatChain, scale: np.ndarray, low: np.ndarray, high: np.ndarray) -> Staircase:
    """The thresholds of `chain` for accumulators low … high (int64, per channel).

    Raises NotMonotoneError when a channel rises and falls, as far as SAMPLES values per channel tell.
    """
    places = np.linspace(0, 1, SAMPLES)[:, None]
    samples = np.rint(low + places * (high - low)).astype(np.int64)
    steps = np.diff(chain(samples, scale), axis=0)
    rises, falls = (steps > 0).any(axis=0), (steps < 0).any(axis=0)
    if (rises & falls).any():
        raise NotMonotoneError(f"channel {int(np.flatnonzero(rises & falls)[0])}")
    sign = np.where(falls, -1, 1)
    first, last = np.where(falls, -high, low), np.where(falls, -low, high)
    targets = np.arange(chain.low + 1, chain.high + 1)[:, None]
    thresholds = _bisect(lambda signed: chain(signed * sign, scale), targets, first, last)
    found = Staircase(thresholds.T, chain.low, sign)
    if (found.count(samples * sign) != chain(samples, scale)).any():
        raise NotMonotoneError("between samples")
    return found


def _bisect(
    output: Callable[[np.ndarray], np.ndarray], targets: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Per target and channel the smallest value of first … last whose output reaches it, else last + 1."""
    left = np.broadcast_to(first, (len(targets), len(first))).copy()
    right = np.broadcast_to(last + 1, left.shape).copy()
    while (open_ := left < right).any():
        middle = np.where(open_, (left + right) // 2, first)
        reached = output(middle) >= targets
        right = np.where(open_ & reached, middle, right)
        left = np.where(open_ & ~reached, middle + 1, left)
    return left


def _session(
    model: ModelWrapper, source: str, nodes: list[NodeProto], rank: int
) -> onnxruntime.InferenceSession:
    """The nodes as they stand, unfused, for any number of levels on the batch axis."""
    names = {name for node in nodes for name in node.input}
    constants = [
        numpy_helper.from_array(value, name)
        for name in sorted(names)
        if (value := model.get_initializer(name)) is not None
    ]
    shape = [None] * rank
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, shape)],
        initializer=constants,
    )
    opset = helper.make_opsetid("", model.get_opset_imports()[""])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    bytes_ = qonnx_make_model(graph, opset_imports=[opset]).SerializeToString()
    return onnxruntime.InferenceSession(bytes_, options, providers=["CPUExecutionProvider"])
