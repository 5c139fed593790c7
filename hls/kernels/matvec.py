# SPDX-License-Identifier: Apache-2.0
"""Matrix-vector product: PE rows times SIMD columns per cycle, weights and biases on chip."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._memory import (
    Memory,
    banked,
    beats_per_word,
    block_rams,
    in_beats,
    pack,
    rom_bank,
    ultra_rams,
)
from framegate.hls.kernels._product import (
    MULTIPLIER_BITS,
    PRODUCT_PARTS,
    accumulator_bounds,
    check_multiply,
    constant_products,
    lut_product,
    weight_bits,
)
from framegate.hls.kernels._timing import Beats, Timing, every, taken_at_once
from framegate.hls.stream import Stream, bits_for, divisors

_LUT_WORDS = 16  # that a LUT holds a bit of


@dataclass(frozen=True, kw_only=True, eq=False)
class MatVec(Stage):
    """weights @ pixel + bias. The input repeats every pixel rows/pe times; SIMD is its number of lanes."""

    BURSTS: ClassVar[bool] = True
    PARTS = (*PRODUCT_PARTS, "fg_rom", "fg_ram")
    LOADABLE: ClassVar[bool] = True
    READY_HOPS: ClassVar[int] = 2  # it enables the most registers of all kernels

    weights: np.ndarray  # integers (rows, columns)
    pe: int = 1
    bias: np.ndarray | None = None  # integers (rows,)
    multiply: Literal["dsp", "lut"] = "dsp"  # what makes the products
    factor_bits: int = 18  # of a multiplier's wider factor; the other one has 18
    cascade: int = 1  # multipliers that add their products themselves
    ultra: bool = False  # weights are in UltraRAM, which starts empty

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
        """Registers: fetch, perhaps bank, operands, factors, products, perhaps again, additions of four and a split,
        accumulator.
        """
        return 6 + int(self._bank < self._words_stored) + int(self._apart) + self._levels

    @property
    def multipliers(self) -> int:
        """Products per cycle."""
        return self.pe * self.simd

    @property
    def rows_at_once(self) -> int:
        """Rows of few bits that share a multiplier, their products side by side."""
        if self.multiply == "lut" or self.input.bits >= MULTIPLIER_BITS:
            return 1
        free = max(0, self.factor_bits - 1 - self.weight_bits)  # weights may be wider than a factor
        return min(1 + free // self._term_bits, self.pe)

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
        out = self.outputs[0].bits
        folded = self.input.beats_per_pixel > 1  # sums are of several beats
        around = Cost(lut=40, ff=24 + 2 * self.simd * self.input.bits)
        sums = Cost(lut=2 * self.pe * out if folded else 0, ff=self.pe * out)
        biases = Cost(lut=self.rows * out // 16 + self.pe * out + 16, ff=self.pe * out)
        parts = (around, self._weights_cost(), self._products_cost(), self._tree_cost(), sums)
        return sum(parts, Cost() if self.bias is None else biases)

    def _weights_cost(self) -> Cost:
        """Of the memory and the registers behind it, which are in a block RAM if that is."""
        words, bits = self._words_stored, self._word_bits()
        if self.ultra:
            return Cost(uram=ultra_rams(words, bits))
        if self.constant:
            return Cost()
        if blocks := block_rams(words, bits):
            return Cost(bram=blocks)
        if words <= _LUT_WORDS:
            return Cost(lut=bits // 2, ff=bits)  # many bits are the same
        return Cost(lut=bits * -(-words // _LUT_WORDS), ff=2 * bits)

    def _products_cost(self) -> Cost:
        products, groups = self.multipliers, self._groups
        if self.multiply == "dsp":
            return Cost(
                lut=2 * (self.pe - groups) * self.simd, dsp=groups * self.simd
            )  # digits become one factor
        if self.constant:
            return constant_products(self.weights, self.input.bits)
        return Cost(
            lut=products * lut_product(self.input.bits, self.weight_bits),
            ff=products * (self.input.bits + 2 * self.weight_bits) + self.simd * self.input.bits,
        )

    def _tree_cost(self) -> Cost:
        """Of the additions of products side by side, the split, and those behind it."""
        together, field = self._levels_together, min(self._field_wanted, self._field_widest)
        left = -(-self._terms // 4**together)
        last = min(self.outputs[0].bits, field + 2)
        in_tree = sum(-(-self._terms // 4**level) for level in range(1, together + 1))
        behind = sum(-(-left // 4**level) for level in range(1, self._levels - together + 1))
        return Cost(
            # The first sums of rows alone are narrower than the last.
            lut=(self._terms - left) * self.pe * (field if self.rows_at_once > 1 else field - 1)
            + left * (self.pe - self._groups) * field
            + (left - 1) * self.pe * last,
            ff=self.pe * ((in_tree + left + self._apart * self._terms) * field + behind * last),
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
            "FACTOR": self.factor_bits,
            "CASCADE": self.cascade,
            "BANK": self._bank,
            "BLOCK": int(block_rams(self._words_stored, self._word_bits()) > 0),
        }
        memories = [] if self.ultra else banked("weights", self._words(), self._word_bits(), self._bank)
        if self.ultra:
            parameters["ULTRA"] = 1
        if self.bias is not None:
            parameters["BIASED"] = 1
            out = self.outputs[0].bits
            what = f"{self.name} bias"
            words = [pack(fold, out, what, signed=True) for fold in self.bias.reshape(-1, self.pe)]
            memories.append(Memory("bias", words, self.pe * out))
        return Instance("fg_matvec", parameters, tuple(memories))

    @property
    def load_words(self) -> tuple[int, ...]:
        return (self._words_stored * beats_per_word(self._word_bits()),) if self.ultra else ()

    def load(self) -> list[int]:
        return in_beats(self._words(), self._word_bits(), f"{self.name} weights") if self.ultra else []

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
        return ((self._terms - 1).bit_length() + 1) // 2

    @property
    def _apart(self) -> bool:
        """Whether products have a register on their way to the adders."""
        return self.multiply == "dsp" and self.cascade == 1 and self._levels_together > 0

    @property
    def _groups(self) -> int:
        """Of rows that share multipliers."""
        return -(-self.pe // self.rows_at_once)

    @property
    def _terms(self) -> int:
        """Of the adder tree, per row."""
        return -(-self.simd // self._added)

    @property
    def _added(self) -> int:
        """Products per term: those that multipliers add."""
        return self.cascade if self.multiply == "dsp" and self.cascade < self.simd else 1

    @property
    def _term_bits(self) -> int:
        return self.input.bits + self.weight_bits + (self._added - 1).bit_length()

    @property
    def _field_widest(self) -> int:
        """Bits that a shared multiplier has for the sums of each row's products."""
        rows = self.rows_at_once
        return (self.factor_bits - 1 - self.weight_bits) // (rows - 1) if rows > 1 else self._field_wanted

    @property
    def _field_wanted(self) -> int:
        """Bits of the sum of a row's products."""
        return self.input.bits + self.weight_bits + (self.simd - 1).bit_length()

    @property
    def _levels_together(self) -> int:
        """Levels of the adder tree that add the products of rows that share multipliers side by side."""
        if self._field_wanted <= self._field_widest:
            return self._levels
        return (self._field_widest - self._term_bits) // 2

    def _word_bits(self) -> int:
        return self.pe * self.simd * self.weight_bits

    def _words(self) -> list[int]:
        """One word per fold and step: lane (p, s) is the weight of row fold*PE+p and column step*SIMD+s, as a digit."""
        folds, steps = self.rows // self.pe, self.input.beats_per_pixel
        tiles = self.weights.reshape(folds, self.pe, steps, self.simd).copy()
        for row in range(self.pe):
            if (
                row % self.rows_at_once
            ):  # the multiplier adds up what it holds: what is negative borrows from above
                tiles[:, row] -= tiles[:, row - 1] < 0
        # The smallest weight, less one, is written as the largest: matvec.sv knows that none was borrowed from that.
        tiles[tiles < -(1 << self.weight_bits - 1)] += 1 << self.weight_bits
        words = tiles.transpose(0, 2, 1, 3).reshape(folds * steps, -1)
        return [pack(word, self.weight_bits, f"{self.name} weights", signed=True) for word in words]
