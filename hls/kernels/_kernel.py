# SPDX-License-Identifier: Apache-2.0
"""What every kernel is: its streams, parameters, reference, timing and cost."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._memory import Memory, ram_blocks, ram_slice, ultra_rams
from framegate.hls.kernels._timing import Timing
from framegate.hls.stream import Stream


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
    MOVES: ClassVar[bool] = False  # its reference gives values as they are, of whatever type of integer
    BURSTS: ClassVar[bool] = False  # its timing takes Bursts as they are

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

        Those with BURSTS, as what reads windows, also take a `Bursts` for each.
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
