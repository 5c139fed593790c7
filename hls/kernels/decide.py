# SPDX-License-Identifier: Apache-2.0
"""Decision: all logits of a clip on one beat, with the class of the largest and the alarms."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.kernels._kernel import Instance, Stage
from framegate.hls.kernels._memory import pack
from framegate.hls.kernels._timing import Timing, serial
from framegate.hls.stream import Stream


def integer_threshold(logit: float, scale: float) -> int:
    """The lowest integer whose value, times `scale`, is at least `logit`: exact, whatever the two floats are.

    An infinite logit gives an integer beyond every score.
    """
    if math.isinf(logit):
        return int(math.copysign(2**62, logit))
    return math.ceil(Fraction(logit) / Fraction(scale))


@dataclass(frozen=True, kw_only=True, eq=False)
class Decide(Stage):
    """The class of the largest logit (the lowest class wins a tie), and alarms: score >= threshold, on integers.

    One of several classes: the score of `positive` (-1: no alarm) is its logit minus the largest other one, and
    `thresholds` holds one integer. Independent classes: every logit has its own threshold, and `positive` names the
    class whose alarm goes into the decision. Without `thresholds` they are 0.

    The output pixel has one 32-bit channel per class; if several classes are independent, words with a bit per
    class, class 0 lowest; then {alarm, class[6:0]} in the low byte of the last word.
    """

    WORD = 32
    SCORE = 34  # bits of the difference of two logits, and of a threshold beyond every such difference

    positive: int = -1
    independent: bool = False
    thresholds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        bits = self.input.bits + (0 if self.input.signed else 1)
        if self.input.channels > 127 or self.input.pixels != 1 or bits > self.WORD:
            raise UsageError(
                f"{self.name}: decides between at most 127 classes with logits of at most {self.WORD} bits, "
                f"one score per class; got {self.input.shape} of {self.input.bits} bits"
            )
        if not self.independent and self.input.channels == 1 and self.positive >= 0:
            raise UsageError(
                f"{self.name}: one class has no other to compare with; use independent labels, or two classes"
            )
        if self.thresholds and len(self.thresholds) != self.alarms:
            raise UsageError(f"{self.name}: {len(self.thresholds)} thresholds for {self.alarms} alarms")

    @property
    def alarms(self) -> int:
        """How many thresholds there are."""
        return self.input.channels if self.independent else int(self.positive >= 0)

    @property
    def words(self) -> int:
        """Words with a bit per class."""
        return -(-self.input.channels // self.WORD) if self.independent and self.input.channels > 1 else 0

    @property
    def outputs(self) -> tuple[Stream, ...]:
        channels = self.input.channels + self.words + 1
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

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """What is compared with the thresholds, (…, A), of logits (…, K): A is K if independent, else 0 or 1."""
        if self.independent:
            return logits
        if self.positive < 0:
            return logits[..., :0]
        others = np.delete(logits, self.positive, axis=-1).max(axis=-1)
        return (logits[..., self.positive] - others)[..., None]

    def decide(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class (…,) and alarms (…, A), bool, of integer logits (…, K)."""
        table = logits.astype(np.int64)
        return table.argmax(axis=-1), self.scores(table) >= np.array(self.limits(), dtype=np.int64)

    def reference(self, *values: np.ndarray) -> np.ndarray:
        winner, raised = self.decide(values[0])
        alarm = np.zeros(winner.shape, dtype=np.int64)
        if self.positive >= 0:
            alarm = raised[..., self.positive if self.independent else 0].astype(np.int64)
        parts = [values[0]]
        for word in range(self.words):
            bits = raised[..., self.WORD * word : self.WORD * (word + 1)].astype(np.int64)
            packed = (bits << np.arange(bits.shape[-1])).sum(axis=-1)
            parts.append(np.where(packed >> 31, packed - (1 << 32), packed)[..., None])
        parts.append((winner + 128 * alarm)[..., None])
        return np.concatenate([part.astype(values[0].dtype) for part in parts], axis=-1)

    def limits(self) -> tuple[int, ...]:
        """The thresholds, brought to just outside what a score can be if they are far outside."""
        reach = 1 << (self.SCORE - 1)
        return tuple(min(max(limit, -reach), reach - 1) for limit in self.thresholds or (0,) * self.alarms)

    def timing(self, *arrivals: np.ndarray) -> Timing:
        taken = serial(arrivals[0])
        last = taken[self.input.beats_per_pixel - 1 :: self.input.beats_per_pixel]
        return Timing((taken,), last + 1)

    def cost(self) -> Cost:
        bits = self.input.bits
        alarm = self.SCORE * (self.input.lanes if self.independent else 4 * self.alarms)
        return Cost(lut=3 * bits * self.input.lanes + 16 + alarm, ff=bits * (self.input.channels + 1) + 16)

    def instance(self) -> Instance:
        parameters: dict[str, int | str] = {
            "LANES": self.input.lanes,
            "IN_BITS": self.input.bits,
            "SIGNED": int(self.input.signed),
            "CLASSES": self.input.channels,
            "POSITIVE": self.positive,
        }
        if self.independent:
            parameters["INDEPENDENT"] = 1
        if limits := self.limits():
            word = pack(np.array(limits), self.SCORE, f"{self.name} thresholds", signed=True)
            parameters["THRESHOLDS"] = f"{self.SCORE * len(limits)}'h{word:x}"
        return Instance("fg_decide", parameters)
