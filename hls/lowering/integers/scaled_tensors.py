# SPDX-License-Identifier: Apache-2.0
"""One walk over a QONNX network, and what its tensors become: integers with a scale."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls.lowering.graphs import EXACT, LOGIT_SCALE, GraphWriter, metadata, pixel_scale
from framegate.hls.lowering.shapes import QUANTIZERS
from framegate.hls.operators.datatype import datatype
from onnx import NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper

ACTIVATIONS = (  # float operations on one tensor, beside those that have a handler of their own
    "Abs",
    "Atan",
    "Ceil",
    "Celu",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "Max",
    "Min",
    "Mish",
    "Neg",
    "PRelu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tanh",
    "ThresholdedRelu",
)
_ELEMENTWISE = (
    *ACTIVATIONS,
    "Add",
    "BatchNormalization",
    "Clip",
    "Div",
    "Dropout",
    "Flatten",
    "Identity",
    "Mul",
    "Relu",
    "Reshape",
    "Sub",
)
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
    flat: bool = False  # the network sees (frames, C*H*W) where `shape` still is (frames, C, H, W)


@dataclass(frozen=True, eq=False)
class Pending:
    """Integers, seen through elementwise float operations that no quantizer has ended yet."""

    integers: Integers
    source: str  # the tensor of the network that enters the first operation
    nodes: tuple[NodeProto, ...]
    folded: Integers | None = None  # the same with all factors in the scale, which rounds them

    @property
    def rank(self) -> int:
        """Axes of the tensor that enters: a Flatten among the operations has made a vector of a frame of one pixel."""
        flattened = any(node.op_type == "Flatten" for node in self.nodes)
        return 4 if flattened else len(self.integers.shape)


@dataclass(frozen=True, eq=False)
class Weights:
    """A quantized constant: value = scale * integers."""

    integers: np.ndarray
    scale: np.ndarray  # float32, of the shape of the integers
    kind: BaseDataType


Entry = Integers | Pending | Weights  # what a tensor of the network becomes


class Walk:
    """One walk over the nodes, in order; `seen` holds what each tensor of the network has become."""

    def __init__(self, model: ModelWrapper) -> None:
        self.model = model
        self.writer = GraphWriter("NCHW", model.get_opset_imports()[""])
        self.seen: dict[str, Entry] = {}
        self.exact = True
        self.makers: dict[str, str] = {}  # tensor of the new graph -> kind of the node that makes it
        self._places = {node.output[0]: place for place, node in enumerate(model.graph.node, start=1)}

    def run(self, handlers: "Handlers") -> ModelWrapper:
        """The graph of integers. Raises UsageError naming the layer that no handler is for."""
        graph = self.model.graph
        self.seen[graph.input[0].name] = self._pixels(graph.input[0].name)
        for node in graph.node:
            handle = handlers.get(node.op_type)
            if handle is None:
                raise UsageError(
                    f"unsupported layer: {self.where(node)}; supported are {', '.join(sorted(handlers))}; "
                    f"replace it in the network and export again"
                )
            handle(self, node)
        return self._finish(graph.output[0].name)

    def where(self, node: NodeProto) -> str:
        """The node's place, for messages."""
        return f"{node.op_type} '{node.name}' at node {self._places[node.output[0]]} of {len(self._places)}"

    def _pixels(self, name: str) -> Integers:
        graph, shape = self.model.graph, tuple(self.model.get_tensor_shape(name))
        if len(graph.input) != 1 or len(graph.output) != 1 or len(shape) not in (2, 4) or 0 in shape:
            raise UsageError(
                f"the network takes {len(graph.input)} tensors, the first of shape {shape}; it must take one of "
                f"fixed shape (frames, channels, height, width) or (frames, features) and give one"
            )
        self.writer.tensor("pixels", shape, DataType["UINT8"])
        channels = np.ones(shape[1], dtype=np.int64)
        scale = np.array(pixel_scale(self.model), np.float32)
        return Integers("pixels", shape, scale, 0 * channels, 255 * channels)

    def _finish(self, name: str) -> ModelWrapper:
        last = self.settled(self.seen.get(name))
        if not isinstance(last, Integers) or last.flat:
            raise UsageError(self.unquantized(last, f"the output '{name}'"))
        if last.scale.size != 1:
            raise UsageError(
                f"the output '{name}' has a scale per class; give the weights of the last layer one scale"
            )
        facts = {LOGIT_SCALE: repr(float(last.scale)), EXACT: str(self.exact).lower()}
        return self.writer.model("pixels", last.tensor, metadata(self.model) | facts)

    def unquantized(self, entry: Entry | None, reader: str) -> str:
        """Why `reader` cannot take `entry`."""
        if isinstance(entry, Integers) and entry.flat:
            return f"{reader} reads flattened pictures of {entry.shape[1:]}; only a linear layer can"
        if isinstance(entry, Integers):
            return (
                f"{entry.accumulator} feeds {reader} without a quantizer between them; insert a QuantReLU or "
                f"QuantIdentity"
            )
        if isinstance(entry, Pending):
            return self._unquantized_chain(entry, reader)
        return (
            f"{reader} reads a constant where it needs a layer's output; fold it when you export the network"
        )

    def _unquantized_chain(self, entry: Pending, reader: str) -> str:
        last = entry.nodes[-1]
        constants = [self.seen.get(name) for name in last.input]
        scales = [entry.scale for entry in constants if isinstance(entry, Weights)]
        if scales:
            return (
                f"{self.where(last)}: adds a bias of scale {_short(scales[0])} to sums of scale "
                f"{_short(entry.integers.scale)}, which {reader} reads without a quantizer between them; use "
                f"scales that are powers of two, or give the bias the scale of the sums (bias_quant=Int32Bias)"
            )
        own = ", or give it the scale of the sums (bias_quant=Int32Bias)" if last.op_type == "Add" else ""
        return (
            f"{self.where(last)} feeds {reader} without a quantizer between them; insert a QuantReLU or "
            f"QuantIdentity behind it{own}"
        )

    def settled(self, entry: Entry | None) -> Entry | None:
        """Integers whose scale holds the factors that no quantizer takes in, when there are only factors."""
        if not isinstance(entry, Pending) or entry.folded is None:
            return entry
        self.exact = False
        return entry.folded

    def integers(
        self, node: NodeProto, slot: int = 0, *, quantized: bool = False, flat: bool = False
    ) -> Integers:
        """The integers that enter `node`; if `quantized`, not the bare sums of another layer; flattened pictures only
        if `flat`.
        """
        entry = self.settled(self.seen.get(node.input[slot]))
        if not isinstance(entry, Integers) or (quantized and entry.accumulator) or (entry.flat and not flat):
            raise UsageError(self.unquantized(entry, self.where(node)))
        return entry

    def weights(self, node: NodeProto) -> Weights:
        """The quantized weights of a Conv, MatMul or Gemm."""
        entry = self.seen.get(node.input[1])
        if not isinstance(entry, Weights):
            raise UsageError(f"{self.where(node)}: its weights are not quantized; use a layer of brevitas.nn")
        return entry

    def is_quantized(self, tensor: str) -> bool:
        """Whether each reader of a tensor is a quantizer, maybe behind elementwise operations."""
        readers = self.model.find_consumers(tensor)
        return bool(readers) and all(
            reader.op_type in QUANTIZERS
            or (reader.op_type in _ELEMENTWISE and self.is_quantized(reader.output[0]))
            for reader in readers
        )

    def check_window(self, node: NodeProto) -> None:
        """Raise UsageError for a dilated window, or one whose padding is not told in numbers."""
        where, given = self.where(node), {entry.name: entry for entry in node.attribute}
        if "dilations" in given and set(given["dilations"].ints) != {1}:
            raise UsageError(f"{where}: dilations={list(given['dilations'].ints)} cannot be built yet; use 1")
        if "auto_pad" in given and given["auto_pad"].s not in (b"", b"NOTSET"):
            raise UsageError(f"{where}: auto_pad={given['auto_pad'].s.decode()}; export explicit padding")

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
        self.makers[result.tensor] = op
        self.writer.tensor(result.tensor, result.shape, datatype(low, high))
        self.writer.node(op, inputs, result.tensor, domain, **attributes)
        self.seen[node.output[0]] = result


def _short(scale: np.ndarray) -> str:
    """One number where a scale has one, else both ends."""
    low, high = float(scale.min()), float(scale.max())
    return f"{low:g}" if low == high else f"{low:g} … {high:g}"


Handlers = Mapping[str, Callable[[Walk, NodeProto], None]]  # by kind of node
