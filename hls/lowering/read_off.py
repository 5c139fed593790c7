# SPDX-License-Identifier: Apache-2.0
"""From FINN's hardware nodes to the dataflow: our kernels, unfolded, and the streams between them."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link
from framegate.hls.kernels import (
    Add,
    Concat,
    Decide,
    Depthwise,
    Fork,
    Kernel,
    MatVec,
    Mean,
    Pool,
    Threshold,
    Window,
    gather_kernel,
)
from framegate.hls.kernels.decide import integer_threshold
from framegate.hls.lowering.graphs import LOGIT_SCALE, NETWORK, metadata
from framegate.hls.lowering.lower import load
from framegate.hls.stream import Stream
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp


def read_dataflow(hardware: Path, thresholds: Mapping[str, float] | None = None) -> Dataflow:
    """The dataflow of a hardware graph that `lower` wrote: one lane, one row at a time everywhere.

    `thresholds`: by class, the logit from which it raises its alarm; 0 for a class that is not in it.
    Raises UsageError naming the node that our kernels cannot do.
    """
    return _Reader(load(hardware), thresholds or {}).run()


_BY_CHANNEL = ("VVAU", "Pool")  # FINN's layers whose output channels each read one input channel


@dataclass(frozen=True)
class _Source:
    """Who drives a tensor, before a stream is made of it."""

    producer: str
    port: int
    stream: Stream


@dataclass
class _Reader:
    """One walk over the nodes, in order."""

    model: ModelWrapper
    thresholds: Mapping[str, float]
    sources: dict[str, _Source] = field(default_factory=dict)
    paddings: dict[str, tuple[str, tuple[int, int, int, int]]] = field(default_factory=dict)
    kernels: list[Kernel] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def run(self) -> Dataflow:
        facts = metadata(self.model)
        if LOGIT_SCALE not in facts:
            raise UsageError(
                "the hardware graph was not written by framegate; run `framegate compile` on its QONNX"
            )
        network = json.loads(facts.get(NETWORK, "{}"))
        pixels = self._pixels()
        for node in self.model.graph.node:
            read = _READ.get(node.op_type)
            if read is None:
                raise UsageError(
                    f"unsupported hardware node: {node.op_type} '{node.name}'; supported are "
                    f"{', '.join(sorted(_READ))}"
                )
            read(self, node)
        scale = float(facts[LOGIT_SCALE])
        classes, limits = self._decide(network, scale)
        return Dataflow(
            model=network.get("name", "network"),
            classes=classes,
            logit_scale=scale,
            pixels=pixels,
            kernels=tuple(self.kernels),
            links=tuple(self.links),
            network=network,
            thresholds=limits,
        ).check("reading off the hardware graph")

    def _pixels(self) -> Stream:
        name = self.model.graph.input[0].name
        frames, height, width, channels = self.model.get_tensor_shape(name)
        kind = self.model.get_tensor_datatype(name)
        stream = Stream(
            frames=frames,
            height=height,
            width=width,
            channels=channels,
            bits=kind.bitwidth(),
            signed=kind.signed(),
        )
        self.sources[name] = _Source(PIXELS, 0, stream)
        return stream

    def _decide(self, network: dict[str, Any], scale: float) -> tuple[tuple[str, ...], dict[str, float]]:
        """Append the decision; return the names of the classes, and the alarms' thresholds in logits."""
        tensor = self.model.graph.output[0].name
        count = self.sources[tensor].stream.channels
        classes = tuple(network.get("classes") or (str(index) for index in range(count)))
        if len(classes) != count:
            raise UsageError(f"the network names {len(classes)} classes but gives {count} logits")
        positive = network.get("positive")
        independent = network.get("labels") == "independent"
        alarms = classes if independent else (positive,) if positive else ()
        limits = {name: float(self.thresholds.get(name, 0.0)) for name in alarms}
        decide = Decide(
            name="decide",
            input=self.sources[tensor].stream,
            positive=classes.index(positive) if positive else -1,
            independent=independent,
            thresholds=tuple(integer_threshold(logit, scale) for logit in limits.values()),
        )
        self.put(decide, [tensor], [])
        return classes, limits

    def put(self, kernel: Kernel, inputs: list[str], outputs: list[str]) -> None:
        """Append a kernel and the links from the producers of `inputs`; it drives the tensors `outputs`."""
        for slot, tensor in enumerate(inputs):
            source = self.sources[tensor]
            self.links.append(Link(source.producer, source.port, kernel.name, slot))
        for port, tensor in enumerate(outputs):
            self.sources[tensor] = _Source(kernel.name, port, kernel.outputs[port])
        self.kernels.append(kernel)

    def stream(self, tensor: str) -> Stream:
        """What travels as `tensor`."""
        return self.sources[tensor].stream

    def padding(self, node: NodeProto) -> None:
        """Padding is part of the window behind it."""
        top, left, bottom, right = getCustomOp(node).get_nodeattr("Padding")
        self.paddings[node.output[0]] = (node.input[0], (top, left, bottom, right))

    def window(self, node: NodeProto) -> None:
        """A window repeats each pixel once per row of the matrix behind it, or not at all for a depthwise product."""
        op = getCustomOp(node)
        tensor, padding = self.paddings.get(node.input[0], (node.input[0], (0, 0, 0, 0)))
        readers = self.model.find_consumers(node.output[0])
        depthwise = bool(op.get_nodeattr("depthwise"))
        products = _BY_CHANNEL if depthwise else ("MVAU",)
        if len(readers) != 1 or readers[0].op_type not in products:
            raise UsageError(
                f"'{node.name}': a {'depthwise ' if depthwise else ''}window must feed one "
                f"{' or '.join(products)}, not {[one.op_type for one in readers]}"
            )
        if set(op.get_nodeattr("Dilation")) != {1}:
            raise UsageError(f"'{node.name}': dilated windows cannot be built yet; use plain convolutions")
        kernel = Window(
            name=node.name,
            input=self.stream(tensor),
            kernel=_pair(op, "ConvKernelDim"),
            stride=_pair(op, "Stride"),
            padding=padding,
            repeat=1 if depthwise else getCustomOp(readers[0]).get_nodeattr("MH"),
            depthwise=depthwise,
        )
        self.put(kernel, [tensor], [node.output[0]])

    def matrix(self, node: NodeProto) -> None:
        """A matrix product; its input is a window, if only of one pixel."""
        if not getCustomOp(node).get_nodeattr("noActivation"):
            raise UsageError(f"'{node.name}': thresholds inside an MVAU cannot be read; keep them as a node")
        weights = self.model.get_initializer(node.input[1]).T.astype(np.int64)
        tensor = node.input[0]
        if not self._is_window(tensor):
            tensor = self._pixel_window(node, len(weights))
        self.put(
            MatVec(name=node.name, input=self.stream(tensor), weights=weights), [tensor], [node.output[0]]
        )

    def depthwise(self, node: NodeProto) -> None:
        """A product of each channel with its own taps."""
        if not getCustomOp(node).get_nodeattr("noActivation"):
            raise UsageError(f"'{node.name}': thresholds inside a VVAU cannot be read; keep them as a node")
        weights = self.model.get_initializer(node.input[1]).astype(np.int64)
        frames = weights[0].size // math.prod(self._window_kernel(node))
        # The taps of FINN are ordered (y, x, frame); ours come frame by frame.
        taps = weights.reshape(len(weights), -1, frames).transpose(0, 2, 1).reshape(len(weights), -1)
        kernel = Depthwise(name=node.name, input=self.stream(node.input[0]), weights=taps)
        self.put(kernel, [node.input[0]], [node.output[0]])

    def _window_kernel(self, node: NodeProto) -> tuple[int, int]:
        """Height and width of the window before a product."""
        producer = self.sources[node.input[0]].producer
        window = next(kernel for kernel in self.kernels if kernel.name == producer)
        return window.kernel if isinstance(window, Window) else (1, 1)

    def pool(self, node: NodeProto) -> None:
        """The largest value, or the sum, under a depthwise window or over gathered frames."""
        op = getCustomOp(node)
        kinds = {"MaxPool": "max", "AccPool": "sum"}
        if (function := op.get_nodeattr("Function")) not in kinds:
            raise UsageError(
                f"'{node.name}': pooling by {function} cannot be built; use {' or '.join(kinds)}"
            )
        stream = self.stream(node.input[0])
        taps = stream.channels // op.get_nodeattr("Channels")
        kernel = Pool(name=node.name, input=stream, taps=taps, of=kinds[function])
        self.put(kernel, [node.input[0]], [node.output[0]])

    def concat(self, node: NodeProto) -> None:
        """Channels of several layers side by side: one kernel for two, a chain for more."""
        left, *others = node.input
        for number, right in enumerate(others, start=1):
            name = node.name if number == 1 else f"{node.name}{number}"
            output = node.output[0] if number == len(others) else f"{name}_part"
            kernel = Concat(name=name, left=self.stream(left), right=self.stream(right))
            self.put(kernel, [left, right], [output])
            left = output

    def _is_window(self, tensor: str) -> bool:
        producer = self.model.find_producer(tensor)
        return producer is not None and producer.op_type == "ConvolutionInputGenerator"

    def _pixel_window(self, node: NodeProto, rows: int) -> str:
        window = Window(
            name=f"{node.name}_window",
            input=self.stream(node.input[0]),
            kernel=(1, 1),
            stride=(1, 1),
            padding=(0, 0, 0, 0),
            repeat=rows,
        )
        self.put(window, [node.input[0]], [window.name])
        return window.name

    def threshold(self, node: NodeProto) -> None:
        """An activation."""
        op = getCustomOp(node)
        thresholds = self.model.get_initializer(node.input[1]).astype(np.int64)
        if (thresholds == thresholds[:1]).all():
            thresholds = thresholds[:1]  # one memory for all channels
        kernel = Threshold(
            name=node.name,
            input=self.stream(node.input[0]),
            thresholds=thresholds,
            bits=op.get_output_datatype().bitwidth(),
            base=op.get_nodeattr("ActVal"),
        )
        self.put(kernel, [node.input[0]], [node.output[0]])

    def add(self, node: NodeProto) -> None:
        """The end of a residual stage, or what a layer's sums start from."""
        left, right = node.input
        if (constant := self.model.get_initializer(right)) is not None:
            self._bias(node, constant.astype(np.int64))
            return
        kernel = Add(name=node.name, left=self.stream(left), right=self.stream(right))
        self.put(kernel, [left, right], [node.output[0]])

    def _bias(self, node: NodeProto, values: np.ndarray) -> None:
        """Into the product before it, when nothing else reads that product."""
        source = self.sources[node.input[0]]
        product = next((kernel for kernel in self.kernels if kernel.name == source.producer), None)
        if not isinstance(product, MatVec) or len(self.model.find_consumers(node.input[0])) != 1:
            raise UsageError(
                f"'{node.name}': adds a constant to what is no layer's sums alone; let it follow a product"
            )
        rows = np.broadcast_to(values.reshape(-1), product.rows) + (
            0 if product.bias is None else product.bias
        )
        biased = replace(product, bias=rows)
        self.kernels[self.kernels.index(product)] = biased
        self.sources[node.output[0]] = _Source(biased.name, 0, biased.outputs[0])

    def fork(self, node: NodeProto) -> None:
        """Copies for several readers: one fork for two, a chain for more."""
        tensor, outputs = node.input[0], list(node.output)
        for number, output in enumerate(outputs[:-1], start=1):
            name = node.name if number == 1 else f"{node.name}{number}"
            rest = outputs[-1] if number == len(outputs) - 1 else f"{name}_rest"
            self.put(Fork(name=name, input=self.stream(tensor)), [tensor], [output, rest])
            tensor = rest

    def gather(self, node: NodeProto) -> None:
        """Channels of neighbouring frames."""
        op = getCustomOp(node)
        kernel = gather_kernel(
            name=node.name,
            input=self.stream(node.input[0]),
            groups=op.groups,
            stride_t=op.get_nodeattr("stride_t"),
            output_frames=op.get_nodeattr("outputs"),
            depthwise=self._feeds_by_channel(node),
        )
        self.put(kernel, [node.input[0]], [node.output[0]])

    def _feeds_by_channel(self, node: NodeProto) -> bool:
        """Whether what a node makes is read, through padding and windows, by a layer that keeps channels apart."""
        readers = self.model.find_consumers(node.output[0])
        if len(readers) != 1:
            return False
        through = readers[0].op_type in ("FMPadding", "ConvolutionInputGenerator")
        return self._feeds_by_channel(readers[0]) if through else readers[0].op_type in _BY_CHANNEL

    def frame_sum(self, node: NodeProto) -> None:
        """The sum over the pixels of a frame."""
        kernel = Mean(name=node.name, input=self.stream(node.input[0]), over="frame")
        self.put(kernel, [node.input[0]], [node.output[0]])

    def clip_sum(self, node: NodeProto) -> None:
        """The sum over the frames of a clip."""
        kernel = Mean(name=node.name, input=self.stream(node.input[0]), over="clip")
        self.put(kernel, [node.input[0]], [node.output[0]])


_READ: dict[str, Callable[[_Reader, NodeProto], None]] = {
    "ConvolutionInputGenerator": _Reader.window,
    "DuplicateStreams": _Reader.fork,
    "ElementwiseAdd": _Reader.add,
    "FMPadding": _Reader.padding,
    "FrameGather": _Reader.gather,
    "FrameMean": _Reader.clip_sum,
    "GlobalAccPool": _Reader.frame_sum,
    "MVAU": _Reader.matrix,
    "Pool": _Reader.pool,
    "StreamingConcat": _Reader.concat,
    "Thresholding": _Reader.threshold,
    "VVAU": _Reader.depthwise,
}


def _pair(op: Any, attribute: str) -> tuple[int, int]:
    height, width = op.get_nodeattr(attribute)
    return height, width
