# SPDX-License-Identifier: Apache-2.0
"""Mean as a sum: over the pixels of a frame or over the frames of a clip; the division is in the logit scale."""

from dataclasses import dataclass, replace

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream, bits_for


@dataclass(frozen=True, kw_only=True, eq=False)
class Mean(Stage):
    """Sums `count` consecutive groups of beats: pixels for over="frame", whole frames for over="clip"."""

    over: str  # "frame" or "clip"

    def __post_init__(self) -> None:
        if self.over not in ("frame", "clip"):
            raise UsageError(f'{self.name}: a mean over "{self.over}" is unknown; use "frame" or "clip"')

    @property
    def count(self) -> int:
        """How many groups make one output group."""
        return self.input.pixels if self.over == "frame" else self.input.frames

    @property
    def group(self) -> int:
        """Beats of a group."""
        return self.input.beats_per_pixel if self.over == "frame" else self.input.beats_per_frame

    @property
    def outputs(self) -> tuple[Stream, ...]:
        bits, signed = bits_for(self.input.low * self.count, self.input.high * self.count)
        if self.over == "frame":
            return (replace(self.input, height=1, width=1, bits=bits, signed=signed),)
        return (replace(self.input, frames=1, bits=bits, signed=signed),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return values[0].sum(axis=(2, 3) if self.over == "frame" else 1, keepdims=True, dtype=values[0].dtype)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(arrivals[0])
        return Timing((taken,), taken.reshape(-1, self.count, self.group)[:, -1].reshape(-1) + 1)

    def cost(self) -> Cost:
        bits = self.outputs[0].beat_bits
        return Cost(lut=2 * bits + bits * self.group // 8 + 16, ff=bits + 16)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.input.lanes,
            "IN_BITS": self.input.bits,
            "SIGNED": int(self.input.signed),
            "OUT_BITS": self.outputs[0].bits,
            "GROUP": self.group,
            "COUNT": self.count,
        }
        return Instance("fg_mean", parameters)
