# SPDX-License-Identifier: Apache-2.0
"""From a QONNX network to a graph of integers: convolutions, sums and thresholds.

Every tensor behind a quantizer is carried as integers with its scale. What stands elementwise between an
accumulator and the next quantizer becomes one MultiThreshold, whose integer thresholds come from those very
float32 operations.
"""

import math
from dataclasses import replace

import numpy as np
from framegate.errors import UsageError
from framegate.hls import finn_ops
from framegate.hls.lowering.integers.activations import float_operation, quant
from framegate.hls.lowering.integers.pooling import (
    average_pool,
    channel_max,
    frame_mean,
    max_pool,
    reduce_pixels,
)
from framegate.hls.lowering.integers.products import bias, conv, linear
from framegate.hls.lowering.integers.scaled_tensors import (
    ACTIVATIONS,
    Entry,
    Handlers,
    Integers,
    Pending,
    Walk,
    Weights,
)
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import get_by_name


def integerize(model: ModelWrapper) -> ModelWrapper:
    """Rewrite a QONNX network (pixel * pixel_scale in, logits out) as integers (pixel in, integer logits out).

    Metadata of the result: that of the network, LOGIT_SCALE and EXACT.
    Raises UsageError naming the layer that cannot become integers, and the way out.
    """
    return Walk(model).run(HANDLERS)


def elementwise(walk: Walk, node: NodeProto) -> None:
    """A float operation with constants, or an addition of integers."""
    known = [walk.seen[name] for name in node.input if name in walk.seen]
    if len(known) == 1:
        float_operation(walk, node)
    elif node.op_type == "Mul" and len({_root(entry) for entry in known}) == 1:
        raise UsageError(
            f"{walk.where(node)}: multiplies a tensor by a function of itself, as SiLU, GELU and Mish do, which rises "
            f"and falls; use a monotone activation, such as ReLU"
        )
    elif node.op_type != "Add":
        raise UsageError(f"{walk.where(node)}: combines two tensors; only Add does that so far")
    elif any(isinstance(entry, Weights) for entry in known):
        bias(walk, node)
    else:
        join(walk, node)


def _root(entry: Entry) -> str:
    """The tensor of integers that an entry is a function of; empty for a constant."""
    return entry.integers.tensor if isinstance(entry, Pending) else getattr(entry, "tensor", "")


def join(walk: Walk, node: NodeProto) -> None:
    """An addition of two tensors of integers."""
    left, right = walk.integers(node, 0, quantized=True), walk.integers(node, 1, quantized=True)
    if left.scale.size != 1 or left.scale != right.scale:
        raise UsageError(
            f"{walk.where(node)}: adds integers of scales {left.scale.tolist()} and "
            f"{right.scale.tolist()}; let both branches end in one shared quantizer"
        )
    if left.shape != right.shape:
        raise UsageError(f"{walk.where(node)}: adds {left.shape} and {right.shape}; make the shapes equal")
    result = Integers(node.output[0], left.shape, left.scale, left.low + right.low, left.high + right.high)
    walk.add(node, result, "Add", [left.tensor, right.tensor])


def concat(walk: Walk, node: NodeProto) -> None:
    """Channels of several tensors of integers side by side."""
    parts = [walk.integers(node, slot, quantized=True) for slot in range(len(node.input))]
    axis, rank = get_by_name(node.attribute, "axis").i, len(parts[0].shape)
    if axis % rank != 1:
        raise UsageError(f"{walk.where(node)}: axis={axis}; only channels (axis=1) can be put side by side")
    scales = np.unique(np.concatenate([part.scale.reshape(-1) for part in parts]))
    if len(scales) > 1:
        raise UsageError(
            f"{walk.where(node)}: puts integers of scales {scales.tolist()} side by side; let all branches end "
            f"in one shared quantizer"
        )
    low, high = (np.concatenate([getattr(part, end) for part in parts]) for end in ("low", "high"))
    shape = (parts[0].shape[0], len(low), *parts[0].shape[2:])
    if any(part.shape[2:] != shape[2:] or part.shape[0] != shape[0] for part in parts):
        sizes = " and ".join(str(part.shape) for part in parts)
        raise UsageError(f"{walk.where(node)}: puts {sizes} side by side; make all but the channels equal")
    result = Integers(node.output[0], shape, scales.reshape(()), low, high)
    walk.add(node, result, "Concat", [part.tensor for part in parts], axis=1)


def frame_gather(walk: Walk, node: NodeProto) -> None:
    """Channels of neighbouring frames: integers as before, and zeros."""
    source, op = walk.integers(node), getCustomOp(node)
    if op.get_nodeattr("frames") != source.shape[0]:
        raise UsageError(
            f"{walk.where(node)}: frames={op.get_nodeattr('frames')}, but {source.shape[0]} arrive; export the "
            f"network for one clip"
        )
    pick = np.concatenate([np.arange(begin, end) for begin, end, _ in op.groups])
    result = replace(
        source,
        tensor=node.output[0],
        shape=tuple(walk.model.get_tensor_shape(node.output[0])),
        scale=source.scale[pick] if source.scale.size > 1 else source.scale,
        low=np.minimum(source.low[pick], 0),
        high=np.maximum(source.high[pick], 0),
        weights="",
    )
    attributes = {entry.name: op.get_nodeattr(entry.name) for entry in node.attribute}
    walk.add(node, result, "FrameGather", [source.tensor], finn_ops.DOMAIN, **attributes)


def reshape(walk: Walk, node: NodeProto) -> None:
    """(T, C, H, W) to (T, C*H*W): only noted, for the linear layer behind it, when there is more than one pixel."""
    entry, shape = walk.seen.get(node.input[0]), tuple(walk.model.get_tensor_shape(node.output[0]))
    known = entry.integers if isinstance(entry, Pending) else entry
    if not isinstance(known, Integers):
        raise UsageError(walk.unquantized(known, walk.where(node)))
    flattened = (known.shape[0], math.prod(known.shape[1:]))
    if shape == (flattened if known.flat else known.shape):
        identity(walk, node)
    elif len(known.shape) != 4 or shape != flattened:
        raise UsageError(
            f"{walk.where(node)}: {known.shape} to {shape}; only (frames, channels, height, width) can be "
            f"flattened, frame by frame"
        )
    elif known.shape[2:] == (1, 1):
        _vector(walk, node, entry, known, shape)
    else:
        identity(walk, node)
        walk.seen[node.output[0]] = _flat(walk.seen[node.output[0]])


def _vector(
    walk: Walk, node: NodeProto, entry: Entry | None, source: Integers, shape: tuple[int, ...]
) -> None:
    """Frames of one pixel as vectors, of `shape`. What no quantizer has ended yet goes on behind them."""
    result = replace(source, tensor=node.output[0], shape=shape)
    name = walk.writer.constant(f"{result.tensor}_shape", np.array(shape))
    walk.add(node, result, "Reshape", [source.tensor, name])
    if isinstance(entry, Pending):
        flatten = helper.make_node("Flatten", [node.input[0]], [node.output[0]], name=node.name)
        folded = entry.folded and replace(entry.folded, tensor=result.tensor, shape=shape)
        walk.seen[node.output[0]] = Pending(result, entry.source, (*entry.nodes, flatten), folded)


def _flat(entry: Entry) -> Entry:
    if isinstance(entry, Pending):
        folded = entry.folded and replace(entry.folded, flat=True)
        return replace(entry, integers=replace(entry.integers, flat=True), folded=folded)
    assert isinstance(entry, Integers)
    return replace(entry, flat=True)


def identity(walk: Walk, node: NodeProto) -> None:
    """Nothing."""
    entry = walk.seen[node.input[0]]
    if isinstance(entry, Pending):  # keeps the chain of tensor names
        passed = helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
        entry = replace(entry, nodes=(*entry.nodes, passed))
    walk.seen[node.output[0]] = entry


HANDLERS: Handlers = dict.fromkeys(ACTIVATIONS, elementwise) | {
    "Add": elementwise,
    "AveragePool": average_pool,
    "BatchNormalization": elementwise,
    "ChannelMax": channel_max,
    "Clip": elementwise,
    "Concat": concat,
    "Conv": conv,
    "Div": elementwise,
    "Dropout": identity,
    "Flatten": reshape,
    "FrameGather": frame_gather,
    "FrameMean": frame_mean,
    "Gemm": linear,
    "GlobalAveragePool": reduce_pixels,
    "Identity": identity,
    "IntQuant": quant,
    "MatMul": linear,
    "MaxPool": max_pool,
    "Mul": elementwise,
    "Quant": quant,
    "ReduceMean": reduce_pixels,
    "ReduceSum": reduce_pixels,
    "Relu": elementwise,
    "Reshape": reshape,
    "Squeeze": reshape,
    "Sub": elementwise,
    "Trunc": quant,
}
