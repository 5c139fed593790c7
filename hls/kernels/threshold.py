# SPDX-License-Identifier: Apache-2.0
"""Activation: how many of a channel's ascending thresholds the accumulator reaches, by binary search."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._memory import Memory, beats_per_word, block_rams, in_beats, pack, ultra_rams
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream

MOST_BITS = 8  # of the output: search levels that threshold.sv has memories for
_BLOCK_BITS = (
    1536  # what each lane reads of a search level; smaller ones are kept in LUTs, which are slower the larger
)
_BLOCK_LANES = 8  # what more lanes read is kept in LUTs as well: each would need blocks of its own


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold(Stage):
    """base + #{k : x >= thresholds[channel, k]}, as FINN's MultiThreshold; one row serves all channels."""

    PARTS = ("fg_threshold_level", "fg_rom", "fg_ram")
    LOADABLE: ClassVar[bool] = True

    thresholds: np.ndarray  # integers (channels or 1, steps), ascending
    bits: int  # of the output
    base: int  # the output below the first threshold; negative makes the output signed
    in_luts: bool = False  # all search levels, also those that are large enough for block RAM
    ultra: bool = False  # those are in UltraRAM, which starts empty

    def __post_init__(self) -> None:
        rows, steps = self.thresholds.shape
        if not 1 <= self.bits <= MOST_BITS:
            raise UsageError(
                f"{self.name}: activations of {self.bits} bits; use a bit width from 1 to {MOST_BITS}"
            )
        if rows not in (1, self.input.channels) or not 1 <= steps < 1 << self.bits:
            raise UsageError(
                f"{self.name}: thresholds {self.thresholds.shape} do not fit {self.input.channels} channels and "
                f"{self.bits} bits; give one row per channel and at most {(1 << self.bits) - 1} steps"
            )
        if (np.diff(self.thresholds, axis=1) < 0).any():
            raise UsageError(f"{self.name}: thresholds must ascend in every channel")

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (replace(self.input, bits=self.bits, signed=self.base < 0),)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        table, rows, (low, high) = self.lookup
        return np.take(table, np.clip(values[0], low, high) + rows).astype(np.int32)

    @property
    def lookup(self) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
        """The outputs in as few bytes as hold them, each channel's first place among them, and where values are cut:
        a value v of channel c gives the output at v + place of c.
        """
        low, high = self._span
        rows = np.arange(len(self._table), dtype=np.int32) * np.int32(self._table.shape[1]) - np.int32(low)
        return self._table.reshape(-1), rows, (low, high)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(arrivals[0])
        return Timing((taken,), taken + self.bits + 1 + 2 * self._slow.bit_count())

    def cost(self) -> Cost:
        word, lanes = self.input.bits + 1, self.input.lanes
        large = self._large
        loose = sum(
            rows * bits
            for level in range(self.bits)
            if not self._in_block(level)
            for rows, bits in self._memories(level)
        )
        return Cost(
            lut=50 + lanes * self.bits * word + loose // 10,
            ff=lanes * (self.bits + 2 * self._slow.bit_count()) * (word + self.bits)
            + lanes * self.bits * word // 2,
            bram=0 if self.ultra else sum(max(1, block_rams(rows, bits)) for rows, bits in large),
            uram=sum(ultra_rams(rows, bits) for rows, bits in large) if self.ultra else 0,
        )

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.input.lanes,
            "BEATS": self._rows(),
            "IN_BITS": self.input.bits,
            "IN_SIGNED": int(self.input.signed),
            "OUT_BITS": self.bits,
            "BASE": self.base,
            "SLOW": self._slow,
        }
        if self.ultra:
            parameters["ULTRA"] = 1
        kept = [level for level in range(self.bits) if not self._loaded(level)]
        return Instance("fg_threshold", parameters, tuple(self._memory(level) for level in kept))

    @property
    def load_words(self) -> tuple[int, ...]:
        return tuple(rows * beats_per_word(bits) for rows, bits in self._large) if self.ultra else ()

    def load(self) -> list[int]:
        beats: list[int] = []
        for level in filter(self._loaded, range(self.bits)):
            memories = np.split(self._level(level), len(self._memories(level)), axis=1)
            for (_, bits), words in zip(self._memories(level), memories, strict=True):
                beats += in_beats([self._pack(word) for word in words], bits, f"{self.name} level {level}")
        return beats

    @cached_property
    def _reachable(self) -> np.ndarray:
        """The thresholds, with those that no value or every value reaches just outside the input's range."""
        return np.clip(self.thresholds, self.input.low, self.input.high + 1)

    @property
    def _ends(self) -> tuple[int, int]:
        """The smallest and the largest output."""
        return self.base, self.base + self.thresholds.shape[1]

    @property
    def _span(self) -> tuple[int, int]:
        """Below the first value and from the second on the output is that of these two."""
        return int(self._reachable.min()) - 1, int(self._reachable.max())

    @cached_property
    def _table(self) -> np.ndarray:
        """The output for every value of the span, per row of thresholds."""
        low, high = self._span
        steps = np.zeros((len(self.thresholds), high - low + 1), dtype=np.int32)
        for row, thresholds in zip(steps, self._reachable, strict=True):
            np.add.at(row, thresholds - low, 1)
        table = np.cumsum(steps, axis=1, dtype=np.int32) + np.int32(self.base)
        return table.astype(np.result_type(*(np.min_scalar_type(int(end)) for end in self._ends)))

    @cached_property
    def _slow(self) -> int:
        """Bit n: search level n is large enough for block RAM."""
        return sum(1 << level for level in range(self.bits) if self._in_block(level))

    @property
    def _large(self) -> list[tuple[int, int]]:
        """Words and their bits of the memories that are large enough for block RAM."""
        return [size for level in range(self.bits) if self._in_block(level) for size in self._memories(level)]

    def _loaded(self, level: int) -> bool:
        return self.ultra and self._in_block(level)

    def _in_block(self, level: int) -> bool:
        if self.in_luts:
            return False
        large = any(rows * bits >= _BLOCK_BITS for rows, bits in self._memories(level))
        return large and (level == 0 or self.input.lanes <= _BLOCK_LANES)

    def _memories(self, level: int) -> list[tuple[int, int]]:
        """Words and their bits of the memories of a search level; all lanes read one word of the first level."""
        word, lanes = self.input.bits + 1, self.input.lanes
        return [(self._rows(), word * lanes)] if level == 0 else [(self._rows() << level, word)] * lanes

    def _lane_rows(self) -> int:
        return self.input.lanes if len(self.thresholds) > 1 else 1

    def _rows(self) -> int:
        """Beats after which the thresholds repeat."""
        return len(self.thresholds) // self._lane_rows()

    def _memory(self, level: int) -> Memory:
        bits = self.input.bits + 1
        words = [self._pack(word) for word in self._level(level)]
        return Memory(f"level{level}", words, self.input.lanes * bits)

    def _pack(self, lanes: np.ndarray) -> int:
        """Thresholds as a word: a bit more than the input's each, for the one that no value reaches."""
        return pack(lanes, self.input.bits + 1, f"{self.name} thresholds", signed=self.input.signed)

    def _level(self, level: int) -> np.ndarray:
        """Of a search level (words, lanes): the word of (beat, prefix), at a bit more than the input's each."""
        tree = np.full((len(self.thresholds), 1 << self.bits), self.input.high + 1, dtype=np.int64)
        tree[:, 1 : self.thresholds.shape[1] + 1] = self._reachable
        half = 1 << (self.bits - 1 - level)
        picked = tree[:, half :: 2 * half]  # (rows, 2**level)
        lanes = np.broadcast_to(picked, (max(len(picked), self.input.lanes), picked.shape[1]))
        words = lanes.reshape(-1, self.input.lanes, picked.shape[1]).transpose(0, 2, 1)
        return words.reshape(-1, self.input.lanes)
