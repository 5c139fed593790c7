# SPDX-License-Identifier: Apache-2.0
"""A buffer of beats, cycle by cycle: what the times of windows are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Read:
    """One beat that is read."""

    needs: int  # the last beat that must have been written
    keeps: int  # the first beat whose place it still needs


def stepped(offers: Sequence[int], places: int, reads: Sequence[Read]) -> tuple[list[int], list[int]]:
    """The cycles in which beats are written and in which they are read.

    In a cycle the next beat is written if it is offered and its place is free, and the next one is read if what it
    needs is there: after the cycles before.
    """
    # A place is free when no read to come needs a beat as old as the one in it, or an older one.
    lows = [*np.minimum.accumulate([read.keeps for read in reads][::-1])[::-1].tolist(), len(offers)]
    written: list[int] = []
    done: list[int] = []
    cycle = 0
    while len(written) < len(offers) or len(done) < len(reads):
        may_write = (
            len(written) < len(offers)
            and offers[len(written)] <= cycle
            and len(written) < places + lows[len(done)]
        )
        may_read = len(done) < len(reads) and reads[len(done)].needs < len(written)
        written += [cycle] * may_write
        done += [cycle] * may_read
        cycle += 1
        assert cycle < 100_000, "stuck"
    return written, done
