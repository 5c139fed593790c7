# SPDX-License-Identifier: Apache-2.0
"""From a QONNX network to a graph of integers: convolutions, sums and thresholds.

Every tensor behind a quantizer is carried as integers with its scale. What stands elementwise between an
accumulator and the next quantizer becomes one MultiThreshold, whose integer thresholds come from those very
float32 operations.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls import finn_ops
from framegate.hls.activations import float_operation, quant
from framegate.hls.finn_ops import datatype
from framegate.hls.walk import Handlers, Integers, Walk, Weights
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import get_by_name

GEOMETRY = ("group", "kernel_shape", "pads", "strides")  # of a Conv


def integerize(model: ModelWrapper) -> ModelWrapper:
    """Rewrite a QONNX network (pixel/256 in, logits out) as integers (pixel in, integer logits out).

    Metadata of the result: that of the network, LOGIT_SCALE and EXACT.
    Raises UsageError naming the layer that cannot become integers, and the way out.
    """
    return Walk(model).run(HANDLERS)


def elementwise(walk: Walk, node: NodeProto) -> None:
    """A float operation with constants, or an addition of integers."""
    known = [walk.seen[name] for name in node.input if name in walk.seen]
    if len(known) == 1:
        float_operation(walk, node)
    elif node.op_type != "Add":
        raise UsageError(f"{walk.where(node)}: combines two tensors; only Add does that so far")
    elif any(isinstance(entry, Weights) for entry in known):
        bias(walk, node)
    else:
        join(walk, node)


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


def bias(walk: Walk, node: NodeProto) -> None:
    """Quantized constants, one per channel, on the bare sums of a layer: both in steps of the finer scale."""
    slot = 0 if isinstance(walk.seen[node.input[1]], Weights) else 1
    source, added = walk.integers(node, slot), walk.seen[node.input[1 - slot]]
    assert isinstance(added, Weights)
    channels, rank = source.shape[1], len(source.shape)
    per_channel = ((channels, *[1] * (rank - 2)), (1, channels, *[1] * (rank - 2)))
    if added.integers.shape not in per_channel or (added.scale != added.scale.flat[0]).any():
        raise UsageError(
            f"{walk.where(node)}: adds a constant of shape {added.integers.shape}; use one value per channel, "
            f"and one scale"
        )
    steps, source = _in_common_steps(walk, node, source, added.scale.flat[0])
    values = added.integers.reshape(-1) * steps
    kind = datatype(int(values.min()), int(values.max()))
    name = walk.writer.constant(f"{node.output[0]}_values", values.reshape(per_channel[1]), kind)
    result = replace(
        source, tensor=node.output[0], low=source.low + values, high=source.high + values, weights=""
    )
    walk.add(node, result, "Add", [source.tensor, name])


def _in_common_steps(
    walk: Walk, node: NodeProto, source: Integers, scale: np.ndarray
) -> tuple[int, Integers]:
    """How many steps of the sums a step of a bias of `scale` is, once the sums are in steps that divide it."""
    if source.scale.size == 1:
        coarser, finer = float(scale / source.scale), float(source.scale / scale)
        if coarser.is_integer():
            return int(coarser), source
        if finer.is_integer() and source.weights:
            return 1, _in_finer_steps(walk, source, int(finer))
    raise UsageError(
        f"{walk.where(node)}: adds a bias of scale {float(scale):g} to sums of scale {source.scale.tolist()}; use "
        f"scales that are powers of two, and one weight scale for the layer"
    )


def _in_finer_steps(walk: Walk, source: Integers, steps: int) -> Integers:
    """The sums in steps that many times finer: their weights are larger by that factor."""
    values = walk.writer.constants[source.weights][0] * steps
    kind = datatype(min(int(values.min()), -1), max(int(values.max()), 0))
    walk.writer.constant(source.weights, values, kind)
    finer = replace(source, scale=source.scale / steps, low=source.low * steps, high=source.high * steps)
    walk.writer.tensor(finer.tensor, finer.shape, datatype(int(finer.low.min()), int(finer.high.max())))
    return finer


def conv(walk: Walk, node: NodeProto) -> None:
    """A convolution of all channels or of each by itself, without bias or dilation."""
    source, weights = walk.integers(node, quantized=True), walk.weights(node)
    _check_geometry(walk.where(node), node, weights.integers)
    geometry = {entry.name: list(entry.ints) or entry.i for entry in node.attribute if entry.name in GEOMETRY}
    _product(walk, node, source, weights, "Conv", weights.integers, **geometry)


def linear(walk: Walk, node: NodeProto) -> None:
    """A matrix product with quantized weights, without bias."""
    source, weights = walk.integers(node, quantized=True), walk.weights(node)
    given = {entry.name: entry.f if entry.type == 1 else entry.i for entry in node.attribute}
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    odd = [name for name, value in plain.items() if given.get(name, value) != value]
    if odd or len(node.input) > 2 or len(source.shape) != 2 or weights.integers.ndim != 2:
        raise UsageError(
            f"{walk.where(node)}: only a plain product with one row per frame can be built; "
            f"use a linear layer with bias=False on flattened features"
        )
    if not given.get("transB", 0):
        weights = replace(weights, integers=weights.integers.T, scale=weights.scale.T)
    _product(walk, node, source, weights, "MatMul", weights.integers.T)


def _product(
    walk: Walk,
    node: NodeProto,
    source: Integers,
    weights: Weights,
    op: str,
    constant: np.ndarray,
    **geometry: Any,
) -> None:
    """Emit `op` with `constant`, its weights as integers; `weights` has the outputs on axis 0."""
    if source.scale.size != 1:
        raise UsageError(f"{walk.where(node)}: reads a scale per channel; use one per activation tensor")
    rows, scales = (part.reshape(len(part), -1) for part in (weights.integers, weights.scale))
    if (scales != scales[:, :1]).any():
        raise UsageError(f"{walk.where(node)}: weight scales differ within an output; use one per output")
    name = walk.writer.constant(f"{node.output[0]}_weights", constant, weights.kind)
    low, high = min(int(source.low.min()), 0), max(int(source.high.max()), 0)  # zero: padding
    ends = np.stack([rows * low, rows * high])
    result = Integers(
        node.output[0],
        tuple(walk.model.get_tensor_shape(node.output[0])),
        source.scale * scales[:, 0] if (scales != scales[0]).any() else source.scale * scales[0, 0],
        ends.min(axis=0).sum(axis=1),
        ends.max(axis=0).sum(axis=1),
        accumulator=walk.where(node),
        weights=name,
    )
    walk.add(node, result, op, [source.tensor, name], **geometry)


def frame_gather(walk: Walk, node: NodeProto) -> None:
    """Channels of neighbouring frames: integers as before, and zeros."""
    source = walk.integers(node)
    groups = getCustomOp(node).groups
    pick = np.concatenate([np.arange(begin, end) for begin, end, _ in groups])
    result = replace(
        source,
        tensor=node.output[0],
        shape=tuple(walk.model.get_tensor_shape(node.output[0])),
        scale=source.scale[pick] if source.scale.size > 1 else source.scale,
        low=np.minimum(source.low[pick], 0),
        high=np.maximum(source.high[pick], 0),
        weights="",
    )
    attributes = {entry.name: getCustomOp(node).get_nodeattr(entry.name) for entry in node.attribute}
    walk.add(node, result, "FrameGather", [source.tensor], finn_ops.DOMAIN, **attributes)


def frame_mean(walk: Walk, node: NodeProto) -> None:
    """The sum over frames."""
    frames = getCustomOp(node).get_nodeattr("frames")
    result = _sum(walk, node, frames)
    walk.add(node, result, "FrameMean", [walk.integers(node).tensor], finn_ops.DOMAIN, frames=frames)


def reduce_sum(walk: Walk, node: NodeProto) -> None:
    """The sum over the pixels of a frame."""
    axes = walk.model.get_initializer(node.input[1]) if len(node.input) > 1 else None
    keep = get_by_name(node.attribute, "keepdims")
    source = walk.integers(node)
    if axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3] or (keep is not None and not keep.i):
        raise UsageError(
            f"{walk.where(node)}: only sums over height and width that keep both dimensions can be "
            f"built; use sum((2, 3), keepdim=True)"
        )
    result = _sum(walk, node, source.shape[2] * source.shape[3])
    name = walk.writer.constant(f"{result.tensor}_axes", np.array([2, 3]))
    walk.add(node, result, "ReduceSum", [source.tensor, name], keepdims=1)


def _sum(walk: Walk, node: NodeProto, count: int) -> Integers:
    source = walk.integers(node)
    shape = tuple(walk.model.get_tensor_shape(node.output[0]))
    return replace(
        source,
        tensor=node.output[0],
        shape=shape,
        low=source.low * count,
        high=source.high * count,
        weights="",
    )


def reshape(walk: Walk, node: NodeProto) -> None:
    """(T, C, 1, 1) to (T, C)."""
    source, shape = walk.integers(node), tuple(walk.model.get_tensor_shape(node.output[0]))
    if source.shape not in (shape, (*shape, 1, 1)):
        raise UsageError(
            f"{walk.where(node)}: {source.shape} to {shape}; only (frames, channels, 1, 1) can be "
            f"flattened: sum over the pixels first"
        )
    result = replace(source, tensor=node.output[0], shape=shape)
    name = walk.writer.constant(f"{result.tensor}_shape", np.array(shape))
    walk.add(node, result, "Reshape", [source.tensor, name])


def identity(walk: Walk, node: NodeProto) -> None:
    """Nothing."""
    walk.seen[node.output[0]] = walk.seen[node.input[0]]


def _check_geometry(where: str, node: NodeProto, weights: np.ndarray) -> None:
    """Raise UsageError for a convolution that the kernels cannot do."""
    rank = weights.ndim
    given = {entry.name: entry for entry in node.attribute}
    if len(node.input) > 2:
        raise UsageError(f"{where}: has a bias; use bias=False and let BatchNorm shift")
    if rank != 4:
        raise UsageError(
            f"{where}: is {rank - 2}-dimensional; write it as a FrameGather and a 2-D convolution"
        )
    group = given["group"].i if "group" in given else 1
    if group != 1 and weights.shape[:2] != (group, 1):
        outputs, inputs = len(weights), group * weights.shape[1]
        raise UsageError(
            f"{where}: group={group} of {inputs} channels to {outputs} cannot be built yet; use group=1, or "
            f"a depthwise convolution (a group and an output per channel)"
        )
    if "dilations" in given and set(given["dilations"].ints) != {1}:
        raise UsageError(f"{where}: dilations={list(given['dilations'].ints)} cannot be built yet; use 1")
    if "auto_pad" in given and given["auto_pad"].s not in (b"", b"NOTSET"):
        raise UsageError(f"{where}: auto_pad={given['auto_pad'].s.decode()}; export explicit padding")


HANDLERS: Handlers = {
    "Add": elementwise,
    "BatchNormalization": elementwise,
    "Conv": conv,
    "Div": elementwise,
    "Dropout": identity,
    "Flatten": reshape,
    "FrameGather": frame_gather,
    "FrameMean": frame_mean,
    "Gemm": linear,
    "Identity": identity,
    "IntQuant": quant,
    "MatMul": linear,
    "Mul": elementwise,
    "Quant": quant,
    "ReduceSum": reduce_sum,
    "Relu": elementwise,
    "Reshape": reshape,
    "Sub": elementwise,
}
