# SPDX-License-Identifier: Apache-2.0
"""Memories of kernels: their images, and the block RAMs and UltraRAMs that they take."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from framegate.hls.stream import check_fit


@dataclass(frozen=True)
class Memory:
    """A memory image: one word per address, written as hexadecimal to `<top>_<kernel>_<suffix><bank>.hex`."""

    suffix: str
    words: list[int]
    bits: int
    bank: int | None = None  # of those that fg_rom.sv keeps


_BLOCK_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))  # words, bits each


def block_rams(words: int, bits: int) -> int:
    """Block RAMs of 18 kbit that hold `words` of `bits`; 0 for what is small enough for LUTs."""
    if words <= 64 or words * bits <= 1024:
        return 0
    return min(-(-words // depth) * -(-bits // width) for depth, width in _BLOCK_SHAPES)


MOST_BANKS = 8  # of a ROM


def rom_bank(words: int, bits: int) -> int:
    """Words of each bank of a ROM, so few that one block RAM is as deep, for the fewest blocks; all of them where
    those are in LUTs or too many.
    """
    shapes = [(depth, width) for depth, width in _BLOCK_SHAPES if depth * MOST_BANKS >= words]
    if not block_rams(words, bits) or not shapes:
        return words
    depth, _ = min(shapes, key=lambda shape: (-(-words // shape[0]) * -(-bits // shape[1]), -shape[0]))
    return min(depth, words)


def banked(suffix: str, words: list[int], bits: int, bank: int) -> list[Memory]:
    """The memory images of a ROM's banks."""
    starts = range(0, len(words), bank)
    return [Memory(suffix, words[start : start + bank], bits, place) for place, start in enumerate(starts)]


def ram_slice(words: int, bits: int) -> int:
    """Bits of each word that a block RAM keeps, so deep that no multiplexer stands behind it; all of them (synthesis
    then splits as it likes) where that takes more than a third more blocks, or none.
    """
    width = next((width for depth, width in _BLOCK_SHAPES if depth >= words), bits)
    return width if width < bits and 3 * -(-bits // width) <= 4 * block_rams(words, bits) else bits


def ram_blocks(words: int, bits: int) -> int:
    """Block RAMs of a memory that is kept in slices."""
    width = ram_slice(words, bits)
    return block_rams(words, bits) if width == bits else -(-bits // width)


_ULTRA_WORDS, _ULTRA_BITS = 4096, 72  # AMD, "UltraScale Architecture Memory Resources", UG573


def ultra_rams(words: int, bits: int) -> int:
    """UltraRAMs that hold `words` of `bits`."""
    return -(-words // _ULTRA_WORDS) * -(-bits // _ULTRA_BITS)


LOAD_BITS = 32  # of a beat that loads a memory


def beats_per_word(bits: int) -> int:
    """Of those, for words of `bits`."""
    return -(-bits // LOAD_BITS)


def in_beats(words: list[int], bits: int, what: str) -> list[int]:
    """The words in beats, each from its lowest bits on. Raises FramegateError when a word has more than `bits`."""
    check_fit(what, words, bits)
    mask = (1 << LOAD_BITS) - 1
    return [word >> LOAD_BITS * beat & mask for word in words for beat in range(beats_per_word(bits))]


def pack(values: np.ndarray, bits: int, what: str, *, signed: bool = False) -> int:
    """Integers as one word, the first in the low bits, `bits` each, two's complement if `signed`.

    Raises FramegateError naming `what` they are when one does not fit.
    """
    numbers = np.asarray(values).reshape(-1).tolist()
    check_fit(what, numbers, bits, signed)
    word = 0
    for position, value in enumerate(numbers):
        word |= (value & ((1 << bits) - 1)) << (position * bits)
    return word


def packed(values: Sequence[int], bits: int, what: str, *, signed: bool = False) -> str:
    """A packed vector of fields of so many bits as a literal, the first in the low bits; raises as `pack`."""
    word, width = pack(np.array(values, dtype=object), bits, what, signed=signed), bits * len(values)
    return f"{width}'h{word:0{-(-width // 4)}x}"
