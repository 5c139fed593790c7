# SPDX-License-Identifier: Apache-2.0
"""Products that work on several taps per cycle, and what their window is made of then."""

from dataclasses import replace
from math import prod

import numpy as np
from framegate.hls.kernels import Depthwise, Kernel, MatVec, Slide, Window
from framegate.hls.stream import Stream


def taps_at_once(window: Window) -> list[int]:
    """How many taps a beat can have: one, a row of them, or all."""
    return sorted({1, window.kernel[1], prod(window.kernel)}) if window.kernel[1] > 1 else [1]


def parallel_window(window: Window, taken: Stream, taps: int, repeat: int) -> list[Kernel]:
    """What sends so many taps of `window`, more than one, per beat: a kernel for the rows, one for the columns."""
    (height, width), (down, right) = window.kernel, window.stride
    top, left, bottom, behind = window.padding
    rows, made = f"{window.name}_rows", list[Kernel]()
    if taps > width:
        made.append(
            Slide(
                name=rows,
                input=taken,
                axis="rows",
                kernel=height,
                stride=down,
                padding=(top, bottom),
                pad_value=window.pad_value,
            )
        )
    elif height > 1 or down > 1:
        column = replace(window, kernel=(height, 1), stride=(down, 1), padding=(top, 0, bottom, 0))
        made.append(replace(column, name=rows, input=taken, repeat=1))
    columns = Slide(
        name=window.name,
        input=made[-1].outputs[0] if made else taken,
        axis="columns",
        kernel=width,
        stride=right,
        padding=(left, behind),
        pad_value=window.pad_value,
        repeat=repeat,
    )
    return [*made, columns]


def weights_in_order(product: MatVec | Depthwise, window: Kernel | None, taps: int) -> np.ndarray:
    """Its weights in the order in which `parallel_window` sends the taps: all of a window by columns, else by rows."""
    if not isinstance(window, Window) or taps <= window.kernel[1]:
        return product.weights
    rows, kernel = len(product.weights), window.kernel
    channels = -1 if isinstance(product, MatVec) else 1  # of each tap
    frames = 1 if isinstance(product, MatVec) else -1
    return product.weights.reshape(rows, frames, *kernel, channels).swapaxes(2, 3).reshape(rows, -1)
