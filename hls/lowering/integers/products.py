# SPDX-License-Identifier: Apache-2.0
"""Convolutions, linear layers and their biases as products and additions of integers."""

from dataclasses import replace
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls.lowering.integers.scaled_tensors import Integers, Pending, Walk, Weights
from framegate.hls.operators.datatype import datatype
from onnx import NodeProto

GEOMETRY = ("kernel_shape", "pads", "strides")  # of a Conv
NEAR = 1e-6  # relative: as far as float32 may leave a bias from the scale of the sums that it was made for


def conv(walk: Walk, node: NodeProto) -> None:
    """A convolution of all channels, or of each by itself, without bias or dilation."""
    source, weights = walk.integers(node, quantized=True), walk.weights(node)
    given = {entry.name: entry for entry in node.attribute}
    group = given["group"].i if "group" in given else 1
    geometry: dict[str, Any] = {name: list(given[name].ints) for name in GEOMETRY if name in given}
    _check_geometry(walk, node, weights.integers, group)
    if group > 1 and weights.integers.shape[1] > 1 and walk.makers.get(source.tensor) != "FrameGather":
        raise UsageError(
            f"{walk.where(node)}: {weights.integers.shape[1]} inputs per channel must be frames of it, side by side "
            f"as a FrameGather lays them; use group=1, or groups of one channel"
        )
    if group == 1 and source.scale.size > 1:
        raise UsageError(
            f"{walk.where(node)}: reads a scale per channel, which only depthwise convolutions can; use one per "
            f"activation tensor"
        )
    scale = source.scale.reshape(group, -1) if source.scale.size > 1 else source.scale
    if scale.ndim == 2 and (scale != scale[:, :1]).any():
        raise UsageError(f"{walk.where(node)}: the scales of a channel's inputs differ; use one per channel")
    source = replace(source, scale=scale[:, 0] if scale.ndim == 2 else scale)
    shape = tuple(walk.model.get_tensor_shape(node.output[0]))
    _product(walk, node, source, weights, "Conv", weights.integers, shape, group=group, **geometry)


def linear(walk: Walk, node: NodeProto) -> None:
    """A matrix product with quantized weights; of a flattened picture, a convolution with a kernel of its size."""
    source, weights = walk.integers(node, quantized=True, flat=True), walk.weights(node)
    given = {entry.name: entry.f if entry.type == 1 else entry.i for entry in node.attribute}
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    odd = [name for name, value in plain.items() if given.get(name, value) != value]
    rank = 4 if source.flat else 2
    if odd or len(node.input) > 2 or len(source.shape) != rank or weights.integers.ndim != 2:
        raise UsageError(
            f"{walk.where(node)}: only a plain product with one row per frame can be built; use a linear layer "
            f"on flattened features"
        )
    if source.scale.size > 1:
        raise UsageError(f"{walk.where(node)}: reads a scale per channel; use one per activation tensor")
    if not given.get("transB", 0):
        weights = replace(weights, integers=weights.integers.T, scale=weights.scale.T)
    shape = tuple(walk.model.get_tensor_shape(node.output[0]))
    if source.flat and source.shape[2:] == (1, 1):
        source = _flattened(walk, node, source)
    if not source.flat:
        _product(walk, node, source, weights, "MatMul", weights.integers.T, shape)
        return
    kernel = weights.integers.reshape(-1, *source.shape[1:])
    pixel = f"{node.output[0]}_pixel"
    size = list(kernel.shape[2:])
    sums = _product(
        walk, node, source, weights, "Conv", kernel, (*shape, 1, 1), tensor=pixel, kernel_shape=size
    )
    name = walk.writer.constant(f"{node.output[0]}_shape", np.array(shape))
    walk.add(node, replace(sums, tensor=node.output[0], shape=shape), "Reshape", [pixel, name])


def _flattened(walk: Walk, node: NodeProto, source: Integers) -> Integers:
    """Frames of one pixel (T, C, 1, 1) as vectors (T, C)."""
    result = replace(source, tensor=f"{source.tensor}_vector", shape=source.shape[:2], flat=False)
    name = walk.writer.constant(f"{result.tensor}_shape", np.array(result.shape))
    walk.add(node, result, "Reshape", [source.tensor, name])
    return result


def _product(
    walk: Walk,
    node: NodeProto,
    source: Integers,
    weights: Weights,
    op: str,
    constant: np.ndarray,
    shape: tuple[int, ...],
    tensor: str = "",
    **geometry: Any,
) -> Integers:
    """Emit `op` with `constant`, its weights as integers; `weights` has the outputs on axis 0."""
    rows, scales = (part.reshape(len(part), -1) for part in (weights.integers, weights.scale))
    if (scales != scales[:, :1]).any():
        raise UsageError(f"{walk.where(node)}: weight scales differ within an output; use one per output")
    walk.note_scale(source.scale)
    tensor = tensor or node.output[0]
    name = walk.writer.constant(f"{tensor}_weights", constant, weights.kind)
    low, high = min(int(source.low.min()), 0), max(int(source.high.max()), 0)  # zero: padding
    above, below = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    result = Integers(
        tensor,
        shape,
        source.scale * (scales[:, 0] if (scales != scales[0]).any() else scales[0, 0]),
        above * low + below * high,
        above * high + below * low,
        accumulator=walk.where(node),
        weights=name,
    )
    walk.add(node, result, op, [source.tensor, name], **geometry)
    return result


def bias(walk: Walk, node: NodeProto) -> None:
    """Quantized constants, one per channel, on the bare sums of a layer.

    A quantizer behind them takes them in. On logits, both are added in steps of the finer scale.
    """
    slot = 0 if isinstance(walk.seen[node.input[1]], Weights) else 1
    entry, added = walk.seen[node.input[slot]], walk.seen[node.input[1 - slot]]
    assert isinstance(added, Weights)
    if isinstance(entry, Pending):
        _into_chain(walk, node, entry, node.input[1 - slot], added)
        return
    source = walk.integers(node, slot)
    channels, rank = source.shape[1], len(source.shape)
    per_channel = ((channels, *[1] * (rank - 2)), (1, channels, *[1] * (rank - 2)))
    if added.integers.shape not in per_channel:
        raise UsageError(
            f"{walk.where(node)}: adds a constant of shape {added.integers.shape}; use one value per channel"
        )
    quantized = walk.is_quantized(node.output[0])
    found = None if quantized else _in_common_steps(walk, source, added.scale.reshape(-1))
    if found is None:
        _into_chain(walk, node, Pending(source, node.input[slot], ()), node.input[1 - slot], added)
        return
    steps, source = found
    _add_constants(walk, node, source, added.integers.reshape(-1) * steps)


def _into_chain(walk: Walk, node: NodeProto, pending: Pending, constant: str, added: Weights) -> None:
    """Leave the addition of a quantized constant to the next quantizer, as the float operation that it is."""
    walk.model.set_initializer(constant, (added.integers * added.scale).astype(np.float32))
    walk.seen[node.output[0]] = Pending(pending.integers, pending.source, (*pending.nodes, node))


def add_shift(walk: Walk, node: NodeProto, source: Integers, value: float) -> None:
    """One value on all unquantized logits alike, rounded to a step of them: their order stays exact."""
    steps = np.rint(value / source.scale).astype(np.int64)
    walk.exact &= bool(steps * source.scale == np.float32(value))
    if not steps:
        walk.seen[node.output[0]] = source
        return
    _add_constants(walk, node, source, np.broadcast_to(steps, source.low.shape))


def _add_constants(walk: Walk, node: NodeProto, source: Integers, values: np.ndarray) -> None:
    kind = datatype(int(values.min()), int(values.max()))
    shape = (1, len(values), *[1] * (len(source.shape) - 2))
    name = walk.writer.constant(f"{node.output[0]}_values", values.reshape(shape), kind)
    low, high = source.low + values, source.high + values
    result = replace(source, tensor=node.output[0], low=low, high=high, weights="")
    walk.add(node, result, "Add", [source.tensor, name])


def _in_common_steps(walk: Walk, source: Integers, scale: np.ndarray) -> tuple[int, Integers] | None:
    """How many steps of the sums a step of a bias of `scale` is, once the sums are in steps that divide it."""
    coarser, finer = (scale / source.scale).astype(float), (source.scale / scale).astype(float)
    if (steps := _whole(walk, coarser)) is not None:
        return steps, source
    if source.weights and source.scale.size == 1 and (steps := _whole(walk, finer)) is not None:
        return 1, _in_finer_steps(walk, source, steps)
    return None


def _whole(walk: Walk, ratios: np.ndarray) -> int | None:
    """The whole number that all `ratios` are, up to NEAR; None if there is none."""
    steps = round(float(ratios[0]))
    if steps < 1 or (np.abs(ratios / steps - 1) > NEAR).any():
        return None
    walk.exact &= bool((ratios == steps).all())
    return steps


def _in_finer_steps(walk: Walk, source: Integers, steps: int) -> Integers:
    """The sums in steps that many times finer: their weights are larger by that factor."""
    values = walk.writer.constants[source.weights][0] * steps
    kind = datatype(min(int(values.min()), -1), max(int(values.max()), 0))
    walk.writer.constant(source.weights, values, kind)
    finer = replace(source, scale=source.scale / steps, low=source.low * steps, high=source.high * steps)
    walk.writer.tensor(finer.tensor, finer.shape, datatype(int(finer.low.min()), int(finer.high.max())))
    return finer


def _check_geometry(walk: Walk, node: NodeProto, weights: np.ndarray, group: int) -> None:
    """Raise UsageError for a convolution that the kernels cannot do."""
    where, rank = walk.where(node), weights.ndim
    if rank != 4:
        raise UsageError(
            f"{where}: is {rank - 2}-dimensional; write it as a FrameGather and a 2-D convolution"
        )
    if group not in (1, len(weights)):
        outputs, inputs = len(weights), group * weights.shape[1]
        raise UsageError(
            f"{where}: group={group} of {inputs} channels to {outputs} cannot be built yet; use group=1, or "
            f"a depthwise convolution (a group and an output per channel)"
        )
    walk.check_window(node)
