# SPDX-License-Identifier: Apache-2.0
"""Skip zeros when compiling: channels that nobody needs, or that are always zero, leave the design.

A layer's zeros go by whole channels, out of the product that makes them, of what is between, and of the product that
reads them: a row, thresholds, taps and columns of weights that are then neither stored nor cost a cycle. Beats of
zeros inside the channels that stay are kept: a window sends the same beats for every group of rows, so one could be
left out only where all rows are zero, and that is a channel that nobody needs. Which channels go follows from weights
and thresholds alone, so the latency stays independent of the data.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import gcd

import numpy as np
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.kernels import (
    Depthwise,
    FrameGather,
    Kernel,
    MatVec,
    Mean,
    Pool,
    Shift,
    SlidingMean,
    Threshold,
    Window,
)
from framegate.hls.kernels._product import accumulator_bounds
from framegate.hls.stream import Stream

_STEP = 4  # the channels that stay are a multiple of it where they were: for divisors to fold by


def without_dead_channels(dataflow: Dataflow) -> Dataflow:
    """`dataflow`, unfolded, with the same logits for all pixels but no channel without effect; itself if it has none.

    Between two matrix products, with one reader each, a channel has no effect if the columns that read it are zero, or
    if its values are: by the weights of its row, its thresholds and its taps. At least one stays of each layer, and
    all of what is forked, added or concatenated.
    """
    smaller = _once(dataflow)
    while smaller is not dataflow:
        dataflow, smaller = smaller, _once(smaller)
    return dataflow


def product_channels(dataflow: Dataflow) -> int:
    """Output channels of all matrix products."""
    return sum(kernel.rows for kernel in dataflow.kernels if isinstance(kernel, MatVec))


def _once(dataflow: Dataflow) -> Dataflow:
    """From the last layer to the first: what is not needed in one is not needed in the ones before.

    Another pass then sees the zeros that have reached later layers.
    """
    kernels = {kernel.name: kernel for kernel in dataflow.kernels}
    changed = False
    for run in reversed(list(_runs(dataflow))):
        changed |= _shorten(kernels, run)
    return _rewired(dataflow, kernels).check("pruning") if changed else dataflow


@dataclass(frozen=True)
class _Run:
    """The names of the kernels from one matrix product to the next, and of the window before them."""

    window: str
    product: str
    between: tuple[str, ...]
    reader: str
    channels: tuple[
        np.ndarray, ...
    ]  # which of the product's each input channel is: of those between, of the reader


def _runs(dataflow: Dataflow) -> Iterator[_Run]:
    for kernel in dataflow.kernels:
        if isinstance(kernel, MatVec) and (run := _run(dataflow, kernel)):
            yield run


def _run(dataflow: Dataflow, product: MatVec) -> _Run | None:
    """From `product` to the one that reads it, through kernels that keep channels apart; None if others do."""
    window = dataflow.links_into(product.name)[0].producer
    if window == PIXELS or not isinstance(dataflow.kernel(window), Window):
        return None
    names, channels = [product.name], [np.arange(product.rows)]
    while links := dataflow.links_from(names[-1]):
        reader = dataflow.kernel(links[0].consumer)
        if isinstance(reader, MatVec):
            return _Run(window, product.name, tuple(names[1:]), reader.name, tuple(channels))
        followed = _follow(reader, channels[-1], product.rows)
        if followed is None:
            break
        names.append(reader.name)
        channels.append(followed)
    return None


def _follow(kernel: Kernel, channel: np.ndarray, count: int) -> np.ndarray | None:
    """Which of a product's `count` channels each output channel is, from which each input channel is.

    None for a kernel that cannot do without any of them, or whose zeros are not zero.
    """
    if isinstance(kernel, Threshold | Mean | SlidingMean):
        return channel
    if isinstance(kernel, Shift) and len(channel) == count:
        return channel
    if isinstance(kernel, Window) and kernel.pad_value == 0:
        return _beside(kernel, channel)
    if isinstance(kernel, FrameGather) and _gathers_all(kernel):
        return _beside(kernel, channel)
    if isinstance(kernel, Depthwise | Pool):
        return channel[:: kernel.taps]
    return None


def _gathers_all(kernel: FrameGather) -> bool:
    return all(end - begin == kernel.input.channels for begin, end, _ in kernel.groups)


def _beside(kernel: Window | FrameGather, of_channel: np.ndarray) -> np.ndarray:
    """All taps of a channel side by side, or for a full product all channels of a tap: on one lane, as unfolded."""
    taps = kernel.kernel[0] * kernel.kernel[1] if isinstance(kernel, Window) else len(kernel.groups)
    return np.repeat(of_channel, taps) if kernel.depthwise else np.tile(of_channel, taps)


def _shorten(kernels: dict[str, Kernel], run: _Run) -> bool:
    """Take channels without effect out of a run; return whether there were any."""
    window, product, reader = (kernels[name] for name in (run.window, run.product, run.reader))
    assert isinstance(window, Window)
    assert isinstance(product, MatVec)
    assert isinstance(reader, MatVec)
    between = [kernels[name] for name in run.between]
    kept = _with_company(_needed(product, between, reader, run.channels[-1]), between)
    if kept.all():
        return False
    repeat = int(kept.sum())
    made: Kernel = replace(
        product,
        input=replace(product.input, repeat=repeat),
        weights=product.weights[kept],
        bias=None if product.bias is None else product.bias[kept],
    )
    kernels |= {window.name: replace(window, repeat=repeat), product.name: made}
    for kernel, channel in zip(between, run.channels, strict=False):
        kernels[kernel.name] = made = _without(kernel, made.outputs[0], kept[channel])
    columns = reader.weights[:, kept[run.channels[-1]]]
    kernels[reader.name] = replace(reader, input=made.outputs[0], weights=columns)
    return True


def _without(kernel: Kernel, stream: Stream, kept: np.ndarray) -> Kernel:
    """`kernel` for the input channels that are `kept`, which `stream` carries."""
    if isinstance(kernel, Threshold) and len(kernel.thresholds) > 1:
        return replace(kernel, input=stream, thresholds=kernel.thresholds[kept])
    if isinstance(kernel, Depthwise):
        return replace(kernel, input=stream, weights=kernel.weights[kept[:: kernel.taps]])
    if isinstance(kernel, FrameGather):
        groups = tuple((0, stream.channels, offset) for _, _, offset in kernel.groups)
        return replace(kernel, input=stream, groups=groups)
    if isinstance(kernel, Shift):
        before = np.concatenate([[0], np.cumsum(kept)]).tolist()
        moved = ((before[begin], before[end], offset) for begin, end, offset in kernel.groups)
        return replace(kernel, input=stream, groups=tuple(group for group in moved if group[0] < group[1]))
    return kernel.taking(stream)


def _needed(product: MatVec, between: list[Kernel], reader: MatVec, channel: np.ndarray) -> np.ndarray:
    """Whether each of a product's channels has any effect on what `reader` gives; its input channels are `channel`."""
    low, high = accumulator_bounds(product.weights, product.input.low, product.input.high)
    bias = 0 if product.bias is None else product.bias
    low, high = low + bias, high + bias
    for kernel in between:
        low, high = _range(kernel, low, high)
    moves = reader.weights.any(axis=0) & ((low != 0) | (high != 0))
    return np.isin(np.arange(product.rows), channel[moves])


def _range(kernel: Kernel, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of each output channel from those of each input channel."""
    if isinstance(kernel, Threshold):
        return _reached(kernel, low), _reached(kernel, high)
    if isinstance(kernel, Depthwise):
        ends = np.stack([end.reshape(-1, kernel.taps) * kernel.weights for end in (low, high)])
        return ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1)
    if isinstance(kernel, Pool):
        taps = low.reshape(-1, kernel.taps), high.reshape(-1, kernel.taps)
        if kernel.of == "max":
            return taps[0].max(axis=1), taps[1].max(axis=1)
        return taps[0].sum(axis=1), taps[1].sum(axis=1)
    if isinstance(kernel, Mean):
        return low * kernel.count, high * kernel.count
    # Zeros are around frames, before clips and behind them.
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    if isinstance(kernel, SlidingMean):
        return low * kernel.window, high * kernel.window
    if isinstance(kernel, Window | FrameGather):
        return _beside(kernel, low), _beside(kernel, high)
    return low, high


def _reached(kernel: Threshold, values: np.ndarray) -> np.ndarray:
    """The output for one value per channel."""
    return kernel.base + (kernel.thresholds <= values[:, None]).sum(axis=1)


def _with_company(needed: np.ndarray, between: list[Kernel]) -> np.ndarray:
    """The channels to keep: those `needed`, and as many others as folding has use for, in each group of a shift."""
    kept, count = needed.copy(), len(needed)
    kept[0] |= not needed.any()
    ends = {end for kernel in between if isinstance(kernel, Shift) for _, end, _ in kernel.groups} | {count}
    for begin, end in pairwise([0, *sorted(ends)]):
        _fill_up(kept[begin:end], gcd(_STEP, *ends))
    # Each group has a multiple of that step left to give: it goes whole, or in steps.
    _fill_up(kept, gcd(_STEP, count))
    return kept


def _fill_up(kept: np.ndarray, step: int) -> None:
    """Keep the first of the others too, until a multiple of `step` is kept."""
    kept[np.flatnonzero(~kept)[: -int(kept.sum()) % step]] = True


def _rewired(dataflow: Dataflow, kernels: dict[str, Kernel]) -> Dataflow:
    """`dataflow` of these kernels, each of which takes what the ones before it give: fewer products need fewer bits."""
    made: dict[str, Kernel] = {}
    for name, kernel in kernels.items():
        links = dataflow.links_into(name)
        streams = (
            dataflow.pixels if at.producer == PIXELS else made[at.producer].outputs[at.port] for at in links
        )
        made[name] = kernel.taking(*streams)
    return replace(dataflow, kernels=tuple(made.values()))
