# SPDX-License-Identifier: Apache-2.0
"""Absolute values, channel by channel."""

from dataclasses import dataclass, replace

import numpy as np
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream, bits_for


@dataclass(frozen=True, kw_only=True, eq=False)
class Absolute(Stage):
    """|input|, channel by channel; the input is signed."""

    @property
    def outputs(self) -> tuple[Stream, ...]:
        bits, signed = bits_for(0, -self.input.low)
        return (replace(self.input, bits=bits, signed=signed),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return abs(values[0])

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(arrivals[0])
        return Timing((taken,), taken + 1)

    def cost(self) -> Cost:
        bits = self.outputs[0].beat_bits
        return Cost(lut=bits + 2, ff=bits + 1)

    def instance(self) -> Instance:
        return Instance("fg_absolute", {"LANES": self.input.lanes, "BITS": self.input.bits})
