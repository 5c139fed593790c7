# SPDX-License-Identifier: Apache-2.0
"""Integers to beats and back."""

import numpy as np
import pytest
from framegate.errors import FramegateError, UsageError
from framegate.hls.emission.emit import image
from framegate.hls.kernels import Memory, packed
from framegate.hls.kernels._memory import in_beats, pack
from framegate.hls.stream import Stream, bits_for, divisors, from_beats, to_beats
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED


def stream(**changes: int | bool) -> Stream:
    usual = {"frames": 2, "height": 3, "width": 2, "channels": 6, "bits": 4, "signed": False, "lanes": 2}
    return Stream(**usual | changes)  # type: ignore[arg-type]


def test_lane_0_is_in_the_low_bits_and_channels_ascend() -> None:
    one = stream(frames=1, height=1, width=1)
    assert to_beats(np.array([1, 2, 3, 4, 5, 15]).reshape(1, 1, 1, 1, 6), one) == [0x21, 0x43, 0xF5]


def test_negative_values_are_twos_complement() -> None:
    one = stream(frames=1, height=1, width=1, signed=True)
    words = to_beats(np.array([-1, -8, 7, 0, -2, 1]).reshape(1, 1, 1, 1, 6), one)
    assert words == [0x8F, 0x07, 0x1E]
    assert from_beats(words, one).tolist() == [[-1, -8], [7, 0], [-2, 1]]


def test_a_pixel_is_repeated_whole() -> None:
    twice = stream(frames=1, height=1, width=2, repeat=2)
    words = to_beats(np.arange(12).reshape(1, 1, 1, 2, 6), twice)
    first, second = [0x10, 0x32, 0x54], [0x76, 0x98, 0xBA]
    assert words == [*first, *first, *second, *second]


@settings(FIXED_SEED, max_examples=30)
@given(
    lanes=st.integers(1, 5),
    beats=st.integers(1, 3),
    bits=st.integers(1, 40),
    signed=st.booleans(),
    repeat=st.integers(1, 3),
)
def test_round_trip(lanes: int, beats: int, bits: int, signed: bool, repeat: int) -> None:
    sent = stream(channels=lanes * beats, lanes=lanes, bits=bits, signed=signed, repeat=repeat)
    values = np.random.default_rng(0).integers(sent.low, sent.high + 1, (3, *sent.shape))
    words = to_beats(values, sent)
    assert len(words) == 3 * sent.beats
    assert max(words) < 1 << sent.beat_bits
    back = from_beats(words, sent).reshape(3, *sent.shape[:3], repeat, sent.channels)
    assert np.array_equal(back, np.repeat(values[..., None, :], repeat, axis=-2))


@settings(FIXED_SEED, max_examples=50)
@given(bits=st.integers(1, 40), signed=st.booleans(), beyond=st.integers(1, 2**40), above=st.booleans())
def test_a_value_that_does_not_fit_is_named_and_never_cut(
    bits: int, signed: bool, beyond: int, above: bool
) -> None:
    """On streams, in words and in literals; both ends of the range do fit."""
    sent = stream(frames=1, height=1, width=1, bits=bits, signed=signed)
    ends = [sent.low, sent.high] * 3
    wrong = sent.high + beyond if above else sent.low - beyond
    says = f"^b: {wrong} does not fit into {bits} bits, which hold {sent.low} to {sent.high}$"
    words = to_beats(np.array(ends).reshape(1, 1, 1, 1, 6), sent, "b")
    assert words == [pack(np.array(ends[:2]), bits, "b", signed=signed)] * 3
    assert packed(ends[:2], bits, "b", signed=signed) == f"{2 * bits}'h{words[0]:0{-(-bits // 2)}x}"
    ends[4] = wrong
    for lay_out in (
        lambda: to_beats(np.array(ends).reshape(1, 1, 1, 1, 6), sent, "b"),
        lambda: pack(np.array(ends), bits, "b", signed=signed),
        lambda: packed(ends, bits, "b", signed=signed),
    ):
        with pytest.raises(FramegateError, match=says):
            lay_out()


@pytest.mark.parametrize(("word", "bits"), [(1 << 40, 40), (-1, 40), (256, 8)])
def test_words_of_a_memory_are_never_cut(word: int, bits: int) -> None:
    says = f": {word} does not fit into {bits} bits, which hold 0 to {2**bits - 1}$"
    with pytest.raises(FramegateError, match=f"^weights{says}"):
        image(Memory("weights", [0, word], bits))
    with pytest.raises(FramegateError, match=f"^conv weights{says}"):
        in_beats([0, word], bits, "conv weights")
    assert in_beats([2**40 - 1], 40, "conv weights") == [2**32 - 1, 255]


def test_sizes() -> None:
    sent = stream(repeat=5)
    assert (sent.pixels, sent.beats_per_pixel, sent.beats_per_frame, sent.beats) == (6, 3, 90, 180)
    assert (sent.beat_bits, sent.low, sent.high) == (8, 0, 15)
    assert (stream(signed=True).low, stream(signed=True).high) == (-8, 7)


def test_lanes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"^a stream of 6 channels cannot have 4 lanes; choose one of \[1, 2, 3, 6\]$",
    ):
        stream(lanes=4)


def test_divisors() -> None:
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert divisors(1) == [1]


@settings(FIXED_SEED, max_examples=50)
@given(ends=st.tuples(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40)))
def test_bits_for_is_the_smallest_type(ends: tuple[int, int]) -> None:
    low, high = sorted(ends)
    bits, signed = bits_for(low, high)
    assert signed == (low < 0)

    def holds(count: int) -> bool:
        bottom, top = (-(1 << (count - 1)), (1 << (count - 1)) - 1) if signed else (0, (1 << count) - 1)
        return bottom <= low and high <= top

    assert holds(bits)
    assert bits == 1 or not holds(bits - 1)
