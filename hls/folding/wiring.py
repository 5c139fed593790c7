# SPDX-License-Identifier: Apache-2.0
"""From folded kernels to a wired dataflow: lanes are matched, forks and pauses stand where they are needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import gcd, lcm

from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link
from framegate.hls.folding.choices import Fold, is_adaptable, layers_of, reader_of, rebuilt
from framegate.hls.kernels import Depthwise, FrameGather, Kernel, MatVec, Slide, Width, Window
from framegate.hls.stream import Stream, divisors

_MOST_PIXEL_LANES = 16


def connect(dataflow: Dataflow, folds: Mapping[str, Fold]) -> Dataflow:
    """Apply the folds, let every other kernel take the lanes it is offered, convert widths where they differ.

    Pixels enter whole: all channels on one beat.
    """
    dataflow = replace(dataflow, pixels=replace(dataflow.pixels, lanes=_pixel_lanes(dataflow.pixels)))
    fold_of = {
        kernel.name: folds[layer[-1].name]
        for layer in layers_of(dataflow)
        for kernel in layer
        if layer[-1].name in folds
    }  # also of the kernels that are tied to a product
    wiring = _Wiring(dataflow, interval=max(fold.cycles for fold in folds.values()))
    for kernel in dataflow.kernels:
        wiring.add(kernel, fold_of.get(kernel.name))
    connected = replace(dataflow, kernels=tuple(wiring.kernels.values()), links=tuple(wiring.links))
    return _paused(connected).check("folding")


def _paused(dataflow: Dataflow) -> Dataflow:
    """Every frame gather no faster than the window behind it.

    At the end of a clip it has frames to send that it need not wait for, and at a stride it sends one in a burst: what
    its reader cannot take at once then waits before it, where it is not yet there once per tap.
    """
    kernels = []
    for kernel in dataflow.kernels:
        reader = _window_behind(dataflow, kernel) if isinstance(kernel, FrameGather) else None
        if isinstance(kernel, FrameGather) and reader is not None:
            # Not all that the reader leaves: what is as slow as the slowest kernel never catches up.
            spare = max(0, reader.cycles_per_clip * 15 // 16 - kernel.cycles_per_clip)
            kernel = replace(kernel, pause=spare // (kernel.outputs[0].frames * kernel.outputs[0].pixels))
        kernels.append(kernel)
    return replace(dataflow, kernels=tuple(kernels))


def _window_behind(dataflow: Dataflow, kernel: Kernel) -> Window | Slide | None:
    """The window that reads what a kernel sends, perhaps on other lanes."""
    reader = reader_of(dataflow, kernel)
    if isinstance(reader, Width):
        return _window_behind(dataflow, reader)
    return reader if isinstance(reader, Window | Slide) else None


def _pixel_lanes(pixels: Stream) -> int:
    """All channels on one beat, unless they are too many for pins."""
    return max(lanes for lanes in divisors(pixels.channels) if lanes <= _MOST_PIXEL_LANES)


@dataclass
class _Wiring:
    """The folded dataflow in the making."""

    unfolded: Dataflow
    interval: int  # cycles per frame that the folds leave
    kernels: dict[str, Kernel] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)

    def add(self, kernel: Kernel, fold: Fold | None) -> None:
        """Append `kernel` behind what converts its inputs to the lanes that it wants."""
        feeds = self.unfolded.links_into(kernel.name)
        offered = [self._offered(link) for link in feeds]
        lanes = _lanes_wanted(kernel, offered, fold)
        ends: list[tuple[str, int]] = []
        for slot, link in enumerate(feeds):
            producer, port = link.producer, link.port
            for step in self._steps(offered[slot], lanes):
                width = Width(name=_width_name(kernel, slot, step, lanes), input=offered[slot], lanes=step)
                self.links.append(Link(producer, port, width.name, 0))
                self.kernels[width.name] = width
                producer, port, offered[slot] = width.name, 0, width.outputs[0]
            ends.append((producer, port))
        first, *others = self._made(kernel, offered, fold)
        self.links += [Link(producer, port, first.name, slot) for slot, (producer, port) in enumerate(ends)]
        self.links += [Link(before.name, 0, behind.name, 0) for before, behind in pairwise([first, *others])]
        self.kernels |= {made.name: made for made in (first, *others)}

    def _made(self, kernel: Kernel, offered: list[Stream], fold: Fold | None) -> list[Kernel]:
        """The kernel for its inputs and its fold; two for a window of several taps per cycle."""
        before = self.unfolded.links_into(kernel.name)[0].producer
        window = self.unfolded.kernel(before) if before != PIXELS else None
        made = rebuilt(kernel, offered, self._pe(kernel, fold), fold.taps if fold else 1, window)
        return [
            replace(part, multiply=fold.multiply) if fold and isinstance(part, MatVec | Depthwise) else part
            for part in made
        ]

    def _offered(self, link: Link) -> Stream:
        """What the already connected producer drives."""
        if link.producer == PIXELS:
            return self.unfolded.pixels
        return self.kernels[link.producer].outputs[link.port]

    def _steps(self, stream: Stream, wanted: int) -> list[int]:
        """Lane counts to convert to, one after the other, each a whole ratio: through few lanes, or if that is too
        slow through many.
        """
        if stream.lanes == wanted:
            return []
        if stream.lanes % wanted == 0 or wanted % stream.lanes == 0:
            return [wanted]
        few = replace(stream, lanes=gcd(stream.lanes, wanted))
        fast = few.beats <= self.interval * self.unfolded.pixels.frames
        return [few.lanes if fast else lcm(stream.lanes, wanted), wanted]

    def _pe(self, kernel: Kernel, fold: Fold | None) -> int | None:
        """Rows per cycle of a matrix product, also for the window before it; None for any other kernel."""
        if isinstance(kernel, Window) and not kernel.depthwise:
            return fold.pe if fold else None
        return fold.pe if fold and isinstance(kernel, MatVec) else None


def _lanes_wanted(kernel: Kernel, offered: list[Stream], fold: Fold | None) -> int:
    lanes = gcd(*(stream.lanes for stream in offered))
    if is_adaptable(kernel):
        taken = kernel.lanes_for(lanes)
        return taken if fold is None else max(taken, fold.lanes)  # as offered, if that is fast enough
    if fold is None:
        return lanes
    return fold.lanes * fold.taps if isinstance(kernel, MatVec | Depthwise) else fold.lanes


def _width_name(kernel: Kernel, slot: int, step: int, lanes: int) -> str:
    port = f"_{kernel.ports[slot]}" if len(kernel.inputs) > 1 else ""
    return f"{kernel.name}{port}_{'width' if step == lanes else 'split'}"
