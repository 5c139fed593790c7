# SPDX-License-Identifier: Apache-2.0
"""What travels on one valid/ready/data connection, and how integers are laid out on its beats."""

from dataclasses import dataclass

import numpy as np
from framegate.errors import UsageError


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
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest value of a channel."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1


def divisors(number: int) -> list[int]:
    """The divisors of `number`, ascending."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


def bits_for(low: int, high: int) -> tuple[int, bool]:
    """(bits, signed) of the smallest integer type that holds `low` … `high`."""
    if low >= 0:
        return max(1, int(high).bit_length()), False
    return max(int(high).bit_length(), int(-low - 1).bit_length()) + 1, True


def to_beats(values: np.ndarray, stream: Stream) -> list[int]:
    """Lay integers of shape (clips, T, H, W, C) out as the words that travel on `stream`."""
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
