# SPDX-License-Identifier: Apache-2.0
"""Random small dataflow graphs with random foldings, for hypothesis."""

from dataclasses import dataclass

from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.folding.choices import _choices, layers_of, of_luts
from framegate.hls.folding.wiring import connect
from framegate.hls.kernels import Add, Concat, Decide, Fork, Mean
from framegate.hls.stream import Stream
from hypothesis import reject
from hypothesis import strategies as st

from tests.dataflows import Builder, Output

_LONGEST = 6000  # cycles of a clip: what an event-driven simulator does in a second or two


@dataclass
class _Draft:
    """A graph in the making: draws, and what exists so far."""

    draw: st.DrawFn
    net: Builder
    count: int = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def conv(self, x: Output, channels: int, stride: int) -> Output:
        """A convolution of 1, 2 or 3 pixels that keeps the size (up to the stride), and its activation."""
        size = self.draw(st.sampled_from([1, 3]))
        name = self.name("conv")
        x = self.net.conv(name, x, channels, size, stride, size // 2)
        return self.net.activation(f"{name}_act", x, per_channel=self.draw(st.booleans()))

    def valid(self, x: Output) -> Output:
        """A convolution without padding, of any size that fits."""
        taken = self.net.stream(x)
        size = self.draw(st.integers(1, min(3, taken.height, taken.width)))
        name = self.name("valid")
        x = self.net.conv(name, x, self.draw(st.integers(1, 6)), size, self.draw(st.integers(1, 3)), 0)
        return self.net.activation(f"{name}_act", x)

    def depthwise(self, x: Output) -> Output:
        size, name = self.draw(st.integers(2, 3)), self.name("depthwise")
        padding = tuple(self.draw(st.integers(0, size - 1)) for _ in range(4))
        taken = self.net.stream(x)
        if min(taken.height + padding[0] + padding[2], taken.width + padding[1] + padding[3]) < size:
            return x
        x = self.net.depthwise(name, x, size, self.draw(st.integers(1, 2)), padding)
        return self.net.activation(f"{name}_act", x)

    def pool(self, x: Output) -> Output:
        taken = self.net.stream(x)
        return self.net.pool(self.name("pool"), x, 2) if min(taken.height, taken.width) >= 2 else x

    def gather(self, x: Output) -> Output:
        """Some frames side by side, perhaps of every second frame only."""
        frames = self.net.stream(x).frames
        offsets = self.draw(
            st.lists(st.integers(1 - frames, frames - 1), min_size=1, max_size=3, unique=True)
        )
        stride = self.draw(st.integers(1, min(2, frames)))
        x = self.net.gather(self.name("gather"), x, tuple(sorted(offsets)), stride_t=stride)
        return self.conv(x, self.draw(st.integers(1, 4)), 1)

    def fork(self, x: Output) -> tuple[Output, Output]:
        fork = self.net.add(Fork(name=self.name("fork"), input=self.net.stream(x)), x)
        return fork, (fork[0], 1)

    def residual(self, x: Output) -> Output:
        """Two branches, one longer than the other or empty, added."""
        channels, stride = self.net.stream(x).channels, self.draw(st.integers(1, 2))
        left, right = self.fork(x)
        left = self.conv(left, channels, stride)
        if self.draw(st.booleans()):
            left = self.conv(left, channels, 1)
        if stride > 1 or self.draw(st.booleans()):
            right = self.conv(right, channels, stride)
        if self.draw(st.booleans()):
            left, right = right, left
        name = self.name("add")
        x = self.net.add(
            Add(name=name, left=self.net.stream(left), right=self.net.stream(right)), left, right
        )
        return self.net.activation(f"{name}_act", x)

    def concat(self, x: Output) -> Output:
        """Two branches of different depth side by side."""
        left, right = self.fork(x)
        left = self.conv(left, self.draw(st.integers(1, 4)), 1)
        both = Concat(name=self.name("concat"), left=self.net.stream(left), right=self.net.stream(right))
        return self.net.add(both, left, right)


@st.composite
def graphs(draw: st.DrawFn) -> Dataflow:
    """A graph of one to four random parts between pixels and decision, with a random choice for each layer."""
    height, width, frames = draw(st.integers(2, 7)), draw(st.integers(2, 7)), draw(st.integers(1, 4))
    pixels = Stream(frames=frames, height=height, width=width, channels=3, bits=8, signed=False, lanes=3)
    net = Builder(pixels, draw(st.integers(0, 1000)))
    draft = _Draft(draw, net)
    x = draft.conv((PIXELS, 0), draw(st.integers(2, 6)), draw(st.integers(1, 2)))
    parts = ("residual", "concat", "gather", "valid", "depthwise", "pool")
    for part in draw(st.lists(st.sampled_from(parts), min_size=1, max_size=4)):
        x = getattr(draft, part)(x)
    x = net.add(Mean(name="pixels_mean", input=net.stream(x), over="frame"), x)
    x = net.conv("head", x, 3, 1, 1, 0, bits=8)
    x = net.add(Mean(name="frames_mean", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x), positive=1), x)
    return _folded(draw, net.dataflow(("a", "b", "c")))


def _folded(draw: st.DrawFn, dataflow: Dataflow) -> Dataflow:
    folds = {}
    for layer in layers_of(dataflow):
        quick = [
            option
            for option in _choices(dataflow, layer)
            if option.cycles * dataflow.pixels.frames < _LONGEST
        ]
        if not quick:
            reject()
        fold = draw(st.sampled_from(quick))
        folds[layer[-1].name] = of_luts(fold) if fold.in_luts is not None and draw(st.booleans()) else fold
    return connect(dataflow, folds)
