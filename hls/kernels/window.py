# SPDX-License-Identifier: Apache-2.0
"""Sliding window (im2col): the pixels under the kernel, with padding and stride, sent once per fold of the rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Buffer, Instance
from framegate.hls.kernels._timing import Bursts, Timing, serial
from framegate.hls.stream import Stream

_NEVER_WAITS = np.iinfo(np.int64).min // 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Window(Buffer):
    """Output pixel (y, x) has the channels of the kernel_h x kernel_w pixels under it, ordered (ky, kx, channel).

    For a depthwise product the order is (block, ky, kx, channel of the block), with blocks of `lanes` channels.

    A line buffer keeps kernel_h + stride_h rows: the rows of the current output row and the next ones to come.
    """

    REGISTERED_READY: ClassVar[bool] = True
    READY_HOPS: ClassVar[int] = 3  # counters and an adder lie behind its reader's
    PARTS = ("fg_ring_counter", "fg_ram")
    LATENCY = 3  # from a beat's read to its offer

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]  # top, left, bottom, right
    pad_value: int = 0
    repeat: int = 1
    depthwise: bool = False

    def __post_init__(self) -> None:
        top, left, bottom, right = self.padding
        if (
            top >= self.kernel[0]
            or bottom >= self.kernel[0]
            or left >= self.kernel[1]
            or right >= self.kernel[1]
        ):
            raise UsageError(
                f"{self.name}: padding {self.padding} must be smaller than the kernel {self.kernel}"
            )
        if min(self._out_shape()) < 1:
            raise UsageError(
                f"{self.name}: kernel {self.kernel} does not fit {self.input.height}x{self.input.width} pixels"
            )
        if self.depthwise and self.repeat != 1:
            raise UsageError(f"{self.name}: a depthwise window is sent once, not {self.repeat} times")
        if not self.input.low <= self.pad_value <= self.input.high:
            raise UsageError(
                f"{self.name}: padding value {self.pad_value} does not fit {self.input.bits} bits"
            )

    @property
    def rows(self) -> int:
        """Rows that the line buffer keeps."""
        return self.kernel[0] + self.stride[0]

    @property
    def burst(self) -> int:
        """Beats (and cycles) of one output pixel with its repeats."""
        return self.repeat * self.outputs[0].beats_per_pixel

    @property
    def outputs(self) -> tuple[Stream, ...]:
        height, width = self._out_shape()
        channels = self.kernel[0] * self.kernel[1] * self.input.channels
        return (replace(self.input, height=height, width=width, channels=channels, repeat=self.repeat),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self.padding
        pads = ((0, 0), (0, 0), (top, bottom), (left, right), (0, 0))
        padded = np.pad(values[0], pads, constant_values=self.pad_value)
        views = np.lib.stride_tricks.sliding_window_view(padded, self.kernel, axis=(2, 3))
        picked = views[:, :, :: self.stride[0], :: self.stride[1]].transpose(0, 1, 2, 3, 5, 6, 4)
        if self.depthwise:
            blocks = picked.reshape(*picked.shape[:6], -1, self.input.lanes)
            picked = blocks.transpose(0, 1, 2, 3, 6, 4, 5, 7)
        return picked.reshape(*picked.shape[:4], -1)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        """Exact: the hardware does each thing in the first cycle in which these rules allow it.

        When a beat is there. An output pixel begins when all input pixels under its window are. They come in raster
        order, so it is enough that the last of them is: the one in row min(top + kernel_h, height) - 1 (`_lines`) and
        column min(left + kernel_w, width) - 1 (`_last_column`), whose last beat was taken at cycle `written`. A word is
        read the cycle after its write or later. From then on nothing is missing, so the `burst` beats of the output
        pixel are read in as many cycles without a pause, one output pixel after the other:

            start[i] = max(written[i] + 1, start[i-1] + burst)

        Its first beat is offered LATENCY cycles after its read.

        When a place is free. The buffer has places for `rows` rows, and row n takes that of row n - rows. A row goes
        when an output line is done after which no line needs it: the next line's window begins below it, or the frame
        is over (`_lines`). That is the case from the cycle after the line's last read on, start of its last pixel +
        burst, which is release[n] of the row n that takes the place. Beats are taken in order, one a cycle:

            taken[w] = max(offered[w], release[row of w], taken[w-1] + 1)

        The two rules need each other's times, but never later ones: the line that frees the place of row n needs rows
        before n only, as its window has kernel_h < rows rows. So lines are done in order, each after the rows that it
        needs, and nothing is computed twice.
        """
        height, row_beats = self.input.height, self.input.width * self.input.beats_per_pixel
        offered = arrivals[0].reshape(-1, row_beats)
        taken = np.empty_like(offered)
        release = np.full(len(offered) + self.rows, _NEVER_WAITS)  # when the row before that one may go
        starts = np.empty(
            (len(offered) // height * self._out_shape()[0], self._out_shape()[1]), dtype=np.int64
        )
        row, free = 0, np.int64(_NEVER_WAITS)  # the next row to take; the cycle from which the reader is
        for line, (needs, drops_to) in enumerate(self._lines(len(offered))):
            while row <= needs:
                row = self._take_row(row, offered, taken, release)
            written = taken[needs].reshape(-1, self.input.beats_per_pixel)[self._last_column(), -1]
            starts[line] = serial(np.maximum(written + 1, free), gap=self.burst)
            free = starts[line, -1] + self.burst  # also when the rows go that no line to come needs
            dropped = release[: drops_to + self.rows]
            dropped[self.rows :][dropped[self.rows :] == _NEVER_WAITS] = free
        while row < len(offered):
            row = self._take_row(row, offered, taken, release)
        return Timing((taken.reshape(-1),), Bursts(starts.reshape(-1) + self.LATENCY, self.burst))

    def cost(self) -> Cost:
        memory, beat = self._memory_cost(), self.input.beat_bits
        return memory + Cost(lut=270 + beat, ff=120 + (3 if memory.lut else 1) * beat)

    def instance(self) -> Instance:
        height, width = self._out_shape()
        parameters: dict[str, int | str] = {
            "LANES": self.input.lanes,
            "BITS": self.input.bits,
            "BEATS": self.input.beats_per_pixel,
            "HEIGHT": self.input.height,
            "WIDTH": self.input.width,
            "OUT_HEIGHT": height,
            "OUT_WIDTH": width,
            "KERNEL_H": self.kernel[0],
            "KERNEL_W": self.kernel[1],
            "STRIDE_H": self.stride[0],
            "STRIDE_W": self.stride[1],
            "PAD_TOP": self.padding[0],
            "PAD_LEFT": self.padding[1],
            "PAD_VALUE": self.pad_value & ((1 << self.input.bits) - 1),
            "REPEAT": self.repeat,
            "ROWS": self.rows,
            **self._memory_parameters(),
        }
        if self.depthwise:
            parameters |= {"REPEAT": self.input.beats_per_pixel, "DEPTHWISE": 1}
        return Instance("fg_window", parameters)

    @property
    def words(self) -> int:
        """Beats of the line buffer."""
        return self.rows * self.input.width * self.input.beats_per_pixel

    def _out_shape(self) -> tuple[int, int]:
        top, left, bottom, right = self.padding
        height = (self.input.height + top + bottom - self.kernel[0]) // self.stride[0] + 1
        width = (self.input.width + left + right - self.kernel[1]) // self.stride[1] + 1
        return height, width

    def _lines(self, rows: int) -> Iterator[tuple[int, int]]:
        """Per output row: the last input row that it needs, and the first that is still wanted after it."""
        height, out_height = self.input.height, self._out_shape()[0]
        for frame in range(rows // height):
            for line in range(out_height):
                top = line * self.stride[0] - self.padding[0]
                needs = min(top + self.kernel[0], height) - 1
                wanted = max(0, top + self.stride[0]) if line + 1 < out_height else height
                yield frame * height + needs, frame * height + wanted

    def _last_column(self) -> np.ndarray:
        """Per output pixel of a row: the last input column under its window."""
        left = np.arange(self._out_shape()[1]) * self.stride[1] - self.padding[1]
        return np.minimum(left + self.kernel[1], self.input.width) - 1

    def _take_row(self, row: int, offered: np.ndarray, taken: np.ndarray, release: np.ndarray) -> int:
        """Take one input row: in order, and not before the row whose place it takes is released. Return the next."""
        earliest = np.maximum(offered[row], release[row])
        if row:
            earliest[0] = max(earliest[0], taken[row - 1, -1] + 1)
        taken[row] = serial(earliest)
        return row + 1
