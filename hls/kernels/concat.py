# SPDX-License-Identifier: Apache-2.0
"""Concatenation: the channels of one stream, then those of another, pixel by pixel."""

from dataclasses import dataclass, replace
from math import gcd

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Join
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream, bits_for


@dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Join):
    """Channels of `left`, then of `right`; both must have the same frames, pixels and lanes."""

    def __post_init__(self) -> None:
        if (self.left.shape[:3], self.left.lanes) != (self.right.shape[:3], self.right.lanes):
            raise UsageError(
                f"{self.name}: cannot concatenate {self.left.shape} on {self.left.lanes} lanes and "
                f"{self.right.shape} on {self.right.lanes} lanes; both must have the same frames, pixels and lanes"
            )

    def lanes_for(self, offered: int) -> int:
        """The widest beat, dividing `offered`, that never straddles the two inputs."""
        return gcd(offered, self.left.channels, self.right.channels)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        bits, signed = bits_for(min(self.left.low, self.right.low), max(self.left.high, self.right.high))
        channels = self.left.channels + self.right.channels
        return (replace(self.left, channels=channels, bits=bits, signed=signed),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return np.concatenate(values, axis=-1)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        first = self.left.beats_per_pixel
        pixels = [
            times.reshape(-1, stream.beats_per_pixel)
            for times, stream in zip(arrivals, self.inputs, strict=True)
        ]
        taken = serial(np.concatenate(pixels, axis=1).reshape(-1))
        parts = taken.reshape(len(pixels[0]), -1)
        return Timing((parts[:, :first].reshape(-1), parts[:, first:].reshape(-1)), taken + 1)

    def cost(self) -> Cost:
        bits = self.outputs[0].beat_bits
        return Cost(lut=bits + 16, ff=bits + 8)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.left.lanes,
            "LEFT_BITS": self.left.bits,
            "LEFT_SIGNED": int(self.left.signed),
            "LEFT_BEATS": self.left.beats_per_pixel,
            "RIGHT_BITS": self.right.bits,
            "RIGHT_SIGNED": int(self.right.signed),
            "RIGHT_BEATS": self.right.beats_per_pixel,
            "OUT_BITS": self.outputs[0].bits,
        }
        return Instance("fg_concat", parameters)
