# SPDX-License-Identifier: Apache-2.0
"""Temporal shift: each range of channels from its own frame; a frame gather whose groups tile the channels."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._memory import packed, ram_blocks, ram_slice
from framegate.hls.kernels._timing import Timing, serial


@dataclass(frozen=True)
class _Piece:
    """Neighbouring lanes of neighbouring beats of each pixel, delayed by as many frames."""

    beats: range
    low: int  # its first lane
    lanes: int
    delay: int  # frames


@dataclass(frozen=True, kw_only=True, eq=False)
class Shift(Stage):
    """Output frame t has channels begin … end-1 of input frame t+offset, per group; zeros outside the clip.

    The groups tile the channels in order. Lin et al., TSM, ICCV 2019. Endless, there are no clips: frame numbers run
    on from clip to clip, and no group looks ahead.
    """

    MOVES: ClassVar[bool] = True
    PARTS = ("fg_ram",)
    LATENCY = 3  # of a beat that is not delayed

    groups: tuple[tuple[int, int, int], ...]  # (channel begin, channel end, frame offset)
    endless: bool = False

    def __post_init__(self) -> None:
        if not tiles(self.groups, self.input.channels):
            raise UsageError(
                f"{self.name}: groups {self.groups} do not tile {self.input.channels} channels in order; "
                f"use a FrameGather"
            )
        if self.endless and self.lookahead:
            raise UsageError(
                f"{self.name}: looks {self.lookahead} frames ahead, which a stream without an end cannot; use a causal "
                f"network (shift=online)"
            )

    def lanes_for(self, offered: int) -> int:
        """The widest beat, dividing `offered`, that never straddles two groups: it takes the least hardware."""
        return gcd(offered, *(end for _, end, _ in self.groups))

    @property
    def lookahead(self) -> int:
        """Future frames that must arrive before a frame leaves."""
        return max(0, *(offset for _, _, offset in self.groups))

    @property
    def cycles_per_clip(self) -> int:
        return self.input.beats_per_frame * (self.input.frames + self.lookahead)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        clips = values[0].reshape(1, -1, *values[0].shape[2:]) if self.endless else values[0]
        gathered = np.zeros_like(clips)
        frames = clips.shape[1]
        for begin, end, offset in self.groups:
            first = min(frames, max(0, -offset))
            last = max(first, min(frames, frames - offset))
            gathered[:, first:last, ..., begin:end] = clips[:, first + offset : last + offset, ..., begin:end]
        return gathered.reshape(values[0].shape)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        frame, frames, ahead = self.input.beats_per_frame, self.input.frames, self.lookahead
        offered = arrivals[0].reshape(-1, frames, frame)
        flush = np.full((len(offered), ahead, frame), np.iinfo(np.int64).min // 2)
        moves = serial(np.concatenate([offered, flush], axis=1).reshape(-1)).reshape(
            -1, frames + ahead, frame
        )
        return Timing((moves[:, :frames].reshape(-1),), moves[:, ahead:].reshape(-1) + self.LATENCY)

    def cost(self) -> Cost:
        bits, pieces = self.input.beat_bits, self._pieces()
        return Cost(
            lut=30 * len(pieces),
            ff=sum(20 + piece.lanes * self.input.bits for piece in pieces) + bits,
            bram=sum(ram_blocks(*self._memory(piece)) for piece in pieces),
        )

    def instance(self) -> Instance:
        pieces = self._pieces()

        def each(values: Iterable[int]) -> str:
            return packed(list(values), 16, self.name)

        parameters: dict[str, int | str] = {
            "BITS": self.input.beat_bits,
            "BEATS_PER_PIXEL": self.input.beats_per_pixel,
            "PIXELS": self.input.pixels,
            "FRAMES": self.input.frames,
            "LOOKAHEAD": self.lookahead,
            "ENDLESS": int(self.endless),
            "OLDEST": max(self._delay(offset) for _, _, offset in self.groups),
            "PIECES": len(pieces),
            "FIRST": each(piece.beats.start for piece in pieces),
            "LAST": each(piece.beats.stop - 1 for piece in pieces),
            "LOW": each(piece.low * self.input.bits for piece in pieces),
            "WIDE": each(piece.lanes * self.input.bits for piece in pieces),
            "DELAY": each(piece.delay for piece in pieces),
            "SLICES": each(ram_slice(*self._memory(piece)) for piece in pieces),
        }
        return Instance("fg_shift", parameters)

    def _pieces(self) -> list["_Piece"]:
        """Of every group the beats that are all its own, and what it has of the beats before and behind them."""
        lanes, found = self.input.lanes, []
        for begin, end, offset in self.groups:
            first, last = -(-begin // lanes), end // lanes  # beats of its own
            delay = self._delay(offset)
            if first > last:  # inside a single beat
                found.append(_Piece(range(last, first), begin % lanes, end - begin, delay))
                continue
            if begin % lanes:
                found.append(_Piece(range(first - 1, first), begin % lanes, lanes - begin % lanes, delay))
            if first < last:
                found.append(_Piece(range(first, last), 0, lanes, delay))
            if end % lanes:
                found.append(_Piece(range(last, last + 1), 0, end % lanes, delay))
        return found

    def _memory(self, piece: "_Piece") -> tuple[int, int]:
        """Words of what keeps a piece, and their bits."""
        return len(piece.beats) * self.input.pixels * piece.delay, piece.lanes * self.input.bits

    def _delay(self, offset: int) -> int:
        return self.lookahead - offset


def tiles(groups: tuple[tuple[int, int, int], ...], channels: int) -> bool:
    """Whether the groups hold every channel once, in order."""
    ends = [0, *(end for _, end, _ in groups)]
    return [begin for begin, _, _ in groups] == ends[:-1] and ends[-1] == channels
