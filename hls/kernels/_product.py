# SPDX-License-Identifier: Apache-2.0
"""Products: multipliers or LUTs, the bits of weights and the bounds of sums."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls.kernels._cost import Cost
from framegate.hls.stream import bits_for


def lut_product(in_bits: int, weight_bits: int) -> int:
    """LUT4s of a product that is a sum of shifted values: a gated row, and a carry chain, per bit of the weight; of two
    bits (ternary and binary weights) a choice and a carry chain, or a LUT per bit of the product.
    """
    if weight_bits == TERNARY_BITS:
        return in_bits + 2 if in_bits <= TERNARY_BITS else 2 * in_bits + 6
    return weight_bits * (2 * in_bits + 3)


def constant_products(weights: np.ndarray, in_bits: int) -> Cost:
    """LUT4s and registers of products by constants: synthesis keeps the carry chains between the bits of each weight
    that are set, once for all rows that have the same weight in a column.
    """
    bits = weight_bits(weights)
    distinct = [np.unique(column) & ((1 << bits) - 1) for column in weights.T]
    chains = sum(max(int(weight).bit_count() - 1, 0) for column in distinct for weight in column)
    return Cost(lut=chains * (in_bits + 1), ff=sum(map(len, distinct)) * (in_bits + bits))


MOST_BITS_IN_LUTS = 4  # of a weight
TERNARY_BITS = 2  # of weights that are -2 … 1: their products need no multiplier
MULTIPLIER_BITS = 18  # of a multiplier's narrower factor
PRODUCT_PARTS = (
    "fg_product_control",
    "fg_product",
    "fg_accumulator",
    "fg_multiplier",
    "fg_inferred_multiplier",
    "fg_lut_product",
    "fg_adder_tree",
)  # of a kernel that multiplies


def check_multiply(name: str, multiply: str, weight_bits: int) -> None:
    """Raise UsageError for products in LUTs with weights that are too wide for it."""
    if multiply == "lut" and weight_bits > MOST_BITS_IN_LUTS:
        raise UsageError(
            f"{name}: products of {weight_bits}-bit weights are not made of LUTs, only up to {MOST_BITS_IN_LUTS} bits; "
            f"use multipliers"
        )


_Remembered = dict[tuple[Any, ...], tuple[weakref.ref, Any]]
_OF_WEIGHTS: _Remembered = {}


def _remembered(weights: np.ndarray, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
    """What `compute` says about `weights`, kept while they live: folding asks for the same hundreds of times."""
    key = (id(weights), *key)
    if key not in _OF_WEIGHTS or _OF_WEIGHTS[key][0]() is not weights:
        _OF_WEIGHTS[key] = weakref.ref(weights, lambda _: _OF_WEIGHTS.pop(key, None)), compute()
    return _OF_WEIGHTS[key][1]


def weight_bits(weights: np.ndarray) -> int:
    """Bits of the widest weight, two's complement, at least 2."""

    def compute() -> int:
        return max(bits_for(min(int(weights.min()), -1), max(int(weights.max()), 0))[0], 2)

    return _remembered(weights, ("bits",), compute)


def accumulator_bounds(weights: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Per row of `weights` the smallest and the largest sum of products with values low … high."""

    def compute() -> tuple[np.ndarray, np.ndarray]:
        positive = np.maximum(weights, 0).sum(axis=1)
        negative = weights.sum(axis=1) - positive
        return positive * low + negative * high, positive * high + negative * low

    return _remembered(weights, ("bounds", low, high), compute)
