# SPDX-License-Identifier: Apache-2.0
"""A difference is counted, and the first one is named."""

import numpy as np
import pytest
from framegate.hls.stream import Stream, to_beats
from framegate.rtl_sim.compare import Difference, compare, compare_words

STREAM = Stream(frames=2, height=3, width=2, channels=4, bits=5, signed=True, lanes=2, repeat=3)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).integers(-16, 16, (2, *STREAM.shape))


def test_equal_values_agree(values: np.ndarray) -> None:
    assert compare("conv1", values, values.copy()) == Difference(96, 0, None)


def test_the_first_difference_is_named_by_its_place(values: np.ndarray) -> None:
    wrong = values.copy()
    wrong[1, 0, 2, 1, 3] += 1
    wrong[1, 1, 0, 0, 0] += 1
    was = values[1, 0, 2, 1, 3]
    found = compare("conv1", values, wrong)
    assert found == Difference(
        96, 2, f"conv1: clip 1, frame 0, pixel (2, 1), channel 3: {was + 1}, expected {was}"
    )


def test_another_shape_is_named(values: np.ndarray) -> None:
    found = compare("conv1", values, values[:1])
    assert found == Difference(96, 96, "conv1: shape (1, 2, 3, 2, 4), expected (2, 2, 3, 2, 4)")


def test_equal_words_agree_in_every_repeat(values: np.ndarray) -> None:
    assert compare_words("conv1", values, to_beats(values, STREAM), STREAM) == Difference(288, 0, None)


@pytest.mark.parametrize("repeat", [0, 1, 2])
def test_a_difference_in_any_repeat_is_found(repeat: int, values: np.ndarray) -> None:
    words = to_beats(values, STREAM)
    pixel, beat = 7, 1  # frame 1, row 0, column 1; channels 2 and 3
    words[(pixel * 3 + repeat) * 2 + beat] ^= 1 << 5  # lowest bit of lane 1
    was = values[0, 1, 0, 1, 3]
    found = compare_words("conv1", values, words, STREAM)
    assert (found.values, found.mismatches) == (288, 1)
    assert found.first == f"conv1: clip 0, frame 1, pixel (0, 1), channel 3: {was ^ 1}, expected {was}"


def test_differences_of_all_repeats_are_counted(values: np.ndarray) -> None:
    wrong = values.copy()
    wrong[0, 0, 0, 0, 0] ^= 1
    assert compare_words("conv1", values, to_beats(wrong, STREAM), STREAM).mismatches == 3


@pytest.mark.parametrize("change", [-1, 1])
def test_missing_and_surplus_beats_are_named(change: int, values: np.ndarray) -> None:
    words = [*to_beats(values, STREAM), 0][: 144 + change]
    found = compare_words("conv1", values, words, STREAM)
    assert found == Difference(288, 288, f"conv1: {144 + change} beats, expected 144")


def test_undefined_bits_are_named(values: np.ndarray) -> None:
    words = to_beats(values, STREAM)
    words[17] = -1  # how a recording marks them
    found = compare_words("conv1", values, words, STREAM)
    assert found == Difference(288, 288, "conv1: beat 17 has undefined bits")
