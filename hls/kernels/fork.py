# SPDX-License-Identifier: Apache-2.0
"""Fork: one stream for two readers, each of which may take a beat before the other."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Fork(Stage):
    """Both outputs carry the input."""

    MOVES: ClassVar[bool] = True

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return self.input, self.input

    @property
    def ports(self) -> tuple[str, ...]:
        return ("in", "left", "right")

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return values[0]

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(arrivals[0])
        return Timing((taken,), taken)

    def cost(self) -> Cost:
        return Cost(lut=6, ff=2)

    def instance(self) -> Instance:
        return Instance("fg_fork", {"BITS": self.input.beat_bits})
