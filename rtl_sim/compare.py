# SPDX-License-Identifier: Apache-2.0
"""Exact comparison on integers; a difference is named by kernel, clip, frame, pixel and channel."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.emission.emit import Net, nets
from framegate.hls.stream import Stream, from_beats, to_beats
from framegate.rtl_sim import reference
from framegate.rtl_sim.bench.simulator import Recording


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


def differences(
    dataflow: Dataflow, pixels: np.ndarray, streams: Mapping[str, Recording]
) -> Iterator[Difference]:
    """Compare every recorded stream with the integer reference on `pixels` (clips, T, H, W, C), kernel by kernel."""
    by_producer: dict[str, list[Net]] = {}
    for net in nets(dataflow):
        if net.name in streams:
            by_producer.setdefault(net.producer, []).append(net)
    for name, values in [(PIXELS, pixels), *reference.outputs(dataflow, pixels)]:
        for net in by_producer.get(name, []):
            yield compare_words(net.name, values, streams[net.name].words, net.stream)


def differences_of_a_part(
    dataflow: Dataflow, pixels: np.ndarray, streams: Mapping[str, Recording]
) -> Iterator[Difference]:
    """As `differences`, of streams that were cut off: what passed must be how the expected beats begin."""
    produced = dict([(PIXELS, pixels), *reference.outputs(dataflow, pixels)])
    for net in nets(dataflow):
        if net.name in streams:
            passed, values = streams[net.name].words, produced[net.producer]
            whole = [*passed, *to_beats(values, net.stream)[len(passed) :]]
            found = compare_words(net.name, values, whole, net.stream)
            yield replace(found, values=len(passed) * net.stream.lanes)


def total(found: Iterable[Difference]) -> Difference:
    """All of them as one; the first that differs is the one that is named."""
    found = list(found)
    return Difference(
        sum(difference.values for difference in found),
        sum(difference.mismatches for difference in found),
        next((difference.first for difference in found if difference.first), None),
    )
