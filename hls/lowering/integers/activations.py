# SPDX-License-Identifier: Apache-2.0
"""Quantizers, and what stands elementwise before them: as weights, or as integer thresholds."""

from dataclasses import replace

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels.threshold import MOST_BITS
from framegate.hls.lowering.dialect import ROUNDINGS
from framegate.hls.lowering.graphs import GENERAL
from framegate.hls.lowering.integers.products import add_shift
from framegate.hls.lowering.integers.scaled_tensors import Integers, Pending, Walk, Weights
from framegate.hls.lowering.integers.staircase import (
    FloatChain,
    NotANumberError,
    NotMonotoneError,
    is_identity,
    output_format,
    staircase,
)
from framegate.hls.operators.datatype import datatype
from onnx import NodeProto
from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp


def quant(walk: Walk, node: NodeProto) -> None:
    """A quantizer: of a constant, or the end of a chain of float operations."""
    if node.op_type == "Trunc" and len(node.input) != 6:
        raise UsageError(
            f"{walk.where(node)}: says no output scale (QONNX before 1.0); export again, or quantize by QuantIdentity"
        )
    names = output_format(node)
    scale, bits, zero = (walk.model.get_initializer(name) for name in (*names, node.input[2]))
    if scale is None or bits is None or zero is None or np.any(zero):
        raise UsageError(
            f"{walk.where(node)}: scale, zero point and bit width must be constants, the zero point 0; "
            f"use a fixed-point quantizer of Brevitas"
        )
    if bits.size != 1 or bits.item() not in range(1, 33):
        raise UsageError(f"{walk.where(node)}: bit width {bits.tolist()}; use a whole number from 1 to 32")
    if not (scale > 0).all() or np.isinf(scale).any():
        odd = scale[~(scale > 0) | np.isinf(scale)].flat[0]
        raise UsageError(
            f"{walk.where(node)}: has a scale of {odd}; a scale is a number above 0, train again"
        )
    rounding = getCustomOp(node).get_nodeattr("rounding_mode")
    if rounding.upper() not in ROUNDINGS:
        raise UsageError(
            f"{walk.where(node)}: rounding_mode={rounding}, which QONNX does not define; use one of "
            f"{', '.join(ROUNDINGS)}"
        )
    walk.note_scale(scale)
    if (constant := walk.model.get_initializer(node.input[0])) is not None and node.op_type != "Trunc":
        walk.seen[node.output[0]] = _quantized(node, [constant, scale, zero, bits])
        return
    entry = walk.seen[node.input[0]]
    if isinstance(entry, Integers):
        entry = Pending(entry, node.input[0], ())
    assert isinstance(entry, Pending)
    shape = entry.integers.shape
    if scale.size != 1 and (entry.integers.flat or scale.shape != (1, shape[1], *[1] * (len(shape) - 2))):
        raise UsageError(
            f"{walk.where(node)}: activation scales of shape {scale.shape}; use one per tensor, or one per channel"
        )
    chain = FloatChain(walk.model, entry.source, list(entry.nodes), node, entry.rank)
    walk.exact &= not chain.curved
    layers = " … ".join(dict.fromkeys(walk.where(other) for other in (*entry.nodes[:1], node)))
    try:
        _activation(walk, node, entry, chain, int(bits.item()))
    except NotMonotoneError as error:
        raise UsageError(
            f"{layers}: the output rises and falls with its input ({error}); "
            f"only monotone activations become thresholds"
        ) from None
    except NotANumberError as error:
        raise UsageError(
            f"{layers}: the output is no number for some inputs ({error}); keep its input in range"
        ) from None


def _activation(walk: Walk, node: NodeProto, pending: Pending, chain: FloatChain, bits: int) -> None:
    """Thresholds, or nothing where each integer stays what it is."""
    source = pending.integers
    ends = source.scale.reshape(-1), source.low, source.high
    if is_identity(chain, *ends):
        walk.seen[node.output[0]] = replace(source, scale=chain.scale, accumulator="", weights="")
        return
    if bits > MOST_BITS:
        raise UsageError(
            f"{walk.where(node)}: quantizes to {bits} bits; an activation has at most {MOST_BITS}, use a bit width of "
            f"1 to {MOST_BITS}"
        )
    found = staircase(chain, *ends)
    if (found.sign < 0).any():
        source = _flipped(walk, node, pending, found.sign)
    kind = DataType[f"INT{max(bits, 2)}" if chain.low < 0 else f"UINT{bits}"]
    first, last = int(source.low.min()), int(source.high.max()) + 1
    name = walk.writer.constant(
        f"{node.output[0]}_thresholds", found.thresholds, datatype(min(first, 0), max(last, 0))
    )
    walk.writer.tensor(node.output[0], source.shape, kind)
    walk.writer.node(
        "MultiThreshold",
        [source.tensor, name],
        node.output[0],
        GENERAL,
        out_dtype=kind.name,
        out_bias=float(chain.low),
        data_layout="NCHW"[: len(source.shape)],
    )
    ones = np.ones_like(source.low)
    walk.seen[node.output[0]] = Integers(
        node.output[0], source.shape, chain.scale, chain.low * ones, chain.high * ones, flat=source.flat
    )


def _flipped(walk: Walk, node: NodeProto, pending: Pending, sign: np.ndarray) -> Integers:
    """The sums, negated by their weights in the channels that fall."""
    source = pending.integers
    tensors = [pending.source, *(other.output[0] for other in pending.nodes)]
    if not source.weights or any(len(walk.model.find_consumers(tensor)) > 1 for tensor in tensors):
        channels = np.flatnonzero(sign < 0).tolist()
        raise UsageError(
            f"{walk.where(node)}: channels {channels} fall with their input, and the sign cannot "
            f"move into weights that nothing else reads; train with a positive BatchNorm scale there"
        )
    values, kind = walk.writer.constants[source.weights]
    along = (-1, 1, 1, 1) if values.ndim == 4 else (1, -1)
    walk.writer.constants[source.weights] = values * sign.reshape(along), kind
    low, high = np.where(sign < 0, -source.high, source.low), np.where(sign < 0, -source.low, source.high)
    shape, _ = walk.writer.tensors[source.tensor]
    walk.writer.tensor(source.tensor, shape, datatype(int(low.min()), int(high.max())))
    return replace(source, low=low, high=high)


def float_operation(walk: Walk, node: NodeProto) -> None:
    """A float operation with constants: a power of two moves into the scale, anything else waits for a quantizer.

    Where none follows, any other factor may move into the scale too, and one value added to all logits alike is
    rounded to their steps: both are told as not exact.
    """
    data = next(name for name in node.input if name in walk.seen)
    entry = walk.seen[data]
    if isinstance(entry, Weights):
        raise UsageError(walk.unquantized(entry, walk.where(node)))
    factor, own = _factor(walk, node), entry if isinstance(entry, Integers) else entry.folded
    if isinstance(entry, Integers) and factor and np.frexp(factor)[0] == 0.5:
        walk.seen[node.output[0]] = replace(entry, scale=entry.scale * np.float32(factor))
        return
    shift = _shift(walk, node)
    if own and own.accumulator and shift is not None and not walk.is_quantized(node.output[0]):
        walk.settled(entry)
        add_shift(walk, node, own, shift)
        return
    if isinstance(entry, Integers):
        entry = Pending(entry, data, ())
    _check_operands(walk, node, entry.integers)
    folded = replace(own, scale=own.scale * np.float32(factor)) if own and factor else None
    walk.seen[node.output[0]] = replace(entry, nodes=(*entry.nodes, node), folded=folded)


def _factor(walk: Walk, node: NodeProto) -> float:
    """The positive number by which a node multiplies all values, or 0."""
    value, slot = _scalar(walk, node)
    if value is None or value <= 0 or (node.op_type, slot) not in (("Mul", 0), ("Mul", 1), ("Div", 1)):
        return 0.0
    return value if node.op_type == "Mul" else 1 / value


def _shift(walk: Walk, node: NodeProto) -> float | None:
    """The number that a node adds to all values; None when it does something else."""
    value, slot = _scalar(walk, node)
    if value is None or (node.op_type, slot) not in (("Add", 0), ("Add", 1), ("Sub", 1)):
        return None
    return value if node.op_type == "Add" else -value


def _scalar(walk: Walk, node: NodeProto) -> tuple[float | None, int]:
    """The single constant value that a node takes beside its data, if any, and the number of that input."""
    for slot, name in enumerate(node.input[:2]):
        constant = walk.model.get_initializer(name)
        if constant is not None and constant.size == 1:
            return float(constant.reshape(())), slot
    return None, 0


def _check_operands(walk: Walk, node: NodeProto, integers: Integers) -> None:
    """Constants must be one value, or one per channel."""
    channels, rank = integers.shape[1], len(integers.shape)
    per_channel = ((channels, *[1] * (rank - 2)), (1, channels, *[1] * (rank - 2)))
    for name in node.input:
        constant = walk.model.get_initializer(name)
        if constant is not None and constant.size != 1 and integers.flat:
            raise UsageError(
                f"{walk.where(node)}: has {constant.size} constants for flattened pictures of "
                f"{integers.shape[1:]}; put it before the flattening, or behind the linear layer"
            )
        if node.op_type == "BatchNormalization":
            continue
        if constant is not None and constant.size != 1 and constant.shape not in per_channel:
            raise UsageError(
                f"{walk.where(node)}: a constant of shape {constant.shape}; use one value, or one per channel"
            )


def _quantized(node: NodeProto, parameters: list[np.ndarray]) -> Weights:
    """Integers of a constant, through the quantizer itself; `parameters` are the values of its inputs."""
    constant, scale, _, bits = parameters
    op, context = getCustomOp(node), dict(zip(node.input, parameters, strict=True))
    op.execute_node(context, None)
    kind = DataType[
        f"INT{max(int(bits.item()), 2)}" if op.get_nodeattr("signed") else f"UINT{int(bits.item())}"
    ]
    integers = np.rint(context[node.output[0]] / scale).astype(np.int64)
    return Weights(integers, np.broadcast_to(scale.astype(np.float32), constant.shape), kind)
