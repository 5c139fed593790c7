# SPDX-License-Identifier: Apache-2.0
"""FIFO: room for the beats that a reader takes later than they are offered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Buffer, Instance
from framegate.hls.kernels._timing import Beats, Timing, each_beat, serial


@dataclass(frozen=True, kw_only=True, eq=False)
class Fifo(Buffer):
    """Holds up to `depth` beats; a beat is offered at the output three cycles after it is taken."""

    REGISTERED_READY: ClassVar[bool] = True
    MOVES: ClassVar[bool] = True
    BURSTS: ClassVar[bool] = True
    PARTS = ("fg_ram",)
    LATENCY = 3

    depth: int

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise UsageError(f"{self.name}: a FIFO of depth {self.depth} holds nothing; use at least 1")

    @property
    def words(self) -> int:
        return self.depth

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return values[0]

    def timing(self, *arrivals: Beats) -> Timing:
        taken = serial(each_beat(arrivals[0]))
        if self.depth <= self.LATENCY:  # too short for a beat in every cycle
            for beat in range(self.depth, len(taken)):
                free = taken[beat - self.depth] + self.LATENCY + 1
                taken[beat] = max(taken[beat], taken[beat - 1] + 1, free)
        return Timing((taken,), taken + self.LATENCY)

    def cost(self) -> Cost:
        ff = 4 * self.depth.bit_length() + 2 * self.input.beat_bits
        return self._memory_cost() + Cost(lut=120, ff=ff)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "BITS": self.input.beat_bits,
            "DEPTH": self.depth,
            **self._memory_parameters(),
        }
        return Instance("fg_fifo", parameters)
