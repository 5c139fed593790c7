# SPDX-License-Identifier: Apache-2.0
"""When beats pass: cycles of each, and the arithmetic on them that the kernels share."""

from dataclasses import dataclass

import numpy as np


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
