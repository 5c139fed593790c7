# SPDX-License-Identifier: Apache-2.0
"""Hand-made dataflows with random integers: a residual network with a temporal shift."""

from dataclasses import replace

import numpy as np
from framegate.hls.dataflow import PIXELS, Dataflow, Link
from framegate.hls.folding import Fold, _connect
from framegate.hls.kernels import (
    Add,
    Cost,
    Decide,
    Depthwise,
    Fork,
    FrameGather,
    Kernel,
    MatVec,
    Mean,
    Threshold,
    Window,
)
from framegate.hls.stream import Stream

Output = tuple[str, int]  # kernel and port


class Builder:
    """Appends one kernel after the other; every stream has one lane, as folding expects it."""

    def __init__(self, pixels: Stream, seed: int) -> None:
        self.pixels = pixels
        self.kernels: list[Kernel] = []
        self.links: list[Link] = []
        self._rng = np.random.default_rng(seed)

    def stream(self, source: Output) -> Stream:
        """What `source` gives, on one lane."""
        if source[0] == PIXELS:
            return replace(self.pixels, lanes=1)
        kernel = next(kernel for kernel in self.kernels if kernel.name == source[0])
        return replace(kernel.outputs[source[1]], lanes=1)

    def add(self, kernel: Kernel, *sources: Output) -> Output:
        """Append a kernel that reads `sources`."""
        self.kernels.append(kernel)
        self.links += [Link(*source, kernel.name, slot) for slot, source in enumerate(sources)]
        return kernel.name, 0

    def conv(
        self, name: str, source: Output, channels: int, size: int, stride: int, padding: int, bits: int = 4
    ) -> Output:
        """A square convolution with random weights."""
        window = Window(
            name=f"{name}_window",
            input=self.stream(source),
            kernel=(size, size),
            stride=(stride, stride),
            padding=(padding,) * 4,
            repeat=channels,
        )
        limit = (1 << (bits - 1)) - 1
        weights = self._rng.integers(-limit, limit + 1, (channels, window.outputs[0].channels))
        return self.add(MatVec(name=name, input=window.outputs[0], weights=weights), self.add(window, source))

    def depthwise(
        self, name: str, source: Output, size: int, stride: int, padding: tuple[int, ...]
    ) -> Output:
        """A depthwise convolution with random weights."""
        taken = self.stream(source)
        window = Window(
            name=f"{name}_window",
            input=taken,
            kernel=(size, size),
            stride=(stride, stride),
            padding=padding,
            depthwise=True,
        )
        weights = self._rng.integers(-7, 8, (taken.channels, size * size))
        return self.add(
            Depthwise(name=name, input=window.outputs[0], weights=weights), self.add(window, source)
        )

    def bias(self, name: str) -> None:
        """A random bias for the last kernel, called `name`."""
        product = self.kernels[-1]
        assert isinstance(product, MatVec)
        assert product.name == name
        self.kernels[-1] = replace(product, bias=self._rng.integers(-300, 301, product.rows))

    def activation(self, name: str, source: Output, *, base: int = 0, per_channel: bool = True) -> Output:
        """Random 4-bit thresholds over the middle of the source's range."""
        taken = self.stream(source)
        rows = taken.channels if per_channel else 1
        steps = self._rng.integers(taken.low // 4, taken.high // 4 + 2, (rows, 15))
        return self.add(
            Threshold(name=name, input=taken, thresholds=np.sort(steps, axis=1), bits=4, base=base), source
        )

    def dataflow(self, classes: tuple[str, ...]) -> Dataflow:
        """What was built so far."""
        return Dataflow("hand-made", classes, 0.125, self.pixels, tuple(self.kernels), tuple(self.links))


def residual(
    *, frames: int = 3, size: int = 8, widths: tuple[int, ...] = (8, 8), online: bool = False, seed: int = 0
) -> Dataflow:
    """Stem, one residual stage with a shift per further width, pooling, head and decision; not yet folded."""
    pixels = Stream(frames=frames, height=size, width=size, channels=3, bits=8, signed=False, lanes=3)
    net = Builder(pixels, seed)
    x = net.activation("stem_act", net.conv("stem", (PIXELS, 0), widths[0], 3, 2, 1, bits=8))
    for stage, channels in enumerate(widths[1:], start=1):
        x = _stage(net, f"stage{stage}", x, channels, online)
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.conv("head", x, 3, 1, 1, 0, bits=8)
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x), positive=2), x)
    return net.dataflow(("a", "b", "c"))


def _stage(net: Builder, name: str, x: Output, channels: int, online: bool) -> Output:
    taken = net.stream(x)
    all_, eighth = taken.channels, taken.channels // 8
    ahead = () if online else ((eighth, 2 * eighth, 1),)
    groups = ((0, eighth, -1), *ahead, ((1 + len(ahead)) * eighth, all_, 0))
    fork = net.add(Fork(name=f"{name}_fork", input=taken), x)
    long = net.add(FrameGather(name=f"{name}_shift", input=taken, groups=groups), fork)
    long = net.activation(f"{name}_conv1_act", net.conv(f"{name}_conv1", long, channels, 3, 2, 1))
    long = net.activation(f"{name}_conv2_act", net.conv(f"{name}_conv2", long, channels, 3, 1, 1), base=-8)
    short = net.conv(f"{name}_short", (fork[0], 1), channels, 1, 2, 0)
    short = net.activation(f"{name}_short_act", short, base=-8)
    total = Add(name=f"{name}_add", left=net.stream(long), right=net.stream(short))
    return net.activation(f"{name}_act", net.add(total, long, short), per_channel=False)


def separable(*, frames: int = 3, size: int = 8, widths: tuple[int, ...] = (8, 8, 16)) -> Dataflow:
    """Stem, a shift and two separable convolutions per further width, pooling, head with a bias; not yet folded."""
    pixels = Stream(frames=frames, height=size, width=size, channels=3, bits=8, signed=False, lanes=3)
    net = Builder(pixels, seed=0)
    x = net.activation("stem_act", net.conv("stem", (PIXELS, 0), widths[0], 3, 2, 1, bits=8))
    for number, channels in enumerate(widths[1:], start=1):
        taken, name = net.stream(x), f"block{number}"
        eighth = taken.channels // 8
        groups = ((0, eighth, -1), (eighth, 2 * eighth, 1), (2 * eighth, taken.channels, 0))
        x = net.add(FrameGather(name=f"{name}_shift", input=taken, groups=groups), x)
        padding = (0, 0, 1, 1) if number % 2 else (1, 1, 1, 1)
        x = net.depthwise(f"{name}_depthwise", x, 3, 2 if number % 2 else 1, padding)
        x = net.activation(f"{name}_depthwise_act", x)
        x = net.activation(f"{name}_act", net.conv(f"{name}_pointwise", x, channels, 1, 1, 0))
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.conv("head", x, 3, 1, 1, 0, bits=8)
    net.bias("head")
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x), positive=2), x)
    return net.dataflow(("a", "b", "c"))


def folded(dataflow: Dataflow, **choices: tuple[int, int]) -> Dataflow:
    """`dataflow` with the (PE, SIMD) named per layer, whatever the cost model thinks of them."""
    return _connect(dataflow, {name: Fold(pe, simd, 0, Cost()) for name, (pe, simd) in choices.items()})


def folded_residual() -> Dataflow:
    """The residual network at a middling rate, with FIFOs before a shift, a window and an addition."""
    return folded(
        residual(), stem=(8, 1), stage1_conv1=(2, 4), stage1_conv2=(2, 4), stage1_short=(1, 1), head=(1, 1)
    )


def random_pixels(dataflow: Dataflow, clips: int, seed: int = 1) -> np.ndarray:
    """Noise (clips, T, H, W, 3), uint8."""
    return np.random.default_rng(seed).integers(0, 256, (clips, *dataflow.pixels.shape), dtype=np.uint8)
