# SPDX-License-Identifier: Apache-2.0
"""Bits of weights and bounds of sums against brute force; what products cost grows with what they are of."""

import gc
from itertools import product

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import MOST_BITS_IN_LUTS, TERNARY_BITS, Cost
from framegate.hls.kernels import _product as module
from framegate.hls.kernels._product import (
    accumulator_bounds,
    check_multiply,
    constant_products,
    lut_product,
    weight_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.conftest import FIXED_SEED

WEIGHTS = arrays(np.int64, st.tuples(st.integers(1, 3), st.integers(1, 4)), elements=st.integers(-40, 40))


@settings(FIXED_SEED, max_examples=100)
@given(WEIGHTS)
def test_weight_bits_are_the_fewest_that_hold_all(weights: np.ndarray) -> None:
    bits = weight_bits(weights)
    assert bits >= 2
    assert -(1 << bits - 1) <= weights.min()
    assert weights.max() <= (1 << bits - 1) - 1
    if bits > 2:
        half = 1 << bits - 2
        assert weights.min() < -half or weights.max() > half - 1, "a bit less does not hold them"


@settings(FIXED_SEED, max_examples=60)
@given(weights=WEIGHTS, ends=st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
def test_bounds_of_sums_are_reached_and_not_left(weights: np.ndarray, ends: tuple[int, int]) -> None:
    low, high = sorted(ends)
    least, most = accumulator_bounds(weights, low, high)
    inputs = np.array(list(product((low, high), repeat=weights.shape[1])))
    sums = inputs @ weights.T  # a linear function is extreme in a corner
    assert np.array_equal(least, sums.min(axis=0))
    assert np.array_equal(most, sums.max(axis=0))


def test_what_is_remembered_of_weights_is_not_of_others() -> None:
    """An array's identity is given to another one when it is gone."""
    for value in range(200):
        weights = np.full((2, 2), value - 100)
        least, most = accumulator_bounds(weights, 0, 1)
        assert (least.tolist(), most.tolist()) == (
            [min(2 * value - 200, 0)] * 2,
            [max(2 * value - 200, 0)] * 2,
        )
        assert weight_bits(weights) == max(
            2, int(weights.max() if value >= 100 else -weights.min() - 1).bit_length() + 1
        )
        del weights, least, most
    gc.collect()
    kept = {key: entry for key, entry in module._OF_WEIGHTS.items() if entry[0]() is None}
    assert kept == {}, "nothing is kept of arrays that are gone"


def chains(weights: np.ndarray, bits: int) -> int:
    """Carry chains of products by constants, weight by weight, each distinct one of a column once."""
    count = 0
    for column in weights.T.tolist():
        for weight in set(column):
            ones = bin(weight & (1 << bits) - 1).count("1")
            count += ones - 1 if ones else 0
    return count


@settings(FIXED_SEED, max_examples=60)
@given(weights=WEIGHTS, in_bits=st.integers(1, 12))
def test_products_by_constants_share_equal_weights(weights: np.ndarray, in_bits: int) -> None:
    bits, cost = weight_bits(weights), constant_products(weights, in_bits)
    distinct = sum(len(set(column)) for column in weights.T.tolist())
    assert cost == Cost(lut=chains(weights, bits) * (in_bits + 1), ff=distinct * (in_bits + bits))
    twice = constant_products(np.concatenate([weights, weights]), in_bits)
    assert twice == cost, "rows that repeat cost nothing"


def test_powers_of_two_are_wires() -> None:
    assert constant_products(np.array([[1, 2, 4, 8, 16, 0]]), 8).lut == 0
    assert constant_products(np.array([[3]]), 8).lut == 9, "one carry chain"


@pytest.mark.parametrize("in_bits", range(1, 20))
def test_a_product_of_more_bits_takes_more_luts(in_bits: int) -> None:
    of_weights = [lut_product(in_bits, bits) for bits in range(2, MOST_BITS_IN_LUTS + 1)]
    assert of_weights == sorted(of_weights)
    assert all(lut_product(in_bits + 1, bits) >= lut_product(in_bits, bits) for bits in range(2, 9))
    assert lut_product(in_bits, TERNARY_BITS) < lut_product(in_bits, TERNARY_BITS + 1)


@pytest.mark.parametrize("bits", range(2, 12))
@pytest.mark.parametrize("multiply", ["dsp", "lut"])
def test_products_in_luts_are_of_few_bits(multiply: str, bits: int) -> None:
    if multiply == "dsp" or bits <= MOST_BITS_IN_LUTS:
        check_multiply("conv", multiply, bits)
        return
    with pytest.raises(
        UsageError, match=rf"^conv: products of {bits}-bit weights are not made of LUTs, .*; use mult"
    ):
        check_multiply("conv", multiply, bits)
