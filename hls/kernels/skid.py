# SPDX-License-Identifier: Apache-2.0
"""Skid buffer: cuts the path of `ready` signals from reader to writer to reader."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Beats, Timing, taken_at_once


@dataclass(frozen=True, kw_only=True, eq=False)
class Skid(Stage):
    """The input, in the same cycle; room for one beat when the reader stalls."""

    REGISTERED_READY: ClassVar[bool] = True
    MOVES: ClassVar[bool] = True
    BURSTS: ClassVar[bool] = True

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return values[0]

    def timing(self, *arrivals: Beats) -> Timing:
        taken = taken_at_once(arrivals[0])
        return Timing((taken,), taken)

    def cost(self) -> Cost:
        return Cost(lut=self.input.beat_bits + 3, ff=self.input.beat_bits + 1)

    def instance(self) -> Instance:
        return Instance("fg_skid", {"BITS": self.input.beat_bits})
