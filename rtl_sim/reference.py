# SPDX-License-Identifier: Apache-2.0
"""Integer reference: the dataflow executed kernel by kernel, batched over clips."""

from collections.abc import Iterator

import numpy as np
from framegate.hls.dataflow import PIXELS, Dataflow
from framegate.hls.kernels import Decide


def outputs(dataflow: Dataflow, pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (kernel name, integers (clips, T, H, W, C)) in order, from pixels (clips, T, H, W, 3) 0 … 255.

    A value is dropped as soon as its last reader has it, so that a long batch fits in memory.
    """
    alive: dict[str, np.ndarray] = {PIXELS: pixels.astype(np.int32)}
    readers = {name: len(dataflow.links_from(name)) for name in [PIXELS, *(k.name for k in dataflow.kernels)]}
    for kernel in dataflow.kernels:
        producers = [link.producer for link in dataflow.links_into(kernel.name)]
        result = kernel.reference(*(alive[producer] for producer in producers))
        for producer in producers:
            readers[producer] -= 1
            if not readers[producer]:
                del alive[producer]
        alive[kernel.name] = result
        yield kernel.name, result


def logits(dataflow: Dataflow, pixels: np.ndarray) -> np.ndarray:
    """Integer logits (clips, classes) of pixels (clips, T, H, W, 3) 0 … 255."""
    decided = dataflow.kernels[-1]
    assert isinstance(decided, Decide)
    feeds = dataflow.links_into(decided.name)[0].producer
    return next(value for name, value in outputs(dataflow, pixels) if name == feeds).reshape(len(pixels), -1)
