# SPDX-License-Identifier: Apache-2.0
"""Depthwise product: each channel with its own taps, PE channels per cycle, weights on chip."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._memory import Memory, block_rams, pack
from framegate.hls.kernels._product import (
    PRODUCT_PARTS,
    accumulator_bounds,
    check_multiply,
    lut_product,
    weight_bits,
)
from framegate.hls.kernels._timing import Beats, Timing, every, taken_at_once
from framegate.hls.stream import Stream, bits_for


@dataclass(frozen=True, kw_only=True, eq=False)
class Depthwise(Stage):
    """Per channel the sum of its taps times its weights.

    The input is a depthwise window: per block of PE neighbouring channels a beat for every `at_once` taps. Its lanes
    are those taps, PE channels each.
    """

    BURSTS: ClassVar[bool] = True
    PARTS = PRODUCT_PARTS
    READY_HOPS: ClassVar[int] = 2  # as of a matrix product

    weights: np.ndarray  # integers (channels, taps), the taps in the order in which they come
    at_once: int = 1  # taps per cycle
    multiply: Literal["dsp", "lut"] = "dsp"  # what makes the products

    def __post_init__(self) -> None:
        if self.weights.size != self.input.channels or self.input.repeat != 1:
            raise UsageError(
                f"{self.name}: weights {self.weights.shape} need {self.weights.size} values per pixel sent once, "
                f"got {self.input.channels} sent {self.input.repeat} times"
            )
        if self.taps % self.at_once or self.input.lanes % self.at_once:
            raise UsageError(
                f"{self.name}: {self.at_once} taps at once do not divide its {self.taps} taps and the "
                f"{self.input.lanes} lanes of its input"
            )
        if self.channels % self.pe:
            raise UsageError(
                f"{self.name}: {self.pe} lanes do not divide {self.channels} channels; give the window behind "
                f"it a number of lanes that does"
            )
        check_multiply(self.name, self.multiply, self.weight_bits)

    @property
    def channels(self) -> int:
        """Output channels."""
        return int(self.weights.shape[0])

    @property
    def taps(self) -> int:
        """Pixels under the kernel."""
        return int(self.weights.shape[1])

    @property
    def pe(self) -> int:
        """Channels per cycle."""
        return self.input.lanes // self.at_once

    @property
    def multipliers(self) -> int:
        """Products per cycle."""
        return self.input.lanes

    @property
    def latency(self) -> int:
        """Registers: fetch, operands, products, a level for every four taps to add, accumulator."""
        return 4 + ((self.at_once - 1).bit_length() + 1) // 2

    @property
    def weight_bits(self) -> int:
        """Bits of the widest weight, two's complement."""
        return weight_bits(self.weights)

    @property
    def bounds(self) -> tuple[int, int]:
        """The accumulator's smallest and largest value for any input."""
        low, high = accumulator_bounds(self.weights, self.input.low, self.input.high)
        return int(low.min()), int(high.max())

    @property
    def outputs(self) -> tuple[Stream, ...]:
        bits, _ = bits_for(min(self.bounds[0], -1), max(self.bounds[1], 0))
        return (replace(self.input, channels=self.channels, lanes=self.pe, bits=bits, signed=True),)

    @property
    def exact_type(self) -> type[np.floating]:
        """The float type in which every partial sum is an exact integer.

        Raises UsageError when accumulators exceed 32 bits.
        """
        limit = max(abs(bound) for bound in self.bounds)
        if limit >= 2**31:
            raise UsageError(
                f"{self.name}: accumulators up to {limit} exceed 32 bits; use fewer bits or a smaller kernel"
            )
        return np.float32 if limit < 2**24 else np.float64

    def reference(self, *values: np.ndarray) -> np.ndarray:
        exact = self.exact_type
        blocks = values[0].reshape(*values[0].shape[:-1], -1, self.taps, self.pe).astype(exact)
        sums = np.einsum("...btp,bpt->...bp", blocks, self._blocks().astype(exact))
        return sums.astype(np.int32).reshape(*values[0].shape[:-1], self.channels)

    def timing(self, *arrivals: Beats) -> Timing:
        taken = taken_at_once(arrivals[0])
        return Timing((taken,), every(taken, self.taps // self.at_once) + self.latency)

    def cost(self) -> Cost:
        out, products = self.outputs[0].bits, self.multipliers
        word = products * self.weight_bits
        blocks = block_rams(self.weights.size // products, word)
        operand = products * self.input.bits + word
        product_bits = self.input.bits + self.weight_bits
        in_luts = self.multiply == "lut"
        return Cost(
            lut=(products + self.pe) * out
            + 100
            + in_luts * products * lut_product(self.input.bits, self.weight_bits)
            + (0 if blocks else self.weights.size * self.weight_bits // 16),
            ff=(1 + in_luts) * operand
            + in_luts * products * product_bits
            + (self.pe if self.at_once == 1 else products) * out
            + 24,
            dsp=0 if in_luts else products,
            bram=blocks,
        )

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "PE": self.pe,
            "AT_ONCE": self.at_once,
            "STEPS": self.taps // self.at_once,
            "BLOCKS": self.channels // self.pe,
            "IN_BITS": self.input.bits,
            "IN_SIGNED": int(self.input.signed),
            "WEIGHT_BITS": self.weight_bits,
            "OUT_BITS": self.outputs[0].bits,
            "IN_LUTS": int(self.multiply == "lut"),
        }
        words = [
            pack(step, self.weight_bits, f"{self.name} weights", signed=True)
            for step in self._blocks().transpose(0, 2, 1).reshape(-1, self.multipliers)
        ]
        return Instance(
            "fg_depthwise", parameters, (Memory("weights", words, self.multipliers * self.weight_bits),)
        )

    def _blocks(self) -> np.ndarray:
        """The weights as (blocks, PE, taps)."""
        return self.weights.reshape(-1, self.pe, self.taps)
