# SPDX-License-Identifier: Apache-2.0
"""Residual addition: one beat of each branch makes one beat of the sum."""

from dataclasses import dataclass, replace

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Join
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream, bits_for


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Join):
    """left + right, channel by channel; both must have the same shape and lanes."""

    def __post_init__(self) -> None:
        if (self.left.shape, self.left.lanes) != (self.right.shape, self.right.lanes):
            raise UsageError(
                f"{self.name}: cannot add {self.left.shape} on {self.left.lanes} lanes to "
                f"{self.right.shape} on {self.right.lanes} lanes; both branches must agree"
            )

    @property
    def outputs(self) -> tuple[Stream, ...]:
        bits, signed = bits_for(self.left.low + self.right.low, self.left.high + self.right.high)
        return (replace(self.left, bits=bits, signed=signed),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return values[0] + values[1]

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(np.maximum(arrivals[0], arrivals[1]))
        return Timing((taken, taken), taken + 1)

    def cost(self) -> Cost:
        bits = self.outputs[0].beat_bits
        return Cost(lut=bits + 4, ff=bits + 1)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.left.lanes,
            "LEFT_BITS": self.left.bits,
            "LEFT_SIGNED": int(self.left.signed),
            "RIGHT_BITS": self.right.bits,
            "RIGHT_SIGNED": int(self.right.signed),
            "OUT_BITS": self.outputs[0].bits,
        }
        return Instance("fg_add", parameters)
