# SPDX-License-Identifier: Apache-2.0
"""Hand-made dataflows with random integers: a residual network with a temporal shift."""

from dataclasses import replace

import numpy as np
from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link
from framegate.hls.folding.choices import Fold
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import (
    Add,
    Concat,
    Cost,
    Decide,
    Depthwise,
    Fork,
    Kernel,
    MatVec,
    Mean,
    Pool,
    Shift,
    Threshold,
    Window,
    gather_kernel,
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

    def gather(
        self,
        name: str,
        source: Output,
        offsets: tuple[int, ...],
        *,
        stride_t: int = 1,
        depthwise: bool = False,
    ) -> Output:
        """All channels of the frames at `offsets`."""
        taken = self.stream(source)
        groups = tuple((0, taken.channels, offset) for offset in offsets)
        kernel = gather_kernel(name=name, input=taken, groups=groups, stride_t=stride_t, depthwise=depthwise)
        return self.add(kernel, source)

    def pool(self, name: str, source: Output, size: int) -> Output:
        """The largest of each square of `size` pixels."""
        window = Window(
            name=f"{name}_window",
            input=self.stream(source),
            kernel=(size, size),
            stride=(size, size),
            padding=(0, 0, 0, 0),
            depthwise=True,
        )
        kernel = Pool(name=name, input=window.outputs[0], taps=size * size)
        return self.add(kernel, self.add(window, source))

    def depthwise(
        self, name: str, source: Output, size: int, stride: int, padding: tuple[int, ...], frames: int = 1
    ) -> Output:
        """A depthwise convolution with random weights, over so many gathered frames."""
        taken = self.stream(source)
        window = Window(
            name=f"{name}_window",
            input=taken,
            kernel=(size, size),
            stride=(stride, stride),
            padding=padding,
            depthwise=True,
        )
        weights = self._rng.integers(-7, 8, (taken.channels // frames, size * size * frames))
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
    long = net.add(Shift(name=f"{name}_shift", input=taken, groups=groups), fork)
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
        x = net.add(Shift(name=f"{name}_shift", input=taken, groups=groups), x)
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


def two_rates(*, frames: int = 8, size: int = 8, ratio: int = 4, causal: bool = False) -> Dataflow:
    """A slow pathway of every `ratio`-th frame, a fast one with temporal taps, a lateral connection, a pooled depthwise
    3-D convolution behind them, and a head on the means of both; not yet folded.
    """
    pixels = Stream(frames=frames, height=size, width=size, channels=3, bits=8, signed=False, lanes=3)
    net = Builder(pixels, seed=3)
    three, five = ((-2, -1, 0), (-4, -3, -2, -1, 0)) if causal else ((-1, 0, 1), (-2, -1, 0, 1, 2))
    fork = net.add(Fork(name="pixels_fork", input=net.stream((PIXELS, 0))), (PIXELS, 0))
    slow = net.gather("slow_frames", fork, (0,), stride_t=ratio)
    slow = net.activation("slow_act", net.conv("slow", slow, 8, 3, 2, 1, bits=8))
    fast = net.conv("fast", net.gather("fast_gather", (fork[0], 1), three), 4, 3, 2, 1, bits=6)
    split = net.add(
        Fork(name="fast_fork", input=net.stream(net.activation("fast_act", fast))), ("fast_act", 0)
    )
    lateral = net.conv("lateral", net.gather("lateral_gather", split, five, stride_t=ratio), 4, 1, 1, 0)
    lateral = net.activation("lateral_act", lateral)
    both = Concat(name="concat", left=net.stream(slow), right=net.stream(lateral))
    slow = net.pool("pool", net.add(both, slow, lateral), 2)
    slow = net.gather("depthwise_gather", slow, three, depthwise=True)
    slow = net.activation("depthwise_act", net.depthwise("depthwise", slow, 3, 1, (1, 1, 1, 1), frames=3))
    means = []
    for name, source in (("slow", slow), ("fast", (split[0], 1))):
        x = net.add(Mean(name=f"{name}_mean", input=net.stream(source), over="frame"), source)
        x = net.add(Mean(name=f"{name}_clip_mean", input=net.stream(x), over="clip"), x)
        means.append(net.activation(f"{name}_mean_act", x))
    features = Concat(name="features", left=net.stream(means[0]), right=net.stream(means[1]))
    x = net.conv("head", net.add(features, *means), 3, 1, 1, 0, bits=8)
    net.add(Decide(name="decide", input=net.stream(x), positive=2), x)
    return net.dataflow(("a", "b", "c"))


def folded(dataflow: Dataflow, **choices: tuple[int, int]) -> Dataflow:
    """`dataflow` with the (PE, SIMD) named per layer, whatever the cost model thinks of them."""
    return connect(dataflow, {name: Fold(simd, pe, 10**9, Cost()) for name, (pe, simd) in choices.items()})


def folded_residual(*, frames: int = 3, size: int = 8) -> Dataflow:
    """The residual network at a middling rate, with FIFOs before a shift, a window and an addition."""
    return folded(
        residual(frames=frames, size=size),
        stem=(8, 1),
        stage1_conv1=(2, 4),
        stage1_conv2=(2, 4),
        stage1_short=(1, 1),
        head=(1, 1),
    )


def random_pixels(dataflow: Dataflow, clips: int, seed: int = 1) -> np.ndarray:
    """Noise (clips, T, H, W, 3), uint8."""
    return np.random.default_rng(seed).integers(0, 256, (clips, *dataflow.pixels.shape), dtype=np.uint8)
