# SPDX-License-Identifier: Apache-2.0
"""Lane conversion: the same channels on wider or narrower beats."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Width(Stage):
    """From `input.lanes` to `lanes` channels per beat; one must be a multiple of the other."""

    MOVES: ClassVar[bool] = True

    lanes: int

    def __post_init__(self) -> None:
        if max(self.lanes, self.input.lanes) % min(self.lanes, self.input.lanes):
            raise UsageError(
                f"{self.name}: {self.input.lanes} lanes do not convert to {self.lanes}; one must be a multiple "
                f"of the other"
            )

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (replace(self.input, lanes=self.lanes),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        return values[0]

    def timing(self, *arrivals: np.ndarray) -> Timing:
        if self.lanes > self.input.lanes:
            taken = serial(arrivals[0])
            ratio = self.lanes // self.input.lanes
            return Timing((taken,), taken[ratio - 1 :: ratio] + 1)
        ratio = self.input.lanes // self.lanes
        taken = serial(arrivals[0], gap=ratio)
        return Timing((taken,), (taken[:, None] + 1 + np.arange(ratio)).reshape(-1))

    def cost(self) -> Cost:
        bits = self.input.bits * max(self.lanes, self.input.lanes)
        return Cost(lut=bits + 8, ff=bits + 8)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "IN_BITS": self.input.beat_bits,
            "OUT_BITS": self.outputs[0].beat_bits,
        }
        return Instance("fg_width", parameters)
