# SPDX-License-Identifier: Apache-2.0
"""What travels on one valid/ready/data connection, and how integers are laid out on its beats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from framegate.errors import FramegateError, UsageError


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Frames in time order, raster order inside, channels ascending inside a pixel.

    A beat is `lanes` neighbouring channels, lane 0 in the low bits. With `repeat` > 1 each pixel is sent that many
    times over (a matrix-vector kernel reads its window once per fold of its rows).
    """

    frames: int  # per clip
    height: int
    width: int
    channels: int
    bits: int  # of one channel
    signed: bool
    lanes: int = 1
    repeat: int = 1

    def __post_init__(self) -> None:
        if self.channels % self.lanes:
            raise UsageError(
                f"a stream of {self.channels} channels cannot have {self.lanes} lanes; "
                f"choose one of {divisors(self.channels)}"
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C) of one clip."""
        return self.frames, self.height, self.width, self.channels

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.height * self.width

    @property
    def beats_per_pixel(self) -> int:
        """Beats that carry one pixel once."""
        return self.channels // self.lanes

    @property
    def beats_per_frame(self) -> int:
        """Beats of a frame, with its repeats."""
        return self.pixels * self.repeat * self.beats_per_pixel

    @property
    def beats(self) -> int:
        """Beats of a clip."""
        return self.frames * self.beats_per_frame

    @property
    def beat_bits(self) -> int:
        """Bits of a beat."""
        return self.lanes * self.bits

    @property
    def low(self) -> int:
        """Smallest value of a channel."""
        return bounds_of(self.bits, self.signed)[0]

    @property
    def high(self) -> int:
        """Largest value of a channel."""
        return bounds_of(self.bits, self.signed)[1]


def divisors(number: int) -> list[int]:
    """The divisors of `number`, ascending."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


def bits_for(low: int, high: int) -> tuple[int, bool]:
    """(bits, signed) of the smallest integer type that holds `low` … `high`."""
    if low >= 0:
        return max(1, int(high).bit_length()), False
    return max(int(high).bit_length(), int(-low - 1).bit_length()) + 1, True


def bounds_of(bits: int, signed: bool) -> tuple[int, int]:
    """The smallest and the largest integer of `bits`."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def check_fit(what: str, values: Sequence[int] | np.ndarray, bits: int, signed: bool = False) -> None:
    """Raise FramegateError naming `what` when one of `values` (flat) does not fit into `bits`: none is cut silently."""
    if not len(values):
        return
    low, high = bounds_of(bits, signed)
    ends = (values.min(), values.max()) if isinstance(values, np.ndarray) else (min(values), max(values))
    for end in ends:
        if not low <= end <= high:
            raise FramegateError(f"{what}: {end} does not fit into {bits} bits, which hold {low} to {high}")


def to_beats(values: np.ndarray, stream: Stream, what: str = "a stream") -> list[int]:
    """Lay integers of shape (clips, T, H, W, C) out as the words that travel on `stream`.

    Raises FramegateError naming `what` travels when a value does not fit.
    """
    check_fit(what, values.reshape(-1), stream.bits, stream.signed)
    lanes = values.reshape(-1, 1, stream.beats_per_pixel, stream.lanes).astype(np.int64) & (
        (1 << stream.bits) - 1
    )
    words = np.zeros(lanes.shape[:-1], dtype=object)
    for lane in range(stream.lanes):
        words |= lanes[..., lane].astype(object) << (lane * stream.bits)
    return list(np.broadcast_to(words, (len(words), stream.repeat, stream.beats_per_pixel)).reshape(-1))


def from_beats(words: list[int], stream: Stream) -> np.ndarray:
    """Integers (beats, lanes) of the words that travelled on `stream`."""
    packed = np.array(words, dtype=object).reshape(-1, 1)
    shifts = np.array([lane * stream.bits for lane in range(stream.lanes)], dtype=object)
    values = ((packed >> shifts) & ((1 << stream.bits) - 1)).astype(np.int64)
    return np.where(values > stream.high, values - (1 << stream.bits), values) if stream.signed else values
