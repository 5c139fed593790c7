# SPDX-License-Identifier: Apache-2.0
"""Sliding window along one axis with all its taps on one beat, for products that work on several taps per cycle."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._memory import ram_blocks, ram_slice
from framegate.hls.kernels._timing import Beats, Timing, each_beat, serial
from framegate.hls.stream import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Slide(Stage):
    """Each beat has `kernel` taps: the same beat of neighbouring steps, which are a frame's rows or a row's pixels.

    The order inside a pixel is (block, tap, lane), with blocks of `input.lanes` channels. Two of them, one per axis,
    send a whole window per cycle.

    With `repeat` > 1 each pixel is sent that many times. Each step lies in a bank of its own; a beat goes when the last
    tap has read it.
    """

    REGISTERED_READY: ClassVar[bool] = True
    READY_HOPS: ClassVar[int] = 3  # as of a window
    MOVES: ClassVar[bool] = True
    BURSTS: ClassVar[bool] = True
    PARTS = ("fg_ring_counter", "fg_ram")
    LATENCY = 3  # from a beat's read to its offer

    axis: Literal["rows", "columns"]
    kernel: int
    stride: int
    padding: tuple[int, int]  # before the first step, behind the last
    pad_value: int = 0
    repeat: int = 1

    def __post_init__(self) -> None:
        if max(self.padding) >= self.kernel:
            raise UsageError(
                f"{self.name}: padding {self.padding} must be smaller than the kernel {self.kernel}"
            )
        if self.steps < 1:
            raise UsageError(f"{self.name}: kernel {self.kernel} does not fit {self.length} {self.axis}")
        if self.input.repeat != 1:
            raise UsageError(f"{self.name}: its pixels must be sent once, not {self.input.repeat} times")
        if self.axis == "rows" and self.repeat != 1:
            raise UsageError(f"{self.name}: a row is sent once, not {self.repeat} times")
        if not self.input.low <= self.pad_value <= self.input.high:
            raise UsageError(
                f"{self.name}: padding value {self.pad_value} does not fit {self.input.bits} bits"
            )

    @property
    def length(self) -> int:
        """Steps of a pass: rows of a frame, or pixels of a row."""
        return self.input.height if self.axis == "rows" else self.input.width

    @property
    def steps(self) -> int:
        """Steps that are made of a pass."""
        return (self.length + sum(self.padding) - self.kernel) // self.stride + 1

    @property
    def inner(self) -> int:
        """Beats of a step."""
        return self.input.beats_per_pixel * (self.input.width if self.axis == "rows" else 1)

    @property
    def banks(self) -> int:
        """Steps that are kept: with those to come where a step is read again, or is so short that a beat's way from its
        write to its read and to the next write would take longer.
        """
        return self.kernel + (self.stride if self.repeat > 1 or self.inner == 1 else 0)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        height = self.steps if self.axis == "rows" else self.input.height
        width = self.steps if self.axis == "columns" else self.input.width
        channels, lanes = self.kernel * self.input.channels, self.kernel * self.input.lanes
        return (
            replace(
                self.input, height=height, width=width, channels=channels, lanes=lanes, repeat=self.repeat
            ),
        )

    def reference(self, *values: np.ndarray) -> np.ndarray:
        axis = 2 if self.axis == "rows" else 3
        pads = [(0, 0)] * 5
        pads[axis] = self.padding
        padded = np.pad(values[0], pads, constant_values=self.pad_value)
        views = np.lib.stride_tricks.sliding_window_view(padded, self.kernel, axis=axis)
        taken = views.take(np.arange(self.steps) * self.stride, axis=axis)
        blocks = taken.reshape(*taken.shape[:4], -1, self.input.lanes, self.kernel)
        return blocks.swapaxes(5, 6).reshape(*taken.shape[:4], -1)

    def timing(self, *arrivals: Beats) -> Timing:
        """Exact: the hardware does each thing in the first cycle in which these three rules allow it.

        1. A beat is taken when it is offered, at most one a cycle, in order:
           taken[w] = max(offered[w], taken[w-1] + 1).
        2. A beat is read the cycle after the last beat that it needs (`_needs`: the one under the last tap that is not
           padding) was taken, at most one a cycle, in order: read[r] = max(taken[needs[r]] + 1, read[r-1] + 1).
        3. There are places for banks * inner beats. Once read r is done, frees[r] beats in all may have been taken
           (`_frees`), so beat w, the first being beat 0, also waits for the first read r with frees[r] > w:
           taken[w] >= read[r] + 1. The first banks * inner beats wait for none.

        Rule 2 needs `taken`, and rule 3 needs `read`: the times are computed without rule 3, then again with what it
        delays until nothing changes. This ends. A read that frees the place of beat w needs no beat behind
        w - ahead, where ahead = (banks - kernel + 1) * inner: the place is that of a step banks steps before w's, under
        the kernel's first tap, and the last tap lies kernel - 1 steps behind that. So each round makes at least `ahead`
        more beats final than the one before, and all of n are after ceil(n / ahead) rounds; one more sees it. As each
        beat's time follows from times of earlier beats only, there is but one solution.
        """
        offered = each_beat(arrivals[0])
        passes = len(offered) // (self.length * self.inner)
        needs, frees = self._needs(passes), self._frees(passes)
        # The read that must be over before each beat is written; of the first there is none.
        before = np.searchsorted(frees, np.arange(1, len(offered) + 1))
        taken = serial(offered)
        ahead = (self.banks - self.kernel + 1) * self.inner
        for _ in range(-(-len(offered) // ahead) + 1):
            read = serial(taken[needs] + 1)
            free = np.concatenate([read[:1], read + 1])[before]
            again = serial(np.where(before > 0, np.maximum(offered, free), offered))
            if np.array_equal(again, taken):
                return Timing((taken,), read + self.LATENCY)
            taken = again
        raise AssertionError(f"{self.name}: a place is free later than its bound says")

    def _needs(self, passes: int) -> np.ndarray:
        """Per beat read the last beat written that it needs."""
        last = (
            np.minimum(np.arange(self.steps) * self.stride - self.padding[0] + self.kernel, self.length) - 1
        )
        needs = self._beats(passes, last)
        again = np.broadcast_to(needs[:, :, -1:, None], (*needs.shape[:2], self.repeat - 1, self.inner))
        return np.concatenate([needs[:, :, None], again], axis=2).reshape(-1)

    def _frees(self, passes: int) -> np.ndarray:
        """How many beats may be taken by then: from the start, and after each beat read.

        All places, and one more for each beat that no read to come needs: those before the step under the first tap,
        and when it is read for the last time its own beats, one by one as they are read.
        """
        first = np.maximum(np.arange(self.steps) * self.stride - self.padding[0], 0)
        then = np.append(first[1:], self.length)
        grows = (then > first)[None, :, None]
        after = self._beats(passes, first) + 1
        after[..., -1] = self._beats(passes, then)[..., 0]
        none = self._beats(passes, first)[..., :1]
        after = np.where(grows, after, none)
        before = np.broadcast_to(none[..., None], (*after.shape[:2], self.repeat - 1, self.inner))
        after = np.concatenate([before, after[:, :, None]], axis=2)
        return self.banks * self.inner + np.append(0, after.reshape(-1))

    def _beats(self, passes: int, steps: np.ndarray) -> np.ndarray:
        """Numbers (passes, steps, inner) of the beats of these steps of each pass."""
        numbers = np.arange(passes)[:, None] * self.length + steps
        return numbers[:, :, None] * self.inner + np.arange(self.inner)

    def cost(self) -> Cost:
        beat = self.input.beat_bits
        blocks = ram_blocks(self.inner, beat)
        return Cost(
            lut=160 + 2 * self.kernel * beat + (0 if blocks else self.banks * self.inner * beat // 8),
            ff=80 + (0 if blocks else 2 * self.banks * beat) + self.kernel * beat,
            bram=self.banks * blocks,
        )

    def instance(self) -> Instance:
        return Instance(
            "fg_slide",
            {
                "LANES": self.input.lanes,
                "BITS": self.input.bits,
                "INNER": self.inner,
                "LENGTH": self.length,
                "OUT": self.steps,
                "KERNEL": self.kernel,
                "STRIDE": self.stride,
                "PAD": self.padding[0],
                "PAD_VALUE": self.pad_value & ((1 << self.input.bits) - 1),
                "REPEAT": self.repeat,
                "BANKS": self.banks,
                "SLICE": ram_slice(self.inner, self.input.beat_bits),
            },
        )
