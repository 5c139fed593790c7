# SPDX-License-Identifier: Apache-2.0
"""What each layer of a user's graph must hold to: attributes by themselves, then with the shapes around them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from framegate.errors import UsageError
from framegate.hls.lowering.dialect import ROUNDINGS, SAME_ROUNDING
from framegate.hls.lowering.shapes import QUANTIZERS
from onnx import AttributeProto, NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

OURS = ("ChannelMax", "FrameGather", "FrameMean")  # operators of our own that a network may hold
MOST_VALUES = 2**31  # of a tensor
LARGEST = 2**16 - 1  # kernel, stride, dilation or padding

_COUNTS = ("blocksize", "dilations", "frames", "group", "kernel_shape", "num_outputs", "stride_t", "strides")
_WINDOW = ("kernel_shape", "strides", "dilations", "pads")
_TYPES = {
    "f": AttributeProto.FLOAT,
    "i": AttributeProto.INT,
    "ints": AttributeProto.INTS,
    "s": AttributeProto.STRING,
}


@dataclass(frozen=True)
class Checked:
    """A user's file under examination."""

    file: str
    model: ModelWrapper
    places: list[str] = field(default_factory=list)  # the first output of each node that the file has

    def __post_init__(self) -> None:
        self.places.extend("".join(node.output[:1]) for node in self.model.graph.node)

    def where(self, node: NodeProto) -> str:
        """Kind, name and place of a node."""
        named = f" '{node.name}'" if node.name else ""
        place = self.places.index("".join(node.output[:1])) + 1
        return f"{node.op_type}{named} at node {place} of {len(self.places)}"

    def refuse(self, what: str, remedy: str, node: NodeProto | None = None) -> NoReturn:
        """Raise UsageError: file, node, what is wrong, what to do."""
        told = what if node is None else f"{self.where(node)} {what}"
        raise UsageError(f"{self.file}: {told}; {remedy}") from None


def attributes(node: NodeProto) -> dict[str, Any]:
    """By name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def check_attributes(seen: Checked) -> None:
    """Attributes that need no shapes: types, counts, and windows' sizes. ONNX divides by them when it infers shapes."""
    for node in seen.model.graph.node:
        if node.domain and (node.op_type in OURS or node.op_type in QUANTIZERS):
            _check_types(seen, node)
        given = attributes(node)
        for name, value in given.items():
            if name not in _COUNTS and name != "pads":
                continue
            if isinstance(value, list) != (name in _WINDOW):
                seen.refuse(f"has {name}={value}", "give one per axis of a window, else one number", node)
            values, least = value if isinstance(value, list) else [value], 0 if name == "pads" else 1
            if not all(isinstance(entry, int) and least <= entry <= LARGEST for entry in values):
                seen.refuse(f"has {name}={value}", f"use whole numbers from {least} to {LARGEST}", node)
        sizes = {name: len(given[name]) for name in _WINDOW if isinstance(given.get(name), list)}
        axes = {name: size / 2 if name == "pads" else size for name, size in sizes.items()}
        if len(set(axes.values())) > 1:
            told = ", ".join(f"{size} {name}" for name, size in sizes.items())
            seen.refuse(f"has {told}", "give one per axis of the window, and two pads", node)


def _check_types(seen: Checked, node: NodeProto) -> None:
    """Of the attributes of an operator that ONNX's checker does not know, and the number of its tensors."""
    inputs = _INPUTS[node.op_type]
    if len(node.input) not in inputs or "" in node.input or len(node.output) != 1:
        told = f"takes {len(node.input)} tensors and gives {len(node.output)}"
        seen.refuse(told, f"it takes {' or '.join(map(str, inputs))} and gives 1", node)
    given = {entry.name: entry for entry in node.attribute}
    for name in _REQUIRED.get(node.op_type, ()):
        if name not in given:
            seen.refuse(f"has no {name}", "export the network again", node)
    for name, (kind, _, *rest) in getCustomOp(node).get_nodeattr_types().items():
        if name not in given:
            continue
        value, allowed = helper.get_attribute_value(given[name]), rest[1] if len(rest) > 1 else None
        value = value.decode(errors="replace") if isinstance(value, bytes) else value
        if given[name].type != _TYPES.get(kind) or (allowed is not None and value not in allowed):
            choice = f"one of {sorted(allowed)}" if allowed else f"of type {kind}"
            seen.refuse(f"has {name}={value}", f"it must be {choice}", node)
        if name == "groups" and (not value or len(value) % 3):
            seen.refuse(f"has groups={value}", "give begin, end and frame offset of each range", node)
        if name == "rounding_mode":
            _check_rounding(seen, node, value)


def _check_rounding(seen: Checked, node: NodeProto, mode: str) -> None:
    if mode.upper() not in (*ROUNDINGS, *SAME_ROUNDING):
        seen.refuse(f"has rounding_mode={mode}", f"QONNX defines {', '.join(ROUNDINGS)}", node)


_REQUIRED = {"ChannelMax": ("group",), "FrameGather": ("frames", "groups"), "FrameMean": ("frames",)}
_INPUTS = {"BipolarQuant": (2,), "IntQuant": (4,), "Quant": (4,), "Trunc": (5, 6)} | dict.fromkeys(OURS, (1,))


def check_shapes(seen: Checked, known: ModelWrapper) -> None:
    """Every layer of the file against the shapes around it, which are in `known`."""
    for node in seen.model.graph.node:
        kind = "quantizer" if node.op_type in QUANTIZERS else node.op_type
        check = _CHECKS.get(kind)
        if check is not None:
            check(_Layer(seen, known, node))
        for name in filter(None, node.output):
            shape = known.get_tensor_shape(name)
            if shape is None or min(shape, default=1) < 1 or math.prod(shape) >= MOST_VALUES:
                told = "no shape" if shape is None else f"shape {shape}"
                seen.refuse(
                    f"gives '{name}' {told}", "a shape must be fixed, above 0 and not too large", node
                )


@dataclass(frozen=True)
class _Layer:
    """A node with what is known of its tensors."""

    seen: Checked
    known: ModelWrapper
    node: NodeProto

    def shape(self, slot: int) -> list[int]:
        """Of an input."""
        return list(self.known.get_tensor_shape(self.node.input[slot]))

    @property
    def result(self) -> list[int]:
        """The shape of the output; that of the input where it is not known."""
        return list(self.known.get_tensor_shape(self.node.output[0]) or self.shape(0))

    def frames(self) -> list[int]:
        """Shape of an input that has frames and channels."""
        if len(shape := self.shape(0)) < 2:
            self.refuse(f"reads a tensor of shape {shape}", "give it frames of channels")
        return shape

    def refuse(self, what: str, remedy: str) -> NoReturn:
        """Raise UsageError."""
        self.seen.refuse(what, remedy, self.node)


def _conv(layer: _Layer) -> None:
    """Channels, groups and kernel are those of the weights."""
    source, weights, given = layer.shape(0), layer.shape(1), attributes(layer.node)
    if len(source) != len(weights) or len(source) < 3:
        layer.refuse(f"reads {source} with weights of shape {weights}", "give both as many axes")
    kernel, group = given.get("kernel_shape", weights[2:]), given.get("group", 1)
    if kernel != weights[2:]:
        layer.refuse(f"has kernel_shape={kernel}, but weights of shape {weights}", "make them agree")
    if source[1] != group * weights[1] or weights[0] % group:
        layer.refuse(
            f"reads {source[1]} channels in {group} groups with weights of shape {weights}",
            "weights are (outputs, channels / groups, kernel), outputs a multiple of the groups",
        )
    if len(layer.node.input) > 2 and layer.node.input[2] and layer.shape(2) != [weights[0]]:
        layer.refuse(
            f"has a bias of shape {layer.shape(2)}", f"give one value for each of {weights[0]} outputs"
        )
    _window(layer, source, weights[2:])


def _pool(layer: _Layer) -> None:
    """A pool has a kernel that fits."""
    kernel = attributes(layer.node).get("kernel_shape", [])
    if len(kernel) != len(layer.shape(0)) - 2:
        layer.refuse(
            f"has kernel_shape={kernel} on {layer.shape(0)}", "give a size for each axis of the picture"
        )
    _window(layer, layer.shape(0), kernel)


def _window(layer: _Layer, source: list[int], kernel: list[int]) -> None:
    """A window has as many axes as the picture, and fits into it with its padding."""
    given, axes = attributes(layer.node), len(kernel)
    for name in ("strides", "dilations"):
        if len(given.get(name, kernel)) != axes:
            layer.refuse(f"has {name}={given[name]} for a kernel of {kernel}", "give one per axis")
    pads, dilations = given.get("pads", [0] * 2 * axes), given.get("dilations", [1] * axes)
    if len(pads) != 2 * axes:
        layer.refuse(f"has pads={pads} for a kernel of {kernel}", "give two per axis")
    if given.get("auto_pad", b"NOTSET") not in (b"", b"NOTSET"):
        return
    for axis, size in enumerate(source[2:]):
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        if reach > size + pads[axis] + pads[axis + axes]:
            layer.refuse(
                f"has a kernel of {kernel}, which does not fit into {source[2:]} with pads={pads}",
                "use a smaller kernel or more padding",
            )


def _product(layer: _Layer) -> None:
    """A matrix product's inner sizes agree, as ONNX does not check for Gemm."""
    given, left, right = attributes(layer.node), layer.shape(0), layer.shape(1)
    if len(left) != 2 or len(right) != 2:
        return
    inner = left[0] if given.get("transA") else left[1], right[1] if given.get("transB") else right[0]
    if inner[0] != inner[1]:
        layer.refuse(f"multiplies {left} by {right}", "make the inner sizes equal")


def _regroup(layer: _Layer) -> None:
    """Another shape for the same number of values."""
    if math.prod(layer.shape(0)) != math.prod(layer.result):
        layer.refuse(f"makes {layer.result} of {layer.shape(0)}", "give a shape of as many values")


def _quantizer(layer: _Layer) -> None:
    """Float values; parameters with one value, or with axes that match."""
    shape = tuple(layer.shape(0))
    for slot, name in enumerate(layer.node.input):
        constant = layer.seen.model.get_initializer(name)
        if slot < 2 and constant is not None and constant.dtype != np.float32:
            layer.refuse(f"reads '{name}', a constant of {constant.dtype}", "export in float32")
        own = tuple(layer.shape(slot))
        try:
            fits = np.broadcast_shapes(shape, own) == shape
        except ValueError:
            fits = False
        if not fits:
            layer.refuse(
                f"reads '{name}' of shape {list(own)} beside {list(shape)}",
                "use one value, or one per channel",
            )


def _norm(layer: _Layer) -> None:
    """A variance is not negative."""
    variance, epsilon = (
        layer.seen.model.get_initializer(layer.node.input[4]),
        attributes(layer.node).get("epsilon", 1e-5),
    )
    if variance is not None and not (variance + epsilon > 0).all():
        layer.refuse(f"has a variance of {float(variance.min()):g}", "train again; it is 0 or more")


def _gather(layer: _Layer) -> None:
    """Channel ranges that exist, of the frames that arrive."""
    shape, given = layer.frames(), attributes(layer.node)
    groups, frames, outputs = given["groups"], given["frames"], given.get("outputs", 0)
    ranges = list(zip(groups[0::3], groups[1::3], groups[2::3], strict=False))
    if any(not 0 <= begin < end <= shape[1] for begin, end, _ in ranges):
        layer.refuse(
            f"has groups={groups} of {shape[1]} channels", "give begin, end and frame offset of each range"
        )
    if frames != shape[0]:
        layer.refuse(f"has frames={frames}, but {shape[0]} arrive", "export the network for one clip")
    if not 0 <= outputs <= LARGEST or any(abs(offset) > LARGEST for *_, offset in ranges):
        layer.refuse(f"has outputs={outputs}, groups={groups}", f"use frames up to {LARGEST}")


def _mean(layer: _Layer) -> None:
    """A FrameMean is of the frames that arrive."""
    frames = attributes(layer.node)["frames"]
    if frames != layer.frames()[0]:
        layer.refuse(
            f"has frames={frames}, but {layer.frames()[0]} arrive", "export the network for one clip"
        )


def _channel_max(layer: _Layer) -> None:
    """Groups of channels that divide them."""
    group, channels = attributes(layer.node)["group"], layer.frames()[1]
    if channels % group:
        layer.refuse(f"has group={group} of {channels} channels", "use a divisor")


_CHECKS: dict[str, Callable[[_Layer], None]] = {
    "AveragePool": _pool,
    "BatchNormalization": _norm,
    "ChannelMax": _channel_max,
    "Conv": _conv,
    "Flatten": _regroup,
    "FrameGather": _gather,
    "FrameMean": _mean,
    "Gemm": _product,
    "MatMul": _product,
    "MaxPool": _pool,
    "Reshape": _regroup,
    "Squeeze": _regroup,
    "Unsqueeze": _regroup,
    "quantizer": _quantizer,
}
