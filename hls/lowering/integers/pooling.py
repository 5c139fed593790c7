# SPDX-License-Identifier: Apache-2.0
"""Maxima, sums and means of integers: over windows, pictures, frames."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls import finn_ops
from framegate.hls.lowering.integers.scaled_tensors import Integers, Pending, Walk
from onnx import NodeProto, helper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import get_by_name


def max_pool(walk: Walk, node: NodeProto) -> None:
    """The largest value under a window; padding is zeros, so only for values that are not negative."""
    source, geometry = walk.integers(node), _geometry(walk, node)
    if any(geometry["pads"]) and (source.low < 0).any():
        raise UsageError(
            f"{walk.where(node)}: pads values that may be negative, where zeros would win; use an unsigned "
            f"quantizer (QuantReLU) before it, or padding=0"
        )
    result = replace(source, tensor=node.output[0], shape=_shape(walk, node), weights="")
    walk.add(node, result, "MaxPool", [source.tensor], **geometry)


def average_pool(walk: Walk, node: NodeProto) -> None:
    """The sum under a window, and a division."""
    source, geometry = walk.integers(node), _geometry(walk, node)
    include = get_by_name(node.attribute, "count_include_pad")
    if any(geometry["pads"]) and not (include is not None and include.i):
        raise UsageError(
            f"{walk.where(node)}: divides by fewer values at the border; use count_include_pad=True or padding=0"
        )
    count = math.prod(geometry["kernel_shape"])
    sums = _sums(source, f"{node.output[0]}_sum", _shape(walk, node), count)
    walk.add(node, sums, "SumPool", [source.tensor], finn_ops.DOMAIN, **geometry)
    _divide(walk, node, sums, count)


def channel_max(walk: Walk, node: NodeProto) -> None:
    """The largest of neighbouring channels, which are the frames of one."""
    source, group = walk.integers(node), getCustomOp(node).get_nodeattr("group")
    if walk.makers.get(source.tensor) != "FrameGather":
        raise UsageError(
            f"{walk.where(node)}: reads no FrameGather; let one lay the frames of each channel side by side"
        )
    scale, low, high = (values.reshape(-1, group) for values in _per_channel(source))
    if (scale != scale[:, :1]).any():
        raise UsageError(f"{walk.where(node)}: compares channels of different scales; use one per channel")
    result = replace(
        source,
        tensor=node.output[0],
        shape=_shape(walk, node),
        scale=scale[:, 0] if source.scale.size > 1 else source.scale,
        low=low.max(axis=1),
        high=high.max(axis=1),
        weights="",
    )
    walk.add(node, result, "ChannelMax", [source.tensor], finn_ops.DOMAIN, group=group)


def frame_mean(walk: Walk, node: NodeProto) -> None:
    """The sum over frames."""
    source, frames = walk.integers(node), getCustomOp(node).get_nodeattr("frames")
    result = _sums(source, node.output[0], _shape(walk, node), frames)
    walk.add(node, result, "FrameMean", [source.tensor], finn_ops.DOMAIN, frames=frames)


def reduce_pixels(walk: Walk, node: NodeProto) -> None:
    """The sum over the pixels of a frame, and a division if it is their mean."""
    source = walk.integers(node)
    if _reduced_axes(walk, node) != [2, 3]:
        raise UsageError(
            f"{walk.where(node)}: only sums and means over height and width can be built; use sum((2, 3))"
        )
    count = source.shape[2] * source.shape[3]
    flat = len(_shape(walk, node)) == 2
    mean = node.op_type != "ReduceSum"
    pixel = f"{node.output[0]}_sum" if flat or mean else node.output[0]
    sums = _sums(source, pixel, (*source.shape[:2], 1, 1), count)
    name = walk.writer.constant(f"{pixel}_axes", np.array([2, 3]))
    walk.add(node, sums, "ReduceSum", [source.tensor, name], keepdims=1)
    if flat:
        target = f"{node.output[0]}_flat" if mean else node.output[0]
        name = walk.writer.constant(f"{target}_shape", np.array(source.shape[:2]))
        sums = replace(sums, tensor=target, shape=source.shape[:2])
        walk.add(node, sums, "Reshape", [pixel, name])
    if mean:
        _divide(walk, node, sums, count)


def _reduced_axes(walk: Walk, node: NodeProto) -> list[int]:
    if node.op_type == "GlobalAveragePool":
        return [2, 3]
    given = get_by_name(node.attribute, "axes")
    axes = walk.model.get_initializer(node.input[1]) if len(node.input) > 1 else None
    chosen = list(given.ints) if given is not None else [] if axes is None else axes.tolist()
    return sorted(int(axis) % 4 for axis in chosen)


def _divide(walk: Walk, node: NodeProto, sums: Integers, count: int) -> None:
    """The mean of sums: exact in the scale for a power of two; else a float operation for the next quantizer."""
    mean = replace(sums, scale=sums.scale / np.float32(count))
    if count & (count - 1) == 0:
        walk.seen[node.output[0]] = mean
        return
    source, divisor = f"{node.output[0]}_total", f"{node.output[0]}_count"
    walk.model.set_initializer(divisor, np.array(count, np.float32))
    division = helper.make_node("Div", [source, divisor], [node.output[0]], name=node.name)
    walk.seen[node.output[0]] = Pending(sums, source, (division,), folded=mean)


def _sums(source: Integers, tensor: str, shape: tuple[int, ...], count: int) -> Integers:
    """Sums of `count` values each."""
    low, high = source.low * count, source.high * count
    return replace(source, tensor=tensor, shape=shape, low=low, high=high, weights="")


def _per_channel(source: Integers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.broadcast_to(source.scale, source.low.shape), source.low, source.high


def _shape(walk: Walk, node: NodeProto) -> tuple[int, ...]:
    return tuple(walk.model.get_tensor_shape(node.output[0]))


def _geometry(walk: Walk, node: NodeProto) -> dict[str, Any]:
    """Kernel, strides and pads of a plain 2-D pool. Raises UsageError for any other."""
    given = {entry.name: entry for entry in node.attribute}
    where = walk.where(node)
    kernel = list(given["kernel_shape"].ints)
    if len(kernel) != 2 or len(node.output) > 1:
        raise UsageError(
            f"{where}: only 2-D pooling without indices can be built; use MaxPool2d or AvgPool2d"
        )
    for name in ("ceil_mode", "storage_order"):
        if name in given and given[name].i:
            raise UsageError(f"{where}: {name}=1 cannot be built; use {name}=0")
    walk.check_window(node)
    return {
        "kernel_shape": kernel,
        "strides": list(given["strides"].ints) if "strides" in given else [1, 1],
        "pads": list(given["pads"].ints) if "pads" in given else [0, 0, 0, 0],
    }
