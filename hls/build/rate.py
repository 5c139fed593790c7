# SPDX-License-Identifier: Apache-2.0
"""The rate that a person asks for."""

from framegate.errors import UsageError

FASTEST = "max"
_MOST_FRAMES = 1e9  # per second: one in each cycle of the fastest clock


def frames_per_second(rate: str) -> float | None:
    """A rate in words as frames per second, above 0 and up to 1e9; None for "max", the fastest that fits.

    Raises UsageError for anything else.
    """
    if rate == FASTEST:
        return None
    try:
        frames = float(rate)
    except ValueError:
        frames = 0.0
    if not 0 < frames <= _MOST_FRAMES:
        raise UsageError(
            f'--rate {rate}: give frames per second, above 0 and up to {_MOST_FRAMES:g}, or "{FASTEST}" for the '
            f"fastest that fits"
        )
    return frames
