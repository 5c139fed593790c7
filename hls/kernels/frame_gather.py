# SPDX-License-Identifier: Apache-2.0
"""Frame gather: ranges of channels of several frames side by side (what a temporal convolution sees), at any stride."""

from dataclasses import dataclass, replace
from math import gcd
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Buffer, Instance
from framegate.hls.kernels._memory import packed
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.kernels.shift import Shift, tiles
from framegate.hls.stream import Stream

_NEVER_WAITS = np.iinfo(np.int64).min // 2


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameGather(Buffer):
    """Output frame j has, per group, channels begin … end-1 of input frame j*stride_t + offset; zeros outside the clip.

    For a depthwise product all groups hold all channels, and the order is (block, group, channel of the block), with
    blocks of `lanes` channels, so that the taps of a channel follow each other.

    Endless, there are no clips: frame numbers run on from clip to clip, and no group looks ahead.
    """

    REGISTERED_READY: ClassVar[bool] = True
    PARTS = ("fg_ram",)
    LATENCY = 2  # from a beat's read to its offer

    groups: tuple[tuple[int, int, int], ...]  # (channel begin, channel end, frame offset)
    stride_t: int = 1
    output_frames: int = 0  # per clip; 0: one per stride_t input frames
    depthwise: bool = False
    endless: bool = False
    pause: int = 0  # cycles of rest behind each pixel that was sent

    def __post_init__(self) -> None:
        lanes, channels = self.input.lanes, self.input.channels
        if any(
            begin % lanes or end % lanes or end > channels or begin >= end for begin, end, _ in self.groups
        ):
            raise UsageError(
                f"{self.name}: {lanes} lanes do not divide the groups {self.groups} of {channels} channels; "
                f"use 1 lane, and groups inside the channels"
            )
        if self.outputs[0].channels < channels:
            raise UsageError(
                f"{self.name}: gathers {self.outputs[0].channels} of {channels} channels; drop the others before, "
                f"in the layer that makes them"
            )
        if self.depthwise and any((begin, end) != (0, channels) for begin, end, _ in self.groups):
            raise UsageError(
                f"{self.name}: for a depthwise product every group must hold all {channels} channels"
            )
        if self.endless and (self.lookahead or self.input.frames % self.stride_t):
            raise UsageError(
                f"{self.name}: without an end, no group may look ahead ({self.lookahead} frames) and stride "
                f"{self.stride_t} must divide the {self.input.frames} frames of a step"
            )

    def lanes_for(self, offered: int) -> int:
        """The widest beat, dividing `offered`, that never straddles two groups."""
        return gcd(offered, self.input.channels, *(bound for group in self.groups for bound in group[:2]))

    @property
    def frames_out(self) -> int:
        """Output frames of a clip."""
        return self.output_frames or -(-self.input.frames // self.stride_t)

    @property
    def lookahead(self) -> int:
        """Future frames that must arrive before a frame leaves."""
        return max(0, *(offset for _, _, offset in self.groups))

    @property
    def kept(self) -> int:
        """Frames before the newest that are read."""
        return max(self._delay(offset) for _, _, offset in self.groups)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        channels = sum(end - begin for begin, end, _ in self.groups)
        return (replace(self.input, frames=self.frames_out, channels=channels),)

    @property
    def cycles_per_clip(self) -> int:
        frames = self._emitting(1)
        sent = self.outputs[0].beats_per_frame + self.pause * self.input.pixels
        return int(np.where(frames, sent, self.input.beats_per_frame).sum())

    def reference(self, *values: np.ndarray) -> np.ndarray:
        clips = len(values[0])
        source = values[0].reshape(1, -1, *values[0].shape[2:]) if self.endless else values[0]
        wanted = np.arange(clips * self.frames_out if self.endless else self.frames_out) * self.stride_t
        parts = []
        for begin, end, offset in self.groups:
            taken = wanted + offset
            inside = (taken >= 0) & (taken < source.shape[1])
            part = source[:, np.where(inside, taken, 0), ..., begin:end]
            parts.append(np.where(inside[:, None, None, None], part, 0))
        return self._in_order(parts).reshape(clips, self.frames_out, *values[0].shape[2:4], -1)

    def _in_order(self, parts: list[np.ndarray]) -> np.ndarray:
        """The groups side by side, as the kernel sends them."""
        if not self.depthwise:
            return np.concatenate(parts, axis=-1)
        blocks = [part.reshape(*part.shape[:-1], -1, self.input.lanes) for part in parts]
        return np.stack(blocks, axis=-2)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        frames, pixels, beats = self.input.frames, self.input.pixels, self.input.beats_per_pixel
        offered = arrivals[0].reshape(-1, frames * pixels, beats)
        clips, flushed = len(offered), (len(self._emitting(1)) - frames) * pixels
        emits = np.repeat(self._emitting(clips), pixels)
        # A pixel takes as long to read as to write, or longer: so waiting for room never delays the reader.
        read = np.where(emits, self.outputs[0].beats_per_pixel, beats)
        starts = _in_turn(self._written(offered, flushed, None)[1] + 1, read + self.pause * emits)
        room = np.concatenate([[_NEVER_WAITS] * 2, starts + read])[: len(starts)].reshape(clips, -1)
        taken, _ = self._written(offered, flushed, room)
        sent = starts[emits][:, None] + self.LATENCY + np.arange(self.outputs[0].beats_per_pixel)
        return Timing((taken.reshape(-1),), sent.reshape(-1))

    def _written(
        self, offered: np.ndarray, flushed: int, room: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """When each beat is taken, and when each pixel is complete, those behind the end of a clip included.

        `room`: per clip and pixel, the cycle from which there is room for it; None for always.
        """
        clips, pixels, beats = offered.shape
        events = np.full((clips, pixels * beats + flushed), _NEVER_WAITS)
        events[:, : pixels * beats] = offered.reshape(clips, -1)
        first = np.concatenate([np.arange(pixels) * beats, pixels * beats + np.arange(flushed)])
        if room is not None:
            events[:, first] = np.maximum(events[:, first], room)
        passed = serial(events.reshape(-1)).reshape(clips, -1)
        last = np.concatenate([first[:pixels] + beats - 1, first[pixels:]])
        return passed[:, : pixels * beats], passed[:, last].reshape(-1)

    def _emitting(self, clips: int) -> np.ndarray:
        """Whether an output frame leaves, per frame time of so many clips."""
        if self.endless:
            return np.arange(clips * self.input.frames) % self.stride_t == 0
        last = (self.frames_out - 1) * self.stride_t + self.lookahead
        since = np.arange(max(self.input.frames, last + 1)) - self.lookahead
        return np.tile((since >= 0) & (since % self.stride_t == 0) & (since <= last - self.lookahead), clips)

    def cost(self) -> Cost:
        bits = self.input.beat_bits
        return self._memory_cost() + Cost(lut=160 + 8 * len(self.groups) + bits, ff=90 + bits)

    def instance(self) -> Instance:
        lanes = self.input.lanes
        parameters: dict[str, int | str] = {
            "BITS": self.input.beat_bits,
            "BEATS": self.input.beats_per_pixel,
            "PIXELS": self.input.pixels,
            "FRAMES": self.input.frames,
            "OUTPUTS": self.frames_out,
            "STRIDE": self.stride_t,
            "LOOKAHEAD": self.lookahead,
            "DEPTHWISE": int(self.depthwise),
            "ENDLESS": int(self.endless),
            "PAUSE": self.pause,
            "KEPT": self.kept,
            **self._memory_parameters(),
            "TAPS": len(self.groups),
            "FIRST": packed([begin // lanes for begin, _, _ in self.groups], 16, self.name),
            "COUNT": packed([(end - begin) // lanes for begin, end, _ in self.groups], 16, self.name),
            "DELAY": packed([self._delay(offset) for _, _, offset in self.groups], 16, self.name),
        }
        return Instance("fg_frame_gather", parameters)

    @property
    def words(self) -> int:
        """Beats of the ring."""
        return (self.kept * self.input.pixels + 2) * self.input.beats_per_pixel

    def _delay(self, offset: int) -> int:
        return self.lookahead - offset


def _in_turn(earliest: np.ndarray, lasts: np.ndarray) -> np.ndarray:
    """Times t[i] = max(earliest[i], t[i-1] + lasts[i-1])."""
    before = np.concatenate([[0], np.cumsum(lasts)[:-1]])
    return np.maximum.accumulate(earliest - before) + before


def gather_kernel(
    *,
    name: str,
    input: Stream,
    groups: tuple[tuple[int, int, int], ...],
    stride_t: int = 1,
    output_frames: int = 0,
    depthwise: bool = False,
) -> Shift | FrameGather:
    """The kernel of a FrameGather: a Shift, which keeps no channel longer than its own delay, where that can do it."""
    if tiles(groups, input.channels) and stride_t == 1 and output_frames in (0, input.frames):
        return Shift(name=name, input=input, groups=groups)
    return FrameGather(
        name=name,
        input=input,
        groups=groups,
        stride_t=stride_t,
        output_frames=output_frames,
        depthwise=depthwise,
    )
