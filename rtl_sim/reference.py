# SPDX-License-Identifier: Apache-2.0
"""Integer reference: the dataflow executed kernel by kernel, batched over clips."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from framegate.hls.dataflow import PIXELS, Dataflow
from framegate.hls.kernels import Decide, Depthwise, Kernel, MatVec, Skid, Window
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
    parts = [_last_before(feeds, dataflow, dataflow.taken(batch))[-len(batch) :] for batch in batches]
    parts = [part.reshape(len(part), -1) for part in parts]
    return np.concatenate(parts) if parts else np.empty((0, len(dataflow.classes)), dtype=np.int32)


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
        return kernel.reference(*values)

    return next(value for made, value in _execute(dataflow, pixels, step) if made == name)


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
    """The product of the window of `values` (clips, T, H, W, C), on the same exact type as the product alone."""
    exact = product.exact_type
    top, left, bottom, right = window.padding
    images = torch.from_numpy(values.astype(exact)).flatten(0, 1).permute(0, 3, 1, 2)
    if any(window.padding):
        images = pad(images, (left, right, top, bottom), value=window.pad_value)
    filters = product.weights.reshape(len(product.weights), *window.kernel, -1).astype(exact)
    groups = product.channels if isinstance(product, Depthwise) else 1
    weights = torch.from_numpy(filters).permute(0, 3, 1, 2)
    sums = conv2d(images, weights, stride=window.stride, groups=groups)
    integers = sums.permute(0, 2, 3, 1).to(torch.int32).unflatten(0, values.shape[:2]).numpy()
    return product.started(integers) if isinstance(product, MatVec) else integers
