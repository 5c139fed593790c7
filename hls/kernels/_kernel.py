# SPDX-License-Identifier: Apache-2.0
"""What every kernel has: four methods that say the same thing about one piece of hardware."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from framegate.hls.stream import Stream


@dataclass(frozen=True)
class Timing:
    """Cycles of one pass, counted from any common origin.

    taken: per input stream, the cycle at which each beat is taken (valid and ready).
    appears: the cycle at which each beat of the output is first valid; every output stream carries the same.
    """

    taken: tuple[np.ndarray, ...]
    appears: np.ndarray


@dataclass(frozen=True)
class Cost:
    """Device resources: LUT4s with those of carry chains, flip-flops, 18x18 multipliers, block RAMs of 18 kbit."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram + other.bram)

    def larger(self, other: "Cost") -> "Cost":
        """The larger of each resource."""
        return Cost(
            max(self.lut, other.lut),
            max(self.ff, other.ff),
            max(self.dsp, other.dsp),
            max(self.bram, other.bram),
        )


@dataclass(frozen=True)
class Memory:
    """A memory image: one word per address, written as hexadecimal to `<kernel>_<suffix>.hex`."""

    suffix: str
    words: list[int]
    bits: int


@dataclass(frozen=True)
class Instance:
    """How a kernel stands in the emitted top: its module, parameters and memory images."""

    module: str
    parameters: dict[str, int | str]
    memories: tuple[Memory, ...] = field(default=())


@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel(ABC):
    """A piece of hardware between streams. Subclasses are frozen dataclasses of its static parameters."""

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
    def reference(self, *values: np.ndarray) -> np.ndarray:
        """The definition: integers (clips, T, H, W, C) per input in, integers (clips, T, H, W, C) out."""

    @abstractmethod
    def timing(self, *arrivals: np.ndarray) -> Timing:
        """Exact cycles for whole clips, from the cycle of each input beat's offer, with a sink that never stalls."""

    @abstractmethod
    def cost(self) -> Cost:
        """A model of its area, checked against synthesis in a benchmark."""

    @abstractmethod
    def instance(self) -> Instance:
        """Module name, parameters, memory images."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage(Kernel):
    """A kernel with one input, and unless it says otherwise one output like it."""

    input: Stream

    @property
    def inputs(self) -> tuple[Stream, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        return (self.input,)


_BLOCK_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))  # words, bits each


def block_rams(words: int, bits: int) -> int:
    """Block RAMs of 18 kbit that hold `words` of `bits`; 0 for what is small enough for LUTs."""
    if words <= 64 or words * bits <= 1024:
        return 0
    return min(-(-words // depth) * -(-bits // width) for depth, width in _BLOCK_SHAPES)


def serial(earliest: np.ndarray, gap: int = 1) -> np.ndarray:
    """Times t[i] = max(earliest[i], t[i-1] + gap): one event after the other, in order."""
    slack = np.arange(len(earliest), dtype=np.int64) * gap
    return np.maximum.accumulate(earliest - slack) + slack


def pack(values: np.ndarray, bits: int) -> int:
    """Integers as one word, the first in the low bits, two's complement in `bits` each."""
    word = 0
    for position, value in enumerate(np.asarray(values).reshape(-1).tolist()):
        word |= (int(value) & ((1 << bits) - 1)) << (position * bits)
    return word


def fields16(values: list[int]) -> str:
    """A packed vector of 16-bit fields as a literal, the first in the low bits."""
    return f"{16 * len(values)}'h{pack(np.array(values), 16):0{4 * len(values)}x}"
