# SPDX-License-Identifier: Apache-2.0
"""Networks of 3-D layers, (1, C, T, H, W), as networks of 2-D layers whose frames ride on the batch axis.

A 3-D convolution of k_t taps is a FrameGather that lays k_t frames side by side, and a 2-D convolution; the same
holds for pools. Values do not change: each layer computes the same sums of the same products.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls import finn_ops
from framegate.hls.lowering.integers.scaled_tensors import ACTIVATIONS
from framegate.hls.lowering.taps import Taps, flat_weights
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

_GEOMETRY = {
    "dilations": 3,
    "kernel_shape": 3,
    "strides": 3,
    "pads": 6,
}  # attributes, and their number in 3-D
_NOT_NEGATIVE = (
    "AveragePool",
    "Concat",
    "Dropout",
    "GlobalAveragePool",
    "Identity",
    "MaxPool",
)  # if their inputs are


def frames_to_batch(model: ModelWrapper) -> ModelWrapper:
    """Rewrite a network that takes (1, C, T, H, W) as one that takes (T, C, H, W); any other is left as it is.

    All shapes must be known; afterwards only those of the input and of constants are. Raises UsageError naming
    the layer that cannot be rewritten, and the way out.
    """
    shape = model.get_tensor_shape(model.graph.input[0].name)
    if shape is None or len(shape) != 5:
        return model
    if shape[0] != 1:
        raise UsageError(f"the network takes {shape[0]} clips at once; export it for one, (1, C, T, H, W)")
    return _Rewriting(model).run()


@dataclass
class _Rewriting:
    """One walk over the nodes, in order."""

    model: ModelWrapper
    frames: dict[str, int] = field(default_factory=dict)  # of each tensor (1, C, T, H, W), by its name
    nodes: list[NodeProto] = field(default_factory=list)
    flattened: set[str] = field(default_factory=set)  # weights that are those of a 2-D layer already

    def run(self) -> ModelWrapper:
        graph = self.model.graph
        source = graph.input[0].name
        _, channels, frames, height, width = self.model.get_tensor_shape(source)
        self.frames[source] = frames
        for node in graph.node:
            if any(name in self.frames for name in node.input):
                self._rewrite(node)
            else:
                self.nodes.append(node)
        if graph.output[0].name in self.frames:
            raise UsageError("the network gives (1, C, T, H, W); let it end in one value per class")
        del graph.node[:]
        graph.node.extend(self.nodes)
        self._forget_shapes()
        self.model.set_tensor_shape(source, [frames, channels, height, width])
        if finn_ops.DOMAIN not in self.model.get_opset_imports():
            self.model.model.opset_import.append(helper.make_opsetid(finn_ops.DOMAIN, 1))
        return self.model

    def _rewrite(self, node: NodeProto) -> None:
        rewrite = _REWRITE.get(node.op_type)
        if rewrite is None:
            raise UsageError(
                f"unsupported layer: {_where(node)} on (1, C, T, H, W); supported there are "
                f"{', '.join(sorted(_REWRITE))}; replace it in the network and export again"
            )
        rewrite(self, node)

    def _forget_shapes(self) -> None:
        constants = {entry.name for entry in self.model.graph.initializer}
        kept = [entry for entry in self.model.graph.value_info if entry.name in constants]
        del self.model.graph.value_info[:]
        self.model.graph.value_info.extend(kept)

    def channels(self, tensor: str) -> int:
        """Of a clip."""
        return int(self.model.get_tensor_shape(tensor)[1])

    def constant(self, name: str, values: np.ndarray) -> str:
        """A new constant."""
        self.model.set_initializer(name, values)
        return name

    def gather(
        self,
        source: str,
        output: str,
        frames: int,
        groups: list[tuple[int, int, int]],
        stride_t: int,
        outputs: int,
    ) -> str:
        """Append a FrameGather; return its output."""
        node = helper.make_node("FrameGather", [source], [output], name=output, domain=finn_ops.DOMAIN)
        flat = [number for group in groups for number in group]
        attributes = {"groups": flat, "stride_t": stride_t, "frames": frames, "outputs": outputs}
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)
        return output

    def put(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node; return its output."""
        domain = finn_ops.DOMAIN if op in finn_ops.__all__ else ""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def elementwise(self, node: NodeProto) -> None:
        """A layer that treats all frames alike; its constants lose the axis of time."""
        for slot, name in enumerate(node.input):
            values = self.model.get_initializer(name)
            if values is not None and values.ndim > 3:
                if values.shape[-3] != 1:
                    raise UsageError(
                        f"{_where(node)}: has its own constant for each frame; use one for all frames"
                    )
                node.input[slot] = self.constant(f"{node.output[0]}_{slot}", values.squeeze(-3))
        counts = {self.frames[name] for name in node.input if name in self.frames}
        if len(counts) > 1:
            raise UsageError(f"{_where(node)}: combines clips of {sorted(counts)} frames; make them equal")
        self.frames[node.output[0]] = counts.pop()
        self.nodes.append(node)

    def concat(self, node: NodeProto) -> None:
        """Channels side by side."""
        (axis,) = (entry for entry in node.attribute if entry.name == "axis")
        if axis.i % 5 != 1:
            raise UsageError(f"{_where(node)}: axis={axis.i}; only channels (axis=1) can be put side by side")
        axis.i = 1
        self.elementwise(node)

    def conv(self, node: NodeProto) -> None:
        """A FrameGather, unless the kernel sees one frame, and a 2-D convolution."""
        source, weights, output = node.input[0], node.input[1], node.output[0]
        taps, channels, frames = self.taps(node), self.channels(source), self.frames[source]
        group = _attributes(node).get("group", 1)
        outputs, inputs = self.model.get_tensor_shape(weights)[:2]
        if group not in (1, channels) or (group > 1 and (outputs, inputs) != (group, 1)):
            raise UsageError(
                f"{_where(node)}: group={group} of {channels} channels to {outputs} cannot be built yet; use "
                f"group=1, or a depthwise convolution (a group and an output per channel)"
            )
        if not taps.one_to_one:
            groups = taps.channel_major(channels) if group > 1 else taps.frame_major(channels)
            node.input[0] = self.gather(
                source, f"{output}_frames", frames, groups, taps.stride, taps.outputs(frames)
            )
        self._flatten_weights(node, depthwise=group > 1)
        _drop_time(node)
        self.frames[output] = taps.outputs(frames)
        self.nodes.append(node)

    def _flatten_weights(self, node: NodeProto, *, depthwise: bool) -> None:
        """The weights of a 3-D convolution, quantizer and all, as those of the 2-D one."""
        name = node.input[1]
        maker = next((other for other in self.nodes if name in other.output), None)
        if name in self.flattened:
            return
        self.flattened.add(name)
        owner, slot = (node, 1) if maker is None else (maker, 0)
        values = self.model.get_initializer(owner.input[slot])
        if values is None or (maker is not None and maker.op_type not in ("Quant", "IntQuant")):
            raise UsageError(f"{_where(node)}: its weights are not quantized; use a layer of brevitas.nn")
        flat = flat_weights(values, depthwise=depthwise)
        owner.input[slot] = self.constant(f"{owner.output[0]}_{slot}", flat)
        for place, parameter in enumerate(maker.input[1:] if maker is not None else [], start=1):
            scale = self.model.get_initializer(parameter)
            if scale is not None and scale.ndim == 5 and maker is not None:
                if scale.shape[1:] != (1, 1, 1, 1):
                    raise UsageError(
                        f"{_where(node)}: weight scales differ within an output; use one per output"
                    )
                maker.input[place] = self.constant(f"{maker.output[0]}_{place}", scale[..., 0])

    def taps(self, node: NodeProto) -> Taps:
        """What a convolution or pool does along time."""
        given = _attributes(node)
        if given.get("auto_pad", b"NOTSET") not in (b"", b"NOTSET"):
            raise UsageError(
                f"{_where(node)}: auto_pad={given['auto_pad'].decode()}; export explicit padding"
            )
        if given.get("ceil_mode", 0):
            raise UsageError(f"{_where(node)}: ceil_mode=1 cannot be built; use ceil_mode=0")
        kernel = given.get("kernel_shape") or self.model.get_tensor_shape(node.input[1])[2:]
        stride, dilation = given.get("strides", [1])[0], given.get("dilations", [1])[0]
        pads = given.get("pads", [0] * 6)
        return Taps(kernel[0], stride, dilation, pads[0], pads[3])

    def max_pool(self, node: NodeProto) -> None:
        """A 2-D pool of each frame, then the largest of the frames that the window sees."""
        source, output = node.input[0], node.output[0]
        taps, channels, frames = self.taps(node), self.channels(source), self.frames[source]
        if (taps.before or taps.after) and not self._is_unsigned(source):
            raise UsageError(
                f"{_where(node)}: pads values that may be negative, where zeros would win; use an unsigned "
                f"quantizer (QuantReLU) before it, or padding=0"
            )
        _drop_time(node)
        self.frames[output] = taps.outputs(frames)
        if taps.one_to_one:
            self.nodes.append(node)
            return
        if not _is_pixel(node):
            source = node.output[0] = f"{output}_frame"
            self.nodes.append(node)
        groups = taps.channel_major(channels) if taps.size > 1 else taps.frame_major(channels)
        target = f"{output}_frames" if taps.size > 1 else output
        self.gather(source, target, frames, groups, taps.stride, taps.outputs(frames))
        if taps.size > 1:
            self.put("ChannelMax", [target], output, group=taps.size)

    def _is_unsigned(self, tensor: str) -> bool:
        """Whether a clip comes from an unsigned quantizer, through layers that keep signs."""
        maker = next((node for node in self.nodes if tensor in node.output), None)
        if maker is None:
            return False
        if maker.op_type in ("Quant", "IntQuant"):
            return _attributes(maker).get("signed") == 0
        through = maker.op_type in (*_NOT_NEGATIVE, "ChannelMax", "FrameGather")
        return maker.op_type == "Relu" or (through and all(self._is_unsigned(name) for name in maker.input))

    def average_pool(self, node: NodeProto) -> None:
        """A 2-D pool of each frame, or the mean of the whole clip."""
        source, taps, given = node.input[0], self.taps(node), _attributes(node)
        size = self.model.get_tensor_shape(source)[2:]
        if given["kernel_shape"] == size and not any(given.get("pads", [0])):
            self._mean(node, [2, 3, 4], keep=True)
            return
        if not taps.one_to_one:
            raise UsageError(
                f"{_where(node)}: averages {taps.size} of {size[0]} frames; average within frames, (1, ky, kx), or "
                f"the whole clip"
            )
        _drop_time(node)
        self.frames[node.output[0]] = self.frames[source]
        self.nodes.append(node)

    def mean(self, node: NodeProto) -> None:
        """The mean over pixels, frames or both."""
        given, axes = _attributes(node), [2, 3, 4]
        if node.op_type == "ReduceMean":
            constant = self.model.get_initializer(node.input[1]) if len(node.input) > 1 else None
            axes = sorted(int(axis) % 5 for axis in (given.get("axes", []) if constant is None else constant))
        if axes not in ([2], [3, 4], [2, 3, 4]):
            raise UsageError(
                f"{_where(node)}: averages axes {axes}; use (2, 3, 4), (3, 4) or (2,) of (1, C, T, H, W)"
            )
        self._mean(node, axes, keep=bool(given.get("keepdims", 1)))

    def _mean(self, node: NodeProto, axes: list[int], *, keep: bool) -> None:
        """The sum over pixels, that over frames, one division; `keep`: the result has all five axes."""
        source, output = node.input[0], node.output[0]
        _, _, frames, height, width = self.model.get_tensor_shape(source)
        count = (frames if 2 in axes else 1) * (height * width if 3 in axes else 1)
        if 3 in axes:
            pixels = self.constant(f"{output}_axes", np.array([2, 3]))
            source = self.put("ReduceSum", [source, pixels], f"{output}_pixels", keepdims=1)
        if 2 in axes:
            source = self.put("FrameMean", [source], f"{output}_clip", frames=frames)
        divisor = self.constant(f"{output}_count", np.array(count, np.float32))
        if keep:
            self.frames[output] = 1 if 2 in axes else frames
            self.put("Div", [source, divisor], output)
        elif axes == [3, 4]:
            raise UsageError(
                f"{_where(node)}: drops the axes of the pixels and not that of the frames; keep them"
            )
        elif axes == [2]:  # (1, C, H, W): what (1, C, 1, H, W) is with frames on the batch axis
            self.put("Div", [source, divisor], output)
        else:
            self.put("Flatten", [self.put("Div", [source, divisor], f"{output}_mean")], output)

    def flatten(self, node: NodeProto) -> None:
        """(1, C, T, H, W) to (1, C*T*H*W): the frames of each channel side by side, then a picture's flattening."""
        source, output = node.input[0], node.output[0]
        _, channels, frames, *size = self.model.get_tensor_shape(source)
        shape = self.model.get_tensor_shape(output)
        if shape == [1, channels, *size] and frames == 1:
            self.put("Identity", [source], output)
            return
        if shape != [1, channels * frames * math.prod(size)]:
            raise UsageError(
                f"{_where(node)}: makes {shape} of {[1, channels, frames, *size]}; use Flatten()"
            )
        if frames > 1:
            groups = Taps(frames).channel_major(channels)
            source = self.gather(source, f"{output}_frames", frames, groups, frames, 1)
        self.put("Flatten", [source], output)

    def slice(self, node: NodeProto) -> None:
        """Every so many frames of a clip."""
        source, output = node.input[0], node.output[0]
        given = [self.model.get_initializer(name) for name in node.input[1:]]
        if any(values is None or values.size != 1 for values in given) or len(given) < 3 or given[2] % 5 != 2:
            raise UsageError(f"{_where(node)}: only frames (axis 2) can be sliced, by constants")
        begin, end, _, step = [int(values.item()) for values in given] + [1] * (4 - len(given))
        chosen = range(self.frames[source])[begin:end:step]
        if step < 1 or not chosen:
            raise UsageError(f"{_where(node)}: takes frames {begin}:{end}:{step}; take some, in order")
        groups = [(0, self.channels(source), chosen.start)]
        self.gather(source, output, self.frames[source], groups, step, len(chosen))
        self.frames[output] = len(chosen)


def _where(node: NodeProto) -> str:
    return f"{node.op_type} '{node.name}'"


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def _drop_time(node: NodeProto) -> None:
    """Keep what a 3-D window does in height and width."""
    for entry in node.attribute:
        if len(entry.ints) == _GEOMETRY.get(entry.name):
            kept = (
                list(entry.ints)[1:3] + list(entry.ints)[4:6]
                if entry.name == "pads"
                else list(entry.ints)[1:]
            )
            entry.CopyFrom(helper.make_attribute(entry.name, kept))


def _is_pixel(node: NodeProto) -> bool:
    """Whether a 2-D pool does nothing."""
    given = _attributes(node)
    return {*given["kernel_shape"], *given.get("strides", [1])} == {1} and not any(given.get("pads", [0]))


_REWRITE: Mapping[str, Callable[[_Rewriting, NodeProto], None]] = {
    **dict.fromkeys(ACTIVATIONS, _Rewriting.elementwise),
    "Add": _Rewriting.elementwise,
    "AveragePool": _Rewriting.average_pool,
    "BatchNormalization": _Rewriting.elementwise,
    "Clip": _Rewriting.elementwise,
    "Concat": _Rewriting.concat,
    "Conv": _Rewriting.conv,
    "Div": _Rewriting.elementwise,
    "Dropout": _Rewriting.elementwise,
    "Flatten": _Rewriting.flatten,
    "GlobalAveragePool": _Rewriting.mean,
    "Identity": _Rewriting.elementwise,
    "IntQuant": _Rewriting.elementwise,
    "MaxPool": _Rewriting.max_pool,
    "Mul": _Rewriting.elementwise,
    "Quant": _Rewriting.elementwise,
    "ReduceMean": _Rewriting.mean,
    "Relu": _Rewriting.elementwise,
    "Reshape": _Rewriting.flatten,
    "Slice": _Rewriting.slice,
    "Squeeze": _Rewriting.flatten,
    "Sub": _Rewriting.elementwise,
    "Trunc": _Rewriting.elementwise,
}
