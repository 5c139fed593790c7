# SPDX-License-Identifier: Apache-2.0
"""Matrix-vector product: PE rows times SIMD columns per cycle, weights and biases on chip."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._kernel import (
    PRODUCT_PARTS,
    Beats,
    Cost,
    Instance,
    Memory,
    Stage,
    Timing,
    accumulator_bounds,
    banked,
    block_rams,
    check_multiply,
    constant_products,
    every,
    lut_product,
    pack,
    rom_bank,
    taken_at_once,
    weight_bits,
)
from framegate.hls.stream import Stream, bits_for, divisors


@dataclass(frozen=True, kw_only=True, eq=False)
class MatVec(Stage):
    """weights @ pixel + bias. The input repeats every pixel rows/pe times; SIMD is its number of lanes."""

    PARTS = (*PRODUCT_PARTS, "rom")
    READY_HOPS: ClassVar[int] = 2  # it enables the most registers of all kernels

    weights: np.ndarray  # integers (rows, columns)
    pe: int = 1
    bias: np.ndarray | None = None  # integers (rows,)
    multiply: Literal["dsp", "lut"] = "dsp"  # what makes the products

    def __post_init__(self) -> None:
        if self.rows % self.pe:
            raise UsageError(
                f"{self.name}: PE={self.pe} does not divide {self.rows} channels; "
                f"choose one of {divisors(self.rows)}"
            )
        if self.weights.shape[1] != self.input.channels or self.input.repeat != self.rows // self.pe:
            raise UsageError(
                f"{self.name}: weights {self.weights.shape} with PE={self.pe} need {self.weights.shape[1]} "
                f"channels sent {self.rows // self.pe} times, got {self.input.channels} sent {self.input.repeat} times"
            )

        check_multiply(self.name, self.multiply, self.weight_bits)
        if self.bias is not None and self.bias.shape != (self.rows,):
            raise UsageError(f"{self.name}: a bias of shape {self.bias.shape} for {self.rows} channels")

    @property
    def rows(self) -> int:
        """Output channels."""
        return int(self.weights.shape[0])

    @property
    def simd(self) -> int:
        """Columns per cycle."""
        return self.input.lanes

    @property
    def latency(self) -> int:
        """Registers: fetch, perhaps bank, operands, factors, products, split, additions of four, accumulator."""
        return 6 + int(self._bank < self._words_stored) + self._levels

    @property
    def multipliers(self) -> int:
        """Products per cycle; two rows of few bits share one 18x18 multiplier."""
        return self.pe * self.simd

    @property
    def constant(self) -> bool:
        """Whether each product has its own weight, which synthesis can fold into its logic."""
        return self.weights.size == self.pe * self.simd

    @property
    def weight_bits(self) -> int:
        """Bits of the widest weight, two's complement."""
        return weight_bits(self.weights)

    @property
    def bounds(self) -> tuple[int, int]:
        """The accumulator's smallest and largest value for any input."""
        low, high = accumulator_bounds(self.weights, self.input.low, self.input.high)
        return int((low + self._start).min()), int((high + self._start).max())

    @property
    def outputs(self) -> tuple[Stream, ...]:
        bits, _ = bits_for(min(self.bounds[0], -1), max(self.bounds[1], 0))
        return (replace(self.input, channels=self.rows, bits=bits, signed=True, lanes=self.pe, repeat=1),)

    @property
    def exact_type(self) -> type[np.floating]:
        """The float type in which every partial sum of products is an exact integer.

        Raises UsageError when accumulators exceed 32 bits.
        """
        limit = max(abs(bound) for bound in self.bounds) + int(np.abs(self._start).max())
        if limit >= 2**31:
            raise UsageError(
                f"{self.name}: accumulators up to {limit} exceed 32 bits; use fewer bits or channels"
            )
        return np.float32 if limit < 2**24 else np.float64

    def reference(self, *values: np.ndarray) -> np.ndarray:
        exact = self.exact_type
        flat = values[0].reshape(-1, self.input.channels).astype(exact)
        sums = flat @ self.weights.T.astype(exact)
        return self.started(sums.astype(np.int32)).reshape(*values[0].shape[:-1], self.rows)

    def started(self, sums: np.ndarray) -> np.ndarray:
        """`sums` of products (…, rows) with the bias."""
        return sums if self.bias is None else sums + self.bias.astype(sums.dtype)

    def timing(self, *arrivals: Beats) -> Timing:
        taken = taken_at_once(arrivals[0])
        steps = self.input.beats_per_pixel
        return Timing((taken,), every(taken, steps) + self.latency)

    def cost(self) -> Cost:
        products, out = self.simd * self.pe, self.outputs[0].bits
        stored = self.weights.size * self.weight_bits
        blocks = block_rams(self.weights.size // products, products * self.weight_bits)
        operand = self.simd * self.input.bits + products * self.weight_bits
        product_bits = self.input.bits + self.weight_bits
        in_luts = self.multiply == "lut"
        constant = in_luts and self.constant
        made = (
            constant_products(self.weights, self.input.bits)
            if constant
            else in_luts * products * lut_product(self.input.bits, self.weight_bits)
        )
        # Rows that share multipliers.
        pairs = self.pe // 2 if not in_luts and product_bits + self.weight_bits <= 16 else 0
        biases = 0 if self.bias is None else self.rows * out // 16 + self.pe * out + 16
        return Cost(
            lut=products * (product_bits + 2)
            + 2 * self.pe * out
            + pairs * self.simd * (2 * product_bits)
            + made
            + 150
            + (0 if blocks or constant else stored // 16)
            + biases,
            # A multiplier keeps its factors and its product itself.
            ff=(2 + in_luts) * operand
            + (1 + in_luts) * products * product_bits
            + (2 if self.bias is None else 3) * self.pe * out
            + 24,
            dsp=0 if in_luts else (self.pe - pairs) * self.simd,
            bram=blocks,
        )

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "PE": self.pe,
            "SIMD": self.simd,
            "STEPS": self.input.beats_per_pixel,
            "FOLDS": self.rows // self.pe,
            "IN_BITS": self.input.bits,
            "IN_SIGNED": int(self.input.signed),
            "WEIGHT_BITS": self.weight_bits,
            "OUT_BITS": self.outputs[0].bits,
            "IN_LUTS": int(self.multiply == "lut"),
            "BANK": self._bank,
            "BLOCK": int(block_rams(self._words_stored, self._word_bits()) > 0),
        }
        memories = banked("weights", self._words(), self._word_bits(), self._bank)
        if self.bias is not None:
            parameters["BIASED"] = 1
            out = self.outputs[0].bits
            words = [pack(fold, out) for fold in self.bias.reshape(-1, self.pe)]
            memories.append(Memory("bias", words, self.pe * out))
        return Instance("matvec", parameters, tuple(memories))

    @property
    def _start(self) -> np.ndarray:
        """What each row's sum starts from."""
        return np.zeros(self.rows, dtype=np.int64) if self.bias is None else self.bias

    @property
    def _words_stored(self) -> int:
        return self.weights.size // (self.pe * self.simd)

    @property
    def _bank(self) -> int:
        """Words of each bank of weights."""
        return rom_bank(self._words_stored, self._word_bits())

    @property
    def _levels(self) -> int:
        """Levels of the adder tree, four to one each."""
        return ((self.simd - 1).bit_length() + 1) // 2

    def _word_bits(self) -> int:
        return self.pe * self.simd * self.weight_bits

    def _words(self) -> list[int]:
        """One word per fold and step: lane (p, s) is the weight of row fold*PE+p and column step*SIMD+s."""
        folds, steps = self.rows // self.pe, self.input.beats_per_pixel
        tiles = self.weights.reshape(folds, self.pe, steps, self.simd).transpose(0, 2, 1, 3)
        return [pack(tile, self.weight_bits) for tile in tiles.reshape(folds * steps, -1)]
