# SPDX-License-Identifier: Apache-2.0
"""Activations of every kind become the thresholds that the network's own float operations give, or are refused."""

from typing import Any

import numpy as np
import pytest
from framegate.hls.lowering.graphs import EXACT, metadata
from framegate.hls.lowering.integers import staircase as thresholds
from framegate.hls.lowering.integers.integerize import integerize
from framegate.hls.lowering.integers.scaled_tensors import ACTIVATIONS
from framegate.hls.lowering.integers.staircase import CURVES

from tests.drafts import WIDTH, Draft, expect_equal

PER_CHANNEL = (WIDTH, 1, 1)


def slopes(draft: Draft) -> str:
    return draft.constant(draft.random.uniform(0, 0.5, PER_CHANNEL).astype(np.float32))


def small(draft: Draft, x: str) -> str:
    """Within what an exponential may see."""
    return draft.node("Clip", x, draft.constant(np.float32(-6)), draft.constant(np.float32(3)))


def above_zero(draft: Draft, x: str) -> str:
    return draft.node("Max", x, draft.constant(np.float32(2**-4)))


RISING = {
    "Atan": lambda draft, x: draft.node("Atan", x),
    "Ceil": lambda draft, x: draft.node("Ceil", x),
    "Celu": lambda draft, x: draft.node("Celu", x, alpha=1.5),
    "Clip": lambda draft, x: small(draft, x),  # HardTanh, ReLU6
    "Elu": lambda draft, x: draft.node("Elu", x, alpha=0.75),
    "Erf": lambda draft, x: draft.node("Erf", x),
    "Exp": lambda draft, x: draft.node("Exp", small(draft, x)),
    "Floor": lambda draft, x: draft.node("Floor", x),
    "HardSigmoid": lambda draft, x: draft.node("HardSigmoid", x, alpha=0.3, beta=0.4),
    "LeakyRelu": lambda draft, x: draft.node("LeakyRelu", x, alpha=0.1),
    "Log": lambda draft, x: draft.node("Log", above_zero(draft, x)),
    "Max": lambda draft, x: draft.node("Max", x, draft.constant(np.float32(-0.3))),
    "Min": lambda draft, x: draft.node("Min", draft.constant(np.float32(1.3)), x),
    "Neg": lambda draft, x: draft.node("Neg", x),
    "PRelu": lambda draft, x: draft.node("PRelu", x, slopes(draft)),
    "Round": lambda draft, x: draft.node("Round", x),
    "Selu": lambda draft, x: draft.node("Selu", x),
    "Sigmoid": lambda draft, x: draft.node("Sigmoid", x),
    "Sign": lambda draft, x: draft.node("Sign", x),
    "Softplus": lambda draft, x: draft.node("Softplus", x),
    "Softsign": lambda draft, x: draft.node("Softsign", x),
    "Sqrt": lambda draft, x: draft.node("Sqrt", above_zero(draft, x)),
    "Tanh": lambda draft, x: draft.node("Tanh", x),
    "ThresholdedRelu": lambda draft, x: draft.node("ThresholdedRelu", x, alpha=0.5),
}
NOT_RISING = ("Abs", "Gelu", "HardSwish", "Mish")


def test_every_activation_is_tried() -> None:
    assert sorted({*RISING, *NOT_RISING} - {"Clip"}) == sorted(ACTIVATIONS)


@pytest.mark.parametrize("kind", RISING)
def test_one_activation_is_exact(kind: str) -> None:
    draft = Draft(len(kind))
    x = RISING[kind](draft, draft.norm(draft.conv(draft.stem())))
    integers = expect_equal(draft.model(draft.head(draft.quant(x, 2**-4, 5, signed=1))), 1)
    kinds = {node.op_type for node in draft.nodes}
    assert metadata(integers)[EXACT] == str(kinds.isdisjoint(CURVES)).lower()


@pytest.mark.parametrize("every", [thresholds.EVERY, 0], ids=["counted", "bisected"])
@pytest.mark.parametrize("seed", range(6))
def test_chains_of_activations_are_exact(seed: int, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "EVERY", every)
    draft = Draft(seed)
    picks = draft.random.choice(sorted(set(RISING) - {"Ceil", "Floor", "Round", "Sign"}), (2, 2))
    x = draft.stem()
    for chain in picks:
        x = draft.norm(draft.conv(x), np.full(WIDTH, 1.5))
        for kind in chain:
            x = draft.node("Mul", RISING[kind](draft, x), draft.constant(np.float32(1.7)))
        x = draft.quant(x, 2**-3, 4, signed=1)
    expect_equal(draft.model(draft.head(x)), seed)


@pytest.mark.parametrize("kind", ["Sigmoid", "Tanh", "Softsign"])
def test_a_curve_that_falls_by_a_bit_of_a_float_is_a_staircase(kind: str) -> None:
    """With fine accumulators the last bit rises and falls; each threshold lies where as many values reach it."""
    draft = Draft(2)
    x = draft.norm(draft.conv("x", inputs=3, bits=8, scale=2**-8))
    x = draft.quant(draft.node(kind, x), 2**-8, 8, signed=1)
    assert metadata(integerize(draft.model(draft.head(x))))[EXACT] == "false"


def refused(kind: str, signed: int = 1, **attributes: Any) -> str:
    draft = Draft(3)
    x = draft.node(kind, draft.norm(draft.conv(draft.stem()), np.ones(WIDTH)), **attributes)
    return draft.refusal(draft.quant(x, 2**-4, 6, signed=signed))


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("LeakyRelu", {"alpha": -0.2}),
        ("Elu", {"alpha": -0.5}),
        ("Gelu", {}),
        ("Mish", {}),
        ("HardSwish", {}),
        ("Abs", {}),
    ],
)
def test_an_activation_that_is_not_monotone_is_named(kind: str, attributes: dict[str, float]) -> None:
    said = refused(kind, **attributes)
    assert "the output rises and falls with its input (channel 0); only monotone activations become" in said
    assert f"{kind} '" in said or said.startswith("BatchNormalization 'n8' at node 9 of 11 … Quant 'n10'")


def test_a_slope_below_zero_is_named() -> None:
    draft = Draft(3)
    slope = draft.constant(np.where(np.arange(WIDTH) == 5, -0.3, 0.3).astype(np.float32).reshape(PER_CHANNEL))
    x = draft.node("PRelu", draft.conv(draft.stem()), slope)
    said = draft.refusal(draft.quant(x, 2**-4, 6, signed=1))
    assert said.startswith(
        "PRelu 'n8' at node 9 of 10 … Quant 'n9' at node 10 of 10: the output rises and falls"
    )
    assert "(channel 5)" in said


@pytest.mark.parametrize("kind", ["Gelu", "Mish", "HardSwish"])
def test_what_is_monotone_behind_its_quantizer_is_built(kind: str) -> None:
    """Their dips are below zero, where an unsigned quantizer cuts."""
    draft = Draft(3)
    x = draft.node(kind, draft.norm(draft.conv(draft.stem()), np.ones(WIDTH)))
    expect_equal(draft.model(draft.head(draft.quant(x, 2**-3, 4, signed=0))), 3)


def test_a_tensor_times_a_function_of_itself_is_named() -> None:
    draft = Draft(3)
    x = draft.norm(draft.conv(draft.stem()))
    x = draft.quant(draft.node("Mul", x, draft.node("Sigmoid", x)), 2**-3, 4, signed=0)
    assert draft.refusal(x) == (
        "Mul 'n10' at node 11 of 12: multiplies a tensor by a function of itself, as SiLU, GELU and Mish do, which "
        "rises and falls; use a monotone activation, such as ReLU"
    )


def test_what_gives_no_number_is_named() -> None:
    draft = Draft(3)
    x = draft.quant(draft.node("Sqrt", draft.conv(draft.stem())), 2**-3, 4, signed=0)
    assert draft.refusal(x) == (
        "Sqrt 'n8' at node 9 of 10 … Quant 'n9' at node 10 of 10: the output is no number for some inputs "
        "(channel 0); keep its input in range"
    )


@pytest.mark.parametrize("bits", [9, 16, 24, 32])
@pytest.mark.parametrize("place", ["input", "inside"])
def test_more_than_eight_bits_are_refused_at_once_and_by_name(bits: int, place: str) -> None:
    draft = Draft(3)
    x = draft.node(
        "Mul", "x" if place == "input" else draft.conv(draft.stem()), draft.constant(np.float32(0.3))
    )
    said = draft.refusal(draft.quant(x, 2**-12, bits, signed=1))
    number = len(draft.nodes)
    assert said == (
        f"Quant 'n{number - 1}' at node {number} of {number}: quantizes to {bits} bits; an activation has at most 8, "
        f"use a bit width of 1 to 8"
    )


@pytest.mark.parametrize("bits", [12, 16, 24, 32])
def test_more_bits_than_that_may_be_noted_where_no_integer_changes(bits: int) -> None:
    draft = Draft(3)
    x = draft.conv(draft.quant("x", 2**-8, bits, signed=0), inputs=3, bits=8, scale=2**-5)
    wide = draft.quant(x, 2**-13, bits + (bits < 20) * 8, signed=1)
    expect_equal(draft.model(draft.head(draft.quant(draft.norm(wide, np.ones(WIDTH)), 0.25, 8, signed=0))), 3)
