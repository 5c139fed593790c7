# SPDX-License-Identifier: Apache-2.0
"""Exact comparison on integers; a difference is named by kernel, clip, frame, pixel and channel."""

from dataclasses import dataclass

import numpy as np
from framegate.hls.stream import Stream, from_beats


@dataclass(frozen=True)
class Difference:
    """Values compared, how many differ, and the first of them in words (None when all agree)."""

    values: int
    mismatches: int
    first: str | None


def compare(name: str, expected: np.ndarray, actual: np.ndarray) -> Difference:
    """Compare integers of shape (clips, T, H, W, C) that kernel or stream `name` puts out."""
    if expected.shape != actual.shape:
        return Difference(
            expected.size, expected.size, f"{name}: shape {actual.shape}, expected {expected.shape}"
        )
    wrong = np.argwhere(expected != actual)
    if not len(wrong):
        return Difference(expected.size, 0, None)
    clip, frame, row, column, channel = (int(index) for index in wrong[0])
    place = f"clip {clip}, frame {frame}, pixel ({row}, {column}), channel {channel}"
    found, wanted = actual[tuple(wrong[0])], expected[tuple(wrong[0])]
    return Difference(expected.size, len(wrong), f"{name}: {place}: {found}, expected {wanted}")


def compare_words(name: str, expected: np.ndarray, words: list[int], stream: Stream) -> Difference:
    """Compare the words that travelled on `stream` with the integers (clips, T, H, W, C) that should have.

    Every repeat of a pixel is compared; the first repeat that differs is the one that is named.
    """
    size = expected.size * stream.repeat
    if len(words) * stream.lanes != size:
        return Difference(size, size, f"{name}: {len(words)} beats, expected {size // stream.lanes}")
    unknown = next((beat for beat, word in enumerate(words) if word < 0), None)
    if unknown is not None:
        return Difference(size, size, f"{name}: beat {unknown} has undefined bits")
    pixels = (*expected.shape[:-1], stream.repeat, stream.channels)
    sent = np.moveaxis(from_beats(words, stream).reshape(pixels), -2, 0)
    found = [compare(name, expected, repeat) for repeat in sent]
    first = next((difference.first for difference in found if difference.first), None)
    return Difference(size, sum(difference.mismatches for difference in found), first)
