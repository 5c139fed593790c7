# SPDX-License-Identifier: Apache-2.0
"""Frame gather: channels of past, present and future frames side by side (the temporal shift of TSM)."""

from dataclasses import dataclass
from math import gcd

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._kernel import Cost, Instance, Stage, Timing, block_rams, pack, serial


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameGather(Stage):
    """Output frame t has channels begin … end-1 of input frame t+offset, per group; zeros outside the clip.

    The groups tile the channels in order. Lin et al., TSM, ICCV 2019.
    """

    groups: tuple[tuple[int, int, int], ...]  # (channel begin, channel end, frame offset)

    def __post_init__(self) -> None:
        ends = [0, *(end for _, end, _ in self.groups)]
        if [begin for begin, _, _ in self.groups] != ends[:-1] or ends[-1] != self.input.channels:
            raise UsageError(
                f"{self.name}: groups {self.groups} do not tile {self.input.channels} channels in order; "
                f"only shifts are supported so far"
            )
        if self.input.channels and self.lanes_for(self.input.lanes) != self.input.lanes:
            raise UsageError(
                f"{self.name}: {self.input.lanes} lanes straddle two groups of {self.groups}; "
                f"use {self.lanes_for(self.input.lanes)}"
            )

    def lanes_for(self, offered: int) -> int:
        """The widest beat, dividing `offered`, that never straddles two groups."""
        return gcd(offered, *(end for _, end, _ in self.groups))

    @property
    def lookahead(self) -> int:
        """Future frames that must arrive before a frame leaves."""
        return max(0, *(offset for _, _, offset in self.groups))

    @property
    def cycles_per_frame(self) -> int:
        """The frames that it gives by itself at the end of a clip count for all frames of the clip."""
        frames = self.input.frames
        return -(-self.input.beats_per_frame * (frames + self.lookahead) // frames)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        gathered = np.zeros_like(values[0])
        frames = self.input.frames
        for begin, end, offset in self.groups:
            first = min(frames, max(0, -offset))
            last = max(first, min(frames, frames - offset))
            gathered[:, first:last, ..., begin:end] = values[0][
                :, first + offset : last + offset, ..., begin:end
            ]
        return gathered

    def timing(self, *arrivals: np.ndarray) -> Timing:
        frame, frames, ahead = self.input.beats_per_frame, self.input.frames, self.lookahead
        offered = arrivals[0].reshape(-1, frames, frame)
        flush = np.full((len(offered), ahead, frame), np.iinfo(np.int64).min // 2)
        moves = serial(np.concatenate([offered, flush], axis=1).reshape(-1)).reshape(
            -1, frames + ahead, frame
        )
        return Timing((moves[:, :frames].reshape(-1),), moves[:, ahead:].reshape(-1) + 1)

    def cost(self) -> Cost:
        lanes, pixels = self.input.lanes, self.input.pixels
        depths = [(end - begin) // lanes * pixels * self._delay(offset) for begin, end, offset in self.groups]
        blocks = sum(block_rams(depth, self.input.beat_bits) for depth in depths)
        return Cost(lut=30 * len(self.groups), ff=20 * len(self.groups), bram=blocks)

    def instance(self) -> Instance:
        lanes = self.input.lanes
        parameters: dict[str, int | str] = {
            "BITS": self.input.beat_bits,
            "BEATS_PER_PIXEL": self.input.beats_per_pixel,
            "PIXELS": self.input.pixels,
            "FRAMES": self.input.frames,
            "LOOKAHEAD": self.lookahead,
            "GROUPS": len(self.groups),
            "FIRST": self._fields([begin // lanes for begin, _, _ in self.groups]),
            "LAST": self._fields([end // lanes - 1 for _, end, _ in self.groups]),
            "DELAY": self._fields([self._delay(offset) for _, _, offset in self.groups]),
        }
        return Instance("frame_gather", parameters)

    def _delay(self, offset: int) -> int:
        return self.lookahead - offset

    @staticmethod
    def _fields(values: list[int]) -> str:
        """A packed vector of 16-bit fields as a literal."""
        return f"{16 * len(values)}'h{pack(np.array(values), 16):0{4 * len(values)}x}"
