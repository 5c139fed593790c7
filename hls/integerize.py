# SPDX-License-Identifier: Apache-2.0
"""From a QONNX network to a graph of integers: convolutions, sums and thresholds.

Every tensor behind a quantizer is carried as integers with its scale. What stands elementwise between an
accumulator and the next quantizer becomes one MultiThreshold, whose integer thresholds come from those very
float32 operations.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls import finn_ops
from framegate.hls.finn_ops import datatype
from framegate.hls.graphs import EXACT, GENERAL, LOGIT_SCALE, PIXEL_SCALE, GraphWriter, metadata
from framegate.hls.thresholds import FloatChain, NotMonotoneError, Staircase, staircase
from onnx import NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import get_by_name

GEOMETRY = ("kernel_shape", "pads", "strides")  # of a Conv
FLOAT32_EXACT = 2**24  # integers below are exact in float32, and so are their sums in any order


@dataclass(frozen=True, eq=False)
class Integers:
    """A tensor of the new graph, and what it stands for: value = scale * integer, channels on axis 1."""

    tensor: str
    shape: tuple[int, ...]
    scale: np.ndarray  # float32, one value or one per channel
    low: np.ndarray  # int64, one per channel
    high: np.ndarray
    accumulator: str = ""  # the position of the layer whose unquantized sums these are
    weights: str = ""  # the constant that makes these sums: its signs may be flipped per output channel


@dataclass(frozen=True, eq=False)
class Pending:
    """Integers, seen through elementwise float operations that no quantizer has ended yet."""

    integers: Integers
    source: str  # the tensor of the network that enters the first operation
    nodes: tuple[NodeProto, ...]


@dataclass(frozen=True, eq=False)
class Weights:
    """A quantized constant: value = scale * integers."""

    integers: np.ndarray
    scale: np.ndarray  # float32, of the shape of the integers
    kind: BaseDataType


def integerize(model: ModelWrapper) -> ModelWrapper:
    """Rewrite a QONNX network (pixel/256 in, logits out) as integers (pixel in, integer logits out).

    Metadata of the result: that of the network, LOGIT_SCALE and EXACT.
    Raises UsageError naming the layer that cannot become integers, and the way out.
    """
    return _Integerizer(model).run()


class _Integerizer:
    """One walk over the nodes, in order; `seen` holds what each tensor of the network has become."""

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.writer = GraphWriter("NCHW", model.get_opset_imports()[""])
        self.seen: dict[str, Integers | Pending | Weights] = {}
        self.exact = True

    def run(self) -> ModelWrapper:
        graph = self.model.graph
        self.seen[graph.input[0].name] = self._pixels(graph.input[0].name)
        for node in graph.node:
            handle = HANDLERS.get(node.op_type)
            if handle is None:
                raise UsageError(
                    f"unsupported layer: {self.where(node)}; supported are {', '.join(sorted(HANDLERS))}; "
                    f"replace it in the network and export again"
                )
            handle(self, node)
        return self._finish(graph.output[0].name)

    def where(self, node: NodeProto) -> str:
        """The node's place, for messages."""
        return (
            f"{node.op_type} '{node.name}' at node {self._position(node) + 1} of {len(self.model.graph.node)}"
        )

    def _position(self, node: NodeProto) -> int:
        return next(place for place, other in enumerate(self.model.graph.node) if other == node)

    def _pixels(self, name: str) -> Integers:
        graph, shape = self.model.graph, tuple(self.model.get_tensor_shape(name))
        if len(graph.input) != 1 or len(graph.output) != 1 or len(shape) != 4 or 0 in shape:
            raise UsageError(
                f"the network takes {len(graph.input)} tensors, the first of shape {shape}; it must "
                f"take one of fixed shape (frames, channels, height, width) and give one"
            )
        self.writer.tensor("pixels", shape, DataType["UINT8"])
        channels = np.ones(shape[1], dtype=np.int64)
        return Integers("pixels", shape, np.array(PIXEL_SCALE, np.float32), 0 * channels, 255 * channels)

    def _finish(self, name: str) -> ModelWrapper:
        last = self.seen.get(name)
        if not isinstance(last, Integers):
            raise UsageError(self._unquantized(last, f"the output '{name}'"))
        if last.scale.size != 1:
            raise UsageError(
                f"the output '{name}' has a scale per class; give the weights of the last layer one scale"
            )
        facts = {LOGIT_SCALE: repr(float(last.scale)), EXACT: str(self.exact).lower()}
        return self.writer.model("pixels", last.tensor, metadata(self.model) | facts)

    def _unquantized(self, entry: "Integers | Pending | Weights | None", reader: str) -> str:
        """Why `reader` cannot take `entry`."""
        if isinstance(entry, Integers):
            return (
                f"{entry.accumulator} feeds {reader} without a quantizer between them; insert a QuantReLU or "
                f"QuantIdentity"
            )
        if isinstance(entry, Pending):
            return (
                f"{self.where(entry.nodes[-1])} feeds {reader} without a quantizer between them; insert a "
                f"QuantReLU or QuantIdentity behind it"
            )
        return (
            f"{reader} reads a constant where it needs a layer's output; fold it when you export the network"
        )

    def integers(self, node: NodeProto, slot: int = 0, *, quantized: bool = False) -> Integers:
        """The integers that enter `node`; if `quantized`, not the bare sums of another layer."""
        entry = self.seen.get(node.input[slot])
        if not isinstance(entry, Integers) or (quantized and entry.accumulator):
            raise UsageError(self._unquantized(entry, self.where(node)))
        return entry

    def weights(self, node: NodeProto) -> Weights:
        """The quantized weights of a Conv, MatMul or Gemm."""
        entry = self.seen.get(node.input[1])
        if not isinstance(entry, Weights):
            raise UsageError(f"{self.where(node)}: its weights are not quantized; use a layer of brevitas.nn")
        return entry

    def note_scale(self, scale: np.ndarray) -> None:
        """Remember when a scale is not a power of two."""
        self.exact &= bool((np.frexp(np.abs(scale))[0] == 0.5).all())

    def add(
        self,
        node: NodeProto,
        result: Integers,
        op: str,
        inputs: list[str],
        domain: str = "",
        **attributes: Any,
    ) -> None:
        """Emit a node of the new graph and remember that it makes `node`'s output."""
        low, high = int(result.low.min()), int(result.high.max())
        if max(-low, high) >= FLOAT32_EXACT:
            raise UsageError(
                f"{self.where(node)}: sums from {low} to {high} are not exact in float32 (2^24); "
                f"use fewer channels or bits"
            )
        self.writer.tensor(result.tensor, result.shape, datatype(low, high))
        self.writer.node(op, inputs, result.tensor, domain, **attributes)
        self.seen[node.output[0]] = result

    def quant(self, node: NodeProto) -> None:
        """A quantizer: of a constant, or the end of a chain of float operations."""
        scale, zero, bits = (self.model.get_initializer(name) for name in node.input[1:4])
        if scale is None or bits is None or zero is None or np.any(zero):
            raise UsageError(
                f"{self.where(node)}: scale, zero point and bit width must be constants, the zero point 0; "
                f"use a fixed-point quantizer of Brevitas"
            )
        if bits.size != 1 or float(bits) not in range(1, 33):
            raise UsageError(f"{self.where(node)}: bit width {bits.tolist()}; use a whole number")
        self.note_scale(scale)
        if (constant := self.model.get_initializer(node.input[0])) is not None:
            self.seen[node.output[0]] = _quantized(node, [constant, scale, zero, bits])
            return
        if scale.size != 1:
            raise UsageError(f"{self.where(node)}: {scale.size} activation scales; use one per tensor")
        entry = self.seen[node.input[0]]
        if isinstance(entry, Integers):
            entry = Pending(entry, node.input[0], ())
        assert isinstance(entry, Pending)
        self._thresholds(node, entry, int(bits))

    def _thresholds(self, node: NodeProto, pending: Pending, bits: int) -> None:
        source = pending.integers
        chain = FloatChain(self.model, pending.source, list(pending.nodes), node, len(source.shape))
        try:
            found = staircase(chain, source.scale.reshape(-1), source.low, source.high)
        except NotMonotoneError as error:
            layers = [self.where(other) for other in (*pending.nodes, node)]
            raise UsageError(
                f"{layers[0]} … {layers[-1]}: the output rises and falls with its input ({error}); "
                f"only monotone activations become thresholds"
            ) from None
        if _is_identity(found, chain.high, source):
            self.seen[node.output[0]] = replace(source, scale=chain.scale, accumulator="", weights="")
            return
        if (found.sign < 0).any():
            source = self._flipped(node, pending, found.sign)
        kind = DataType[f"{'INT' if chain.low < 0 else 'UINT'}{bits}"]
        first, last = int(source.low.min()), int(source.high.max()) + 1
        name = self.writer.constant(
            f"{node.output[0]}_thresholds", found.thresholds, datatype(min(first, 0), max(last, 0))
        )
        self.writer.tensor(node.output[0], source.shape, kind)
        self.writer.node(
            "MultiThreshold",
            [source.tensor, name],
            node.output[0],
            GENERAL,
            out_dtype=kind.name,
            out_bias=float(chain.low),
            data_layout="NCHW"[: len(source.shape)],
        )
        ones = np.ones_like(source.low)
        self.seen[node.output[0]] = Integers(
            node.output[0], source.shape, chain.scale, chain.low * ones, chain.high * ones
        )

    def _flipped(self, node: NodeProto, pending: Pending, sign: np.ndarray) -> Integers:
        """The sums, negated by their weights in the channels that fall."""
        source = pending.integers
        tensors = [pending.source, *(other.output[0] for other in pending.nodes)]
        if not source.weights or any(len(self.model.find_consumers(tensor)) > 1 for tensor in tensors):
            channels = np.flatnonzero(sign < 0).tolist()
            raise UsageError(
                f"{self.where(node)}: channels {channels} fall with their input, and the sign cannot "
                f"move into weights that nothing else reads; train with a positive BatchNorm scale there"
            )
        values, kind = self.writer.constants[source.weights]
        along = (-1, 1, 1, 1) if values.ndim == 4 else (1, -1)
        self.writer.constants[source.weights] = values * sign.reshape(along), kind
        low, high = np.where(sign < 0, -source.high, source.low), np.where(sign < 0, -source.low, source.high)
        shape, _ = self.writer.tensors[source.tensor]
        self.writer.tensor(source.tensor, shape, datatype(int(low.min()), int(high.max())))
        return replace(source, low=low, high=high)

    def elementwise(self, node: NodeProto) -> None:
        """A float operation: a power of two moves into the scale, anything else waits for a quantizer."""
        data = [name for name in node.input if name in self.seen]
        if len(data) != 1:
            self.join(node)
            return
        entry = self.seen[data[0]]
        if isinstance(entry, Integers) and (factor := self._power_of_two(node)):
            self.seen[node.output[0]] = replace(entry, scale=entry.scale * np.float32(factor))
            return
        if isinstance(entry, Weights):
            raise UsageError(self._unquantized(entry, self.where(node)))
        if isinstance(entry, Integers):
            entry = Pending(entry, data[0], ())
        self._check_operands(node, entry.integers)
        self.seen[node.output[0]] = replace(entry, nodes=(*entry.nodes, node))

    def _power_of_two(self, node: NodeProto) -> float:
        """The positive power of two by which a node multiplies, or 0."""
        constants = [self.model.get_initializer(name) for name in node.input]
        constant = next((value for value in constants if value is not None), None)
        if constant is None or constant.size != 1 or node.op_type not in ("Mul", "Div"):
            return 0.0
        if node.op_type == "Div" and constants[0] is not None:
            return 0.0
        value = float(constant.reshape(()))
        if value <= 0 or np.frexp(value)[0] != 0.5:
            return 0.0
        return value if node.op_type == "Mul" else 1 / value

    def _check_operands(self, node: NodeProto, integers: Integers) -> None:
        """Constants must be one value, or one per channel."""
        if node.op_type == "BatchNormalization":
            return
        channels, rank = integers.shape[1], len(integers.shape)
        per_channel = ((channels, *[1] * (rank - 2)), (1, channels, *[1] * (rank - 2)))
        for name in node.input:
            constant = self.model.get_initializer(name)
            if constant is not None and constant.size != 1 and constant.shape not in per_channel:
                raise UsageError(
                    f"{self.where(node)}: a constant of shape {constant.shape}; use one value, or one "
                    f"per channel"
                )

    def join(self, node: NodeProto) -> None:
        """An addition of two tensors of integers."""
        if node.op_type != "Add":
            raise UsageError(f"{self.where(node)}: combines two tensors; only Add does that so far")
        left, right = self.integers(node, 0, quantized=True), self.integers(node, 1, quantized=True)
        if left.scale.size != 1 or left.scale != right.scale:
            raise UsageError(
                f"{self.where(node)}: adds integers of scales {left.scale.tolist()} and "
                f"{right.scale.tolist()}; let both branches end in one shared quantizer"
            )
        if left.shape != right.shape:
            raise UsageError(
                f"{self.where(node)}: adds {left.shape} and {right.shape}; make the shapes equal"
            )
        result = Integers(
            node.output[0], left.shape, left.scale, left.low + right.low, left.high + right.high
        )
        self.add(node, result, "Add", [left.tensor, right.tensor])

    def conv(self, node: NodeProto) -> None:
        """A convolution without bias, groups or dilation."""
        source, weights = self.integers(node, quantized=True), self.weights(node)
        _check_geometry(self.where(node), node, weights.integers.ndim)
        geometry = {entry.name: list(entry.ints) for entry in node.attribute if entry.name in GEOMETRY}
        self._product(node, source, weights, "Conv", weights.integers, **geometry)

    def linear(self, node: NodeProto) -> None:
        """A matrix product with quantized weights, without bias."""
        source, weights = self.integers(node, quantized=True), self.weights(node)
        given = {entry.name: entry.f if entry.type == 1 else entry.i for entry in node.attribute}
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        odd = [name for name, value in plain.items() if given.get(name, value) != value]
        if odd or len(node.input) > 2 or len(source.shape) != 2 or weights.integers.ndim != 2:
            raise UsageError(
                f"{self.where(node)}: only a plain product with one row per frame can be built; "
                f"use a linear layer with bias=False on flattened features"
            )
        if not given.get("transB", 0):
            weights = replace(weights, integers=weights.integers.T, scale=weights.scale.T)
        self._product(node, source, weights, "MatMul", weights.integers.T)

    def _product(
        self,
        node: NodeProto,
        source: Integers,
        weights: Weights,
        op: str,
        constant: np.ndarray,
        **geometry: Any,
    ) -> None:
        """Emit `op` with `constant`, its weights as integers; `weights` has the outputs on axis 0."""
        if source.scale.size != 1:
            raise UsageError(f"{self.where(node)}: reads a scale per channel; use one per activation tensor")
        rows, scales = (part.reshape(len(part), -1) for part in (weights.integers, weights.scale))
        if (scales != scales[:, :1]).any():
            raise UsageError(f"{self.where(node)}: weight scales differ within an output; use one per output")
        name = self.writer.constant(f"{node.output[0]}_weights", constant, weights.kind)
        low, high = min(int(source.low.min()), 0), max(int(source.high.max()), 0)  # zero: padding
        ends = np.stack([rows * low, rows * high])
        result = Integers(
            node.output[0],
            tuple(self.model.get_tensor_shape(node.output[0])),
            source.scale * scales[:, 0] if (scales != scales[0]).any() else source.scale * scales[0, 0],
            ends.min(axis=0).sum(axis=1),
            ends.max(axis=0).sum(axis=1),
            accumulator=self.where(node),
            weights=name,
        )
        self.add(node, result, op, [source.tensor, name], **geometry)

    def frame_gather(self, node: NodeProto) -> None:
        """Channels of neighbouring frames: integers as before, and zeros."""
        source = self.integers(node)
        groups = getCustomOp(node).groups
        pick = np.concatenate([np.arange(begin, end) for begin, end, _ in groups])
        result = replace(
            source,
            tensor=node.output[0],
            shape=tuple(self.model.get_tensor_shape(node.output[0])),
            scale=source.scale[pick] if source.scale.size > 1 else source.scale,
            low=np.minimum(source.low[pick], 0),
            high=np.maximum(source.high[pick], 0),
            weights="",
        )
        attributes = {entry.name: getCustomOp(node).get_nodeattr(entry.name) for entry in node.attribute}
        self.add(node, result, "FrameGather", [source.tensor], finn_ops.DOMAIN, **attributes)

    def frame_mean(self, node: NodeProto) -> None:
        """The sum over frames."""
        frames = getCustomOp(node).get_nodeattr("frames")
        result = self._sum(node, frames)
        self.add(node, result, "FrameMean", [self.integers(node).tensor], finn_ops.DOMAIN, frames=frames)

    def reduce_sum(self, node: NodeProto) -> None:
        """The sum over the pixels of a frame."""
        axes = self.model.get_initializer(node.input[1]) if len(node.input) > 1 else None
        keep = get_by_name(node.attribute, "keepdims")
        source = self.integers(node)
        if (
            axes is None
            or sorted(int(axis) % 4 for axis in axes) != [2, 3]
            or (keep is not None and not keep.i)
        ):
            raise UsageError(
                f"{self.where(node)}: only sums over height and width that keep both dimensions can be "
                f"built; use sum((2, 3), keepdim=True)"
            )
        result = self._sum(node, source.shape[2] * source.shape[3])
        name = self.writer.constant(f"{result.tensor}_axes", np.array([2, 3]))
        self.add(node, result, "ReduceSum", [source.tensor, name], keepdims=1)

    def _sum(self, node: NodeProto, count: int) -> Integers:
        source = self.integers(node)
        shape = tuple(self.model.get_tensor_shape(node.output[0]))
        return replace(
            source,
            tensor=node.output[0],
            shape=shape,
            low=source.low * count,
            high=source.high * count,
            weights="",
        )

    def reshape(self, node: NodeProto) -> None:
        """(T, C, 1, 1) to (T, C)."""
        source, shape = self.integers(node), tuple(self.model.get_tensor_shape(node.output[0]))
        if source.shape not in (shape, (*shape, 1, 1)):
            raise UsageError(
                f"{self.where(node)}: {source.shape} to {shape}; only (frames, channels, 1, 1) can be "
                f"flattened: sum over the pixels first"
            )
        result = replace(source, tensor=node.output[0], shape=shape)
        name = self.writer.constant(f"{result.tensor}_shape", np.array(shape))
        self.add(node, result, "Reshape", [source.tensor, name])

    def identity(self, node: NodeProto) -> None:
        """Nothing."""
        self.seen[node.output[0]] = self.seen[node.input[0]]


HANDLERS: dict[str, Callable[[_Integerizer, NodeProto], None]] = {
    "Add": _Integerizer.elementwise,
    "BatchNormalization": _Integerizer.elementwise,
    "Conv": _Integerizer.conv,
    "Div": _Integerizer.elementwise,
    "Dropout": _Integerizer.identity,
    "Flatten": _Integerizer.reshape,
    "FrameGather": _Integerizer.frame_gather,
    "FrameMean": _Integerizer.frame_mean,
    "Gemm": _Integerizer.linear,
    "Identity": _Integerizer.identity,
    "IntQuant": _Integerizer.quant,
    "MatMul": _Integerizer.linear,
    "Mul": _Integerizer.elementwise,
    "Quant": _Integerizer.quant,
    "ReduceSum": _Integerizer.reduce_sum,
    "Relu": _Integerizer.elementwise,
    "Reshape": _Integerizer.reshape,
    "Sub": _Integerizer.elementwise,
}


def _quantized(node: NodeProto, parameters: list[np.ndarray]) -> Weights:
    """Integers of a constant, through the quantizer itself; `parameters` are the values of its inputs."""
    constant, scale, _, bits = parameters
    op, context = getCustomOp(node), dict(zip(node.input, parameters, strict=True))
    op.execute_node(context, None)
    kind = DataType[f"INT{max(int(bits), 2)}" if op.get_nodeattr("signed") else f"UINT{int(bits)}"]
    integers = np.rint(context[node.output[0]] / scale).astype(np.int64)
    return Weights(integers, np.broadcast_to(scale.astype(np.float32), constant.shape), kind)


def _is_identity(found: Staircase, top: int, source: Integers) -> bool:
    """Whether a quantizer gives back every integer that can enter it."""
    levels = found.base + 1 + np.arange(found.thresholds.shape[1])
    expected = np.clip(levels, source.low[:, None], source.high[:, None] + 1)
    fits = found.base <= source.low.min() and source.high.max() <= top
    return bool(fits and (found.thresholds == expected).all())


def _check_geometry(where: str, node: NodeProto, rank: int) -> None:
    """Raise UsageError for a convolution that the kernels cannot do."""
    given = {entry.name: entry for entry in node.attribute}
    if len(node.input) > 2:
        raise UsageError(f"{where}: has a bias; use bias=False and let BatchNorm shift")
    if rank != 4:
        raise UsageError(
            f"{where}: is {rank - 2}-dimensional; write it as a FrameGather and a 2-D convolution"
        )
    if "group" in given and given["group"].i != 1:
        raise UsageError(f"{where}: group={given['group'].i} cannot be built yet; use group=1")
    if "dilations" in given and set(given["dilations"].ints) != {1}:
        raise UsageError(f"{where}: dilations={list(given['dilations'].ints)} cannot be built yet; use 1")
    if "auto_pad" in given and given["auto_pad"].s not in (b"", b"NOTSET"):
        raise UsageError(f"{where}: auto_pad={given['auto_pad'].s.decode()}; export explicit padding")
