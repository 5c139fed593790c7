# SPDX-License-Identifier: Apache-2.0
"""What hardware costs: LUTs, flip-flops, block RAMs, multipliers, UltraRAMs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Device resources: LUT4s with those of carry chains, flip-flops, 18x18 multipliers, block RAMs of 18 kbit,
    UltraRAMs of 288 kbit.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    uram: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.lut + other.lut,
            self.ff + other.ff,
            self.dsp + other.dsp,
            self.bram + other.bram,
            self.uram + other.uram,
        )

    def larger(self, other: "Cost") -> "Cost":
        """The larger of each resource."""
        return Cost(
            max(self.lut, other.lut),
            max(self.ff, other.ff),
            max(self.dsp, other.dsp),
            max(self.bram, other.bram),
            max(self.uram, other.uram),
        )
