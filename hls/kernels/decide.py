# SPDX-License-Identifier: Apache-2.0
"""Decision: all logits of a clip on one beat, with the class of the largest and the alarm."""

from dataclasses import dataclass

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._kernel import Cost, Instance, Stage, Timing, serial
from framegate.hls.stream import Stream


@dataclass(frozen=True, kw_only=True, eq=False)
class Decide(Stage):
    """Argmax (the lowest class wins a tie); alarm when it is the class `positive` (-1: never).

    The output pixel has one 32-bit channel per class, then {alarm, class[6:0]} in the low byte of one more.
    """

    WORD = 32

    positive: int = -1

    def __post_init__(self) -> None:
        if self.input.channels > 127 or self.input.pixels != 1 or self.input.bits > self.WORD:
            raise UsageError(
                f"{self.name}: decides between at most 127 classes with logits of at most {self.WORD} bits, "
                f"one score per class; got {self.input.shape} of {self.input.bits} bits"
            )

    @property
    def outputs(self) -> tuple[Stream, ...]:
        channels = self.input.channels + 1
        stream = Stream(
            frames=self.input.frames,
            height=1,
            width=1,
            channels=channels,
            bits=self.WORD,
            signed=True,
            lanes=channels,
        )
        return (stream,)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        winner = values[0].argmax(axis=-1)[..., None]
        decision = winner + 128 * (winner == self.positive)
        return np.concatenate([values[0], decision.astype(values[0].dtype)], axis=-1)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(arrivals[0])
        last = taken[self.input.beats_per_pixel - 1 :: self.input.beats_per_pixel]
        return Timing((taken,), last + 1)

    def cost(self) -> Cost:
        bits = self.input.bits
        return Cost(lut=3 * bits * self.input.lanes + 16, ff=bits * (self.input.channels + 1) + 16)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.input.lanes,
            "IN_BITS": self.input.bits,
            "SIGNED": int(self.input.signed),
            "CLASSES": self.input.channels,
            "POSITIVE": self.positive,
        }
        return Instance("decide", parameters)
