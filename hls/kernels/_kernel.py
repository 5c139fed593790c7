# SPDX-License-Identifier: Apache-2.0
"""What every kernel has: four methods that say the same thing about one piece of hardware."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from framegate.errors import UsageError
from framegate.hls.stream import Stream, bits_for, check_fit


@dataclass(frozen=True, eq=False)
class Bursts:
    """Cycles of beats that come in bursts without a pause: far fewer numbers than one per beat.

    A burst starts when the one before it is over, or later.
    """

    starts: np.ndarray
    length: int  # beats of each

    def __len__(self) -> int:
        return len(self.starts) * self.length


Beats = np.ndarray | Bursts  # the cycle of each beat


@dataclass(frozen=True)
class Timing:
    """Cycles of one pass, counted from any common origin.

    taken: per input stream, the cycle at which each beat is taken (valid and ready).
    appears: the cycle at which each beat of the output is first valid; every output stream carries the same.
    """

    taken: tuple[Beats, ...]
    appears: Beats


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


@dataclass(frozen=True)
class Memory:
    """A memory image: one word per address, written as hexadecimal to `<top>_<kernel>_<suffix><bank>.hex`."""

    suffix: str
    words: list[int]
    bits: int
    bank: int | None = None  # of those that fg_rom.sv keeps


@dataclass(frozen=True)
class Instance:
    """How a kernel stands in the emitted top: its module, parameters and memory images."""

    module: str
    parameters: dict[str, int | str]
    memories: tuple[Memory, ...] = field(default=())


@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel(ABC):
    """A piece of hardware between streams. Subclasses are frozen dataclasses of its static parameters."""

    REGISTERED_READY: ClassVar[bool] = False  # its inputs' `ready` depends on registers alone
    READY_HOPS: ClassVar[int] = 1  # its share of a chain of `ready`, see handshake.py
    PARTS: ClassVar[tuple[str, ...]] = ()  # stems of the modules that its own is made of, beside it
    LOADABLE: ClassVar[bool] = False  # it has pins by which memories are loaded

    name: str

    @property
    @abstractmethod
    def inputs(self) -> tuple[Stream, ...]:
        """The streams it takes, in port order."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Stream, ...]:
        """The streams it drives, in port order; all carry the same values."""

    @property
    def ports(self) -> tuple[str, ...]:
        """Prefixes of the handshake ports, inputs then outputs."""
        return ("in", "out")

    @property
    def cycles_per_clip(self) -> int:
        """Cycles that it needs per clip when never waiting."""
        return max(stream.beats for stream in (*self.inputs, *self.outputs))

    @abstractmethod
    def taking(self, *streams: Stream) -> Self:
        """The same kernel for other input streams."""

    @abstractmethod
    def reference(self, *values: np.ndarray) -> np.ndarray:
        """The definition: integers (clips, T, H, W, C) per input in, integers (clips, T, H, W, C) out."""

    @abstractmethod
    def timing(self, *arrivals: np.ndarray) -> Timing:
        """Exact cycles for whole clips, from the cycle of each input beat's offer, with a sink that never stalls.

        The kernels that read windows also take Bursts.
        """

    @abstractmethod
    def cost(self) -> Cost:
        """A model of its area, checked against synthesis in a benchmark."""

    @abstractmethod
    def instance(self) -> Instance:
        """Module name, parameters, memory images."""

    @property
    def load_words(self) -> tuple[int, ...]:
        """How many beats of `load` go to each of its memories that start empty."""
        return ()

    def load(self) -> list[int]:
        """The 32-bit beats that fill those before the first pixel, one memory after the other."""
        return []


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage(Kernel):
    """A kernel with one input, and unless it says otherwise one output like it."""

    input: Stream

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (self.input,)

    def taking(self, *streams: Stream) -> Self:
        return replace(self, input=streams[0])

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (self.input,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Join(Kernel):
    """A kernel that makes one stream of two."""

    left: Stream
    right: Stream

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return self.left, self.right

    @property
    def ports(self) -> tuple[str, ...]:
        return ("left", "right", "out")

    def taking(self, *streams: Stream) -> Self:
        return replace(self, left=streams[0], right=streams[1])


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Buffer(Stage):
    """A kernel whose memory is written as it runs, so that it may be in UltraRAM, which starts empty."""

    ultra: bool = False  # it is in UltraRAM

    @property
    @abstractmethod
    def words(self) -> int:
        """Beats that the memory holds."""

    def _memory_cost(self) -> Cost:
        bits = self.input.beat_bits
        if self.ultra:
            return Cost(uram=ultra_rams(self.words, bits))
        blocks = ram_blocks(self.words, bits)
        return Cost(bram=blocks) if blocks else Cost(lut=self.words * bits // 8)

    def _memory_parameters(self) -> dict[str, int | str]:
        """How fg_ram.sv keeps it."""
        bits = self.input.beat_bits
        return {"SLICE": bits, "ULTRA": 1} if self.ultra else {"SLICE": ram_slice(self.words, bits)}


def lut_product(in_bits: int, weight_bits: int) -> int:
    """LUT4s of a product that is a sum of shifted values: a gated row, and a carry chain, per bit of the weight; of two
    bits (ternary and binary weights) a choice and a carry chain, or a LUT per bit of the product.
    """
    if weight_bits == TERNARY_BITS:
        return in_bits + 2 if in_bits <= TERNARY_BITS else 2 * in_bits + 6
    return weight_bits * (2 * in_bits + 3)


def constant_products(weights: np.ndarray, in_bits: int) -> Cost:
    """LUT4s and registers of products by constants: synthesis keeps the carry chains between the bits of each weight
    that are set, once for all rows that have the same weight in a column.
    """
    bits = weight_bits(weights)
    distinct = [np.unique(column) & ((1 << bits) - 1) for column in weights.T]
    chains = sum(max(int(weight).bit_count() - 1, 0) for column in distinct for weight in column)
    return Cost(lut=chains * (in_bits + 1), ff=sum(map(len, distinct)) * (in_bits + bits))


MOST_BITS_IN_LUTS = 4  # of a weight
TERNARY_BITS = 2  # of weights that are -2 … 1: their products need no multiplier
MULTIPLIER_BITS = 18  # of a multiplier's narrower factor
PRODUCT_PARTS = (
    "fg_multiplier",
    "fg_inferred_multiplier",
    "fg_lut_product",
    "fg_adder_tree",
)  # of a kernel that multiplies


def check_multiply(name: str, multiply: str, weight_bits: int) -> None:
    """Raise UsageError for products in LUTs with weights that are too wide for it."""
    if multiply == "lut" and weight_bits > MOST_BITS_IN_LUTS:
        raise UsageError(
            f"{name}: products of {weight_bits}-bit weights are not made of LUTs, only up to {MOST_BITS_IN_LUTS} bits; "
            f"use multipliers"
        )


def serial(earliest: np.ndarray, gap: int = 1) -> np.ndarray:
    """Times t[i] = max(earliest[i], t[i-1] + gap): one event after the other, in order."""
    slack = np.arange(len(earliest), dtype=np.int64) * gap
    return np.maximum.accumulate(earliest - slack) + slack


def taken_at_once(offered: Beats) -> Beats:
    """When a kernel that takes a beat per cycle takes them."""
    return offered if isinstance(offered, Bursts) else serial(offered)


def every(times: Beats, count: int) -> np.ndarray:
    """Of each `count` beats the last one's cycle."""
    if isinstance(times, Bursts):
        return (times.starts[:, None] + np.arange(count - 1, times.length, count)).reshape(-1)
    return times[count - 1 :: count]


def each_beat(times: Beats) -> np.ndarray:
    """A cycle per beat."""
    return (
        (times.starts[:, None] + np.arange(times.length)).reshape(-1) if isinstance(times, Bursts) else times
    )


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


_Remembered = dict[tuple[Any, ...], tuple[weakref.ref, Any]]
_OF_WEIGHTS: _Remembered = {}


def _remembered(weights: np.ndarray, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
    """What `compute` says about `weights`, kept while they live: folding asks for the same hundreds of times."""
    key = (id(weights), *key)
    if key not in _OF_WEIGHTS or _OF_WEIGHTS[key][0]() is not weights:
        _OF_WEIGHTS[key] = weakref.ref(weights, lambda _: _OF_WEIGHTS.pop(key, None)), compute()
    return _OF_WEIGHTS[key][1]


def weight_bits(weights: np.ndarray) -> int:
    """Bits of the widest weight, two's complement, at least 2."""

    def compute() -> int:
        return max(bits_for(min(int(weights.min()), -1), max(int(weights.max()), 0))[0], 2)

    return _remembered(weights, ("bits",), compute)


def accumulator_bounds(weights: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Per row of `weights` the smallest and the largest sum of products with values low … high."""

    def compute() -> tuple[np.ndarray, np.ndarray]:
        positive = np.maximum(weights, 0).sum(axis=1)
        negative = weights.sum(axis=1) - positive
        return positive * low + negative * high, positive * high + negative * low

    return _remembered(weights, ("bounds", low, high), compute)
