# SPDX-License-Identifier: Apache-2.0
"""Sliding mean as a sum: over the last frames of a stream without an end; the division is in the logit scale."""

from dataclasses import dataclass, replace

import numpy as np
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream, bits_for


@dataclass(frozen=True, kw_only=True, eq=False)
class SlidingMean(Stage):
    """After the last frame of each step (the input's "clip"), the sum of the last `window` frames.

    Frames before the first are zero, so that the sum after `window` frames is that of a clip of as many.
    """

    window: int  # frames

    @property
    def outputs(self) -> tuple[Stream, ...]:
        bits, signed = bits_for(self.input.low * self.window, self.input.high * self.window)
        return (replace(self.input, frames=1, bits=bits, signed=signed),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        frames = values[0].reshape(-1, *values[0].shape[2:])
        before = np.zeros((self.window, *frames.shape[1:]), dtype=np.int64)
        totals = np.cumsum(np.concatenate([before, frames]), axis=0)
        sums = totals[self.window :] - totals[: -self.window]
        return sums[self.input.frames - 1 :: self.input.frames, None].astype(values[0].dtype)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(arrivals[0])
        frames = taken.reshape(-1, self.input.frames, self.input.beats_per_frame)
        return Timing((taken,), frames[:, -1].reshape(-1) + 1)

    def cost(self) -> Cost:
        bits, beats = self.outputs[0].beat_bits, self.input.beats_per_frame
        stored = beats * (bits + self.window * self.input.beat_bits)
        return Cost(lut=3 * bits + stored // 8 + 24, ff=bits + 32)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.input.lanes,
            "IN_BITS": self.input.bits,
            "SIGNED": int(self.input.signed),
            "OUT_BITS": self.outputs[0].bits,
            "BEATS": self.input.beats_per_frame,
            "STEP": self.input.frames,
            "WINDOW": self.window,
        }
        return Instance("fg_sliding_mean", parameters)
