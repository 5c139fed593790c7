# SPDX-License-Identifier: Apache-2.0
"""Pooling: the largest value or the sum of each channel under a window, PE channels per cycle."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._timing import Beats, Timing, every, taken_at_once
from framegate.hls.stream import Stream, bits_for


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Stage):
    """Per channel the maximum (of="max") or the sum (of="sum", an average whose division is in the scale) of its taps.

    The input is a depthwise window, a depthwise frame gather, or one behind the other: per block of PE neighbouring
    channels a beat for each tap. PE is its number of lanes.
    """

    BURSTS: ClassVar[bool] = True

    taps: int  # pixels under the window, over all gathered frames
    of: str = "max"

    def __post_init__(self) -> None:
        if self.of not in ("max", "sum"):
            raise UsageError(f'{self.name}: a pool of "{self.of}" is unknown; use "max" or "sum"')
        if self.input.channels % self.taps or self.channels % self.input.lanes or self.input.repeat != 1:
            raise UsageError(
                f"{self.name}: {self.taps} taps and {self.input.lanes} lanes do not divide {self.input.channels} "
                f"values per pixel, sent {self.input.repeat} times; give the window before it lanes that do"
            )

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.input.channels // self.taps

    @property
    def outputs(self) -> tuple[Stream, ...]:
        count = self.taps if self.of == "sum" else 1
        bits, signed = bits_for(self.input.low * count, self.input.high * count)
        return (replace(self.input, channels=self.channels, bits=bits, signed=signed),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        blocks = values[0].reshape(*values[0].shape[:-1], -1, self.taps, self.input.lanes)
        pooled = blocks.max(axis=-2) if self.of == "max" else blocks.sum(axis=-2, dtype=values[0].dtype)
        return pooled.reshape(*values[0].shape[:-1], self.channels)

    def timing(self, *arrivals: Beats) -> Timing:
        taken = taken_at_once(arrivals[0])
        return Timing((taken,), every(taken, self.taps) + 1)

    def cost(self) -> Cost:
        bits = self.outputs[0].beat_bits
        return Cost(lut=2 * bits + 12, ff=bits + 8)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.input.lanes,
            "TAPS": self.taps,
            "IN_BITS": self.input.bits,
            "SIGNED": int(self.input.signed),
            "OUT_BITS": self.outputs[0].bits,
            "SUM": int(self.of == "sum"),
        }
        return Instance("fg_pool", parameters)
