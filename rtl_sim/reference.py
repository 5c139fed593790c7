# SPDX-License-Identifier: Apache-2.0
"""Integer reference: the dataflow executed kernel by kernel, batched over clips."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.kernels import (
    Decide,
    Depthwise,
    Kernel,
    MatVec,
    Skid,
    Threshold,
    Window,
)
from torch import Tensor
from torch.nn.functional import conv2d, pad

_BATCH = 8  # clips whose activations stay in the processor's caches


def outputs(dataflow: Dataflow, pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (kernel name, integers (clips, T, H, W, C)) in order, from pixels (clips, T, H, W, 3) 0 … 255."""
    return _execute(dataflow, pixels, lambda kernel, values: kernel.reference(*values))


def logits(dataflow: Dataflow, pixels: np.ndarray) -> np.ndarray:
    """Integer logits (clips, classes) of pixels (clips, T, H, W, 3) 0 … 255.

    The same integers as `outputs`, faster: a window and its product are one convolution. Of a design that runs for
    ever: the last score of each clip from a cleared state.
    """
    last = dataflow.kernels[-1]
    assert isinstance(last, Decide)
    feeds = dataflow.links_into(last.name)[0].producer
    batch = 1 if dataflow.window else _BATCH
    batches = [pixels[start : start + batch] for start in range(0, len(pixels), batch)]

    def scores(clips: np.ndarray) -> np.ndarray:
        return _last_before(feeds, dataflow, dataflow.taken(clips))[-len(clips) :].reshape(len(clips), -1)

    # A batch per core: no step of one waits for the slowest of several cores.
    with _one_thread_each() as threads, ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(scores, batches))
    return np.concatenate(parts) if parts else np.empty((0, len(dataflow.classes)), dtype=np.int32)


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """Keep torch to one core per calling thread; how many it would have used."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _execute(
    dataflow: Dataflow, pixels: np.ndarray, step: Callable[[Kernel, list[np.ndarray]], np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what `step` makes of each kernel's inputs; a value goes as soon as its last reader has it."""
    alive: dict[str, np.ndarray] = {PIXELS: pixels.astype(np.int32)}
    readers = {name: len(dataflow.links_from(name)) for name in [PIXELS, *(k.name for k in dataflow.kernels)]}
    for kernel in dataflow.kernels:
        producers = [link.producer for link in dataflow.links_into(kernel.name)]
        result = step(kernel, [alive[producer] for producer in producers])
        for producer in producers:
            readers[producer] -= 1
            if not readers[producer]:
                del alive[producer]
        alive[kernel.name] = result
        yield kernel.name, result


def _last_before(name: str, dataflow: Dataflow, pixels: np.ndarray) -> np.ndarray:
    windows = _convolutions(dataflow)
    looked_through = {window.name for window in windows.values()}

    def step(kernel: Kernel, values: list[np.ndarray]) -> np.ndarray:
        if kernel.name in looked_through:
            return values[0]
        if isinstance(kernel, MatVec | Depthwise) and kernel.name in windows:
            return _convolve(windows[kernel.name], kernel, values[0])
        if isinstance(kernel, Threshold):
            return _steps(kernel, values[0])
        if kernel.MOVES:
            return kernel.reference(*values)
        return kernel.reference(*(value.astype(np.int32, copy=False) for value in values))

    return next(value for made, value in _execute(dataflow, pixels, step) if made == name)


def _steps(kernel: Threshold, values: np.ndarray) -> np.ndarray:
    """The thresholds' steps as bytes."""
    table, rows, (low, high) = kernel.lookup
    wide = torch.from_numpy(values.astype(np.int32, copy=False))  # bytes could not be cut at these
    places = wide.clamp(low, high) + torch.from_numpy(rows)
    return torch.index_select(torch.from_numpy(table), 0, places.view(-1)).view(values.shape).numpy()


def _convolutions(dataflow: Dataflow) -> dict[str, Window]:
    """The windows that make a convolution with the product behind them, by the name of the product."""
    found = {}
    for window in (kernel for kernel in dataflow.kernels if isinstance(kernel, Window)):
        product = _reader(dataflow, window)
        # Taps of several frames come in an order of their own: see FrameGather.
        by_frame = isinstance(product, Depthwise) and product.taps != math.prod(window.kernel)
        if isinstance(product, MatVec | Depthwise) and not by_frame:
            found[product.name] = window
    return found


def _reader(dataflow: Dataflow, kernel: Kernel) -> Kernel:
    """What reads a kernel's only output, perhaps through a skid buffer."""
    reader = dataflow.kernel(dataflow.links_from(kernel.name)[0].consumer)
    return _reader(dataflow, reader) if isinstance(reader, Skid) else reader


def _convolve(window: Window, product: MatVec | Depthwise, values: np.ndarray) -> np.ndarray:
    """The product of the window of `values` (clips, T, H, W, C): the same integers as the two alone, sooner."""
    if window.kernel == (1, 1) and not any(window.padding):  # torch is slow at leaving out pixels
        values = np.ascontiguousarray(values[:, :, :: window.stride[0], :: window.stride[1]])
        window = replace(window, stride=(1, 1))
    top, left, bottom, right = window.padding
    images = torch.from_numpy(values).flatten(0, 1).permute(0, 3, 1, 2)
    if any(window.padding):
        images = pad(images, (left, right, top, bottom), value=window.pad_value)
    sums = (_bytes if _fits_bytes(window, product) else _floats)(window, product, images)
    integers = sums.permute(0, 2, 3, 1).to(torch.int32).unflatten(0, values.shape[:2]).numpy()
    return product.started(integers) if isinstance(product, MatVec) else integers


def _floats(window: Window, product: MatVec | Depthwise, images: Tensor) -> Tensor:
    """The convolution on the float type that holds every partial sum of it exactly."""
    exact = torch.float32 if product.exact_type is np.float32 else torch.float64
    groups = product.channels if isinstance(product, Depthwise) else 1
    return conv2d(
        images.to(exact), _filters(product, window.kernel).to(exact), stride=window.stride, groups=groups
    )


def _fits_bytes(window: Window, product: MatVec | Depthwise) -> bool:
    """Whether a processor's multiplications of bytes are exact: unsigned values by signed weights, a byte each, the sum
    of two products in 16 bits.
    """
    low, high = int(product.weights.min()), int(product.weights.max())
    return (
        isinstance(product, MatVec)
        and hasattr(torch.ops.onednn, "qconv2d_pointwise")
        and not window.input.signed
        and window.input.high < 1 << 8
        and low >= -(1 << 7)
        and high < 1 << 7
        and 2 * window.input.high * max(-low, high) < 1 << 15
        and product.exact_type is np.float32
    )


def _bytes(window: Window, product: MatVec | Depthwise, images: Tensor) -> Tensor:
    """The convolution by oneDNN's instructions for bytes, which sum up in 32 bits; four times as fast as floats."""
    one, zero, stride = 1.0, 0, list(window.stride)
    scales, filters = _packed(product, window.kernel, window.stride)
    return torch.ops.onednn.qconv2d_pointwise(
        images.to(torch.uint8), one, zero, filters, scales, None, None, stride, _NO_PADDING, _DENSE, 1,
        one, zero, torch.float32, "none", [], "",
    )  # fmt: skip


_NO_PADDING, _DENSE = [0, 0], [1, 1]


@lru_cache(maxsize=256)
def _packed(
    product: MatVec | Depthwise, kernel: tuple[int, int], stride: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Scales of 1, and the filters as oneDNN wants to have them."""
    scales, filters = torch.ones(len(product.weights)), _filters(product, kernel).to(torch.int8)
    return scales, torch.ops.onednn.qconv_prepack(
        filters, scales, 1.0, 0, list(stride), _NO_PADDING, _DENSE, 1, None
    )


def _filters(product: MatVec | Depthwise, kernel: tuple[int, int]) -> Tensor:
    """The weights as torch has them: (rows, channels, kernel_h, kernel_w)."""
    filters = product.weights.reshape(len(product.weights), *kernel, -1)
    return torch.from_numpy(filters).permute(0, 3, 1, 2)
