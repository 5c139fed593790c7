# SPDX-License-Identifier: Apache-2.0
"""Integer thresholds, asked of the network's own float32 operations.

Scale, BatchNorm, activation and quantizer between an accumulator and the next integers are a monotone staircase per
channel. Where each step lies is asked of those very operations, run by what also runs the QONNX graph: rounding, ties
and the last bit of a float are inside the thresholds. Where an accumulator has few values all are asked, else each step
is found by bisection and its neighbours are asked.

Operations that IEEE 754 rounds are as monotone as what they compute, and the same everywhere. A curve (CURVES) is a
series, whose last bit may rise and fall with its input, and differ with the place of a value in its tensor.
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

SAMPLES = 129  # accumulator values per channel at which a staircase is checked that was found by bisection
NEAR = 4  # and so many on each side of its steps
EVERY = 2**20  # accumulator values of all channels that are asked one by one
BLOCK = 2**14  # accumulator values per channel that are asked at once

MONOTONE_CURVES = (
    "Atan",
    "Celu",
    "Elu",
    "Erf",
    "Exp",
    "Log",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
)
CURVES = (*MONOTONE_CURVES, "Gelu", "Mish")


class NotMonotoneError(Exception):
    """A channel's output rises and falls with its accumulator."""


class NotANumberError(Exception):
    """A channel's output is no number."""


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
        bits = self._context[bits_name].item()
        op = getCustomOp(quant)
        signed, narrow = op.get_nodeattr("signed"), op.get_nodeattr("narrow")
        self.low, self.high = int(min_int(signed, narrow, bits)), int(max_int(signed, narrow, bits))
        curves = [other for other in nodes if other.op_type in CURVES]
        self.curved = bool(curves)  # the last bit of a float may not be what the network says
        self.rises_but_for_rounding = self.curved and all(map(_is_monotone, curves))
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
        if np.isnan(values).any():
            raise NotANumberError(f"channel {int(np.argwhere(np.isnan(values))[0, 1])}")
        return np.rint(values / self.scale).astype(np.int64)


def _is_monotone(curve: NodeProto) -> bool:
    """Whether a curve only rises, if it were not rounded; with negative attributes some do not."""
    return curve.op_type in MONOTONE_CURVES and all(entry.f >= 0 for entry in curve.attribute)


def is_identity(chain: FloatChain, scale: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether `chain` gives back every accumulator low … high (int64, per channel)."""
    if chain.low > low.min() or high.max() > chain.high:
        return False
    levels = int((high - low).max()) + 1
    for start in range(0, levels, BLOCK):
        values = np.minimum(low + np.arange(start, min(start + BLOCK, levels))[:, None], high)
        if (chain(values, scale) != values).any():
            return False
    return True


def staircase(chain: FloatChain, scale: np.ndarray, low: np.ndarray, high: np.ndarray) -> Staircase:
    """The thresholds of `chain` for accumulators low … high (int64, per channel).

    Raises NotMonotoneError when a channel rises and falls (of more than EVERY values as far as SAMPLES and NEAR tell),
    but for a level by which the rounding of a monotone curve does; NotANumberError when it gives no number.
    """
    levels = int((high - low).max()) + 1
    find = _counted if levels * len(low) <= EVERY else _bisected
    return find(chain, scale, low, high)


def _counted(chain: FloatChain, scale: np.ndarray, low: np.ndarray, high: np.ndarray) -> Staircase:
    """From the outputs of all accumulators: a step lies behind as many as do not reach it."""
    levels = np.arange(int((high - low).max()) + 1)[:, None]
    outputs = chain(np.minimum(low + levels, high), scale)
    sign = np.where(outputs[-1] < outputs[0], -1, 1)
    targets = np.arange(chain.low + 1, chain.high + 1)
    thresholds = np.empty((len(low), len(targets)), np.int64)
    for channel, count in enumerate(high - low + 1):
        found = outputs[:count, channel][:: sign[channel]]
        ordered = np.sort(found)
        if (found != ordered).any():
            _check_rounding(chain, int(np.abs(found - ordered).max()), channel)
        first = low[channel] if sign[channel] > 0 else -high[channel]
        thresholds[channel] = first + np.searchsorted(ordered, targets)
    return Staircase(thresholds, chain.low, sign)


def _check_rounding(chain: FloatChain, levels: int, channel: int) -> None:
    """Raise NotMonotoneError unless rounding explains that a channel falls by so many levels."""
    if not chain.rises_but_for_rounding or levels > 1:
        raise NotMonotoneError(f"channel {channel}")


def _bisected(chain: FloatChain, scale: np.ndarray, low: np.ndarray, high: np.ndarray) -> Staircase:
    """By bisection; checked at samples and near the steps."""
    places = np.linspace(0, 1, SAMPLES)[:, None]
    samples = np.rint(low + places * (high - low)).astype(np.int64)
    outputs = chain(samples, scale)
    sign = np.where(outputs[-1] < outputs[0], -1, 1)
    first, last = np.where(sign < 0, -high, low), np.where(sign < 0, -low, high)
    targets = np.arange(chain.low + 1, chain.high + 1)[:, None]
    thresholds = _bisect(lambda signed: chain(signed * sign, scale), targets, first, last)
    found = Staircase(thresholds.T, chain.low, sign)
    if (wrong := np.abs(found.count(samples * sign) - outputs)).any():
        _check_rounding(chain, int(wrong.max()), int(np.argwhere(wrong)[0, 1]))
    for away in range(-NEAR, NEAR):
        asked = np.clip(thresholds + away, first, last)
        reached = chain(asked * sign, scale) - targets
        if (wrong := np.where(asked < thresholds, reached + 1, -reached) > 0).any():
            _check_rounding(chain, int(np.abs(reached[wrong]).max()), int(np.argwhere(wrong)[0, 1]))
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
