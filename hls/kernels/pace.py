# SPDX-License-Identifier: Apache-2.0
"""Pace: admits a frame no faster than the slowest kernel's interval, its pixels spread evenly."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Timing


@dataclass(frozen=True, kw_only=True, eq=False)
class Pace(Stage):
    """Beat i+1 of a frame follows beat i after at least floor((i+1)*interval/n) - floor(i*interval/n) cycles."""

    MOVES: ClassVar[bool] = True

    interval: int  # cycles per frame

    def __post_init__(self) -> None:
        if self.interval < self.input.beats_per_frame:
            raise UsageError(
                f"{self.name}: {self.input.beats_per_frame} beats do not fit {self.interval} cycles; "
                f"use an interval of at least {self.input.beats_per_frame}"
            )

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return values[0]

    def timing(self, *arrivals: np.ndarray) -> Timing:
        frame, beat = np.divmod(np.arange(len(arrivals[0]), dtype=np.int64), self.input.beats_per_frame)
        slack = frame * self.interval + beat * self.interval // self.input.beats_per_frame
        taken = np.maximum.accumulate(arrivals[0] - slack) + slack
        return Timing((taken,), taken)

    def cost(self) -> Cost:
        bits = self.interval.bit_length()
        return Cost(lut=4 * bits, ff=2 * bits)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "BITS": self.input.beat_bits,
            "BEATS": self.input.beats_per_frame,
            "INTERVAL": self.interval,
        }
        return Instance("fg_pace", parameters)
