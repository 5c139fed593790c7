# SPDX-License-Identifier: Apache-2.0
"""Biases: in thresholds where a quantizer follows, else as integers on the logits."""

import numpy as np
import pytest
from framegate.hls.lowering.graphs import EXACT, LOGIT_SCALE, metadata, run, run_qonnx
from framegate.hls.lowering.integers.integerize import integerize

from tests.drafts import WIDTH, Draft, expect_equal, random_pixels


def test_a_bias_of_a_convolution_ends_in_the_thresholds() -> None:
    draft = Draft(4)
    weights = draft.weights(WIDTH, WIDTH, 3, 3)
    bias = draft.constant(np.float32(draft.random.uniform(-1, 1, WIDTH)))
    x = draft.node("Conv", draft.stem(), weights, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    expect_equal(draft.model(draft.head(draft.quant(x, 0.5, 4, signed=1))), 4)


@pytest.mark.parametrize("scale", [2.0**-8, 2.0**-15, 2.0**-17], ids=["coarser", "equal", "finer"])
def test_a_quantized_bias_is_added_in_the_finer_steps(scale: float) -> None:
    """The head's sums are in steps of 2^-15."""
    draft = Draft(5)
    bias = draft.quant(draft.constant(np.float32([0.5, -0.3, 0.1])), scale, 16, signed=1)
    integers = expect_equal(draft.model(draft.head(draft.stem(), bias=bias)), 5)
    assert float(metadata(integers)[LOGIT_SCALE]) == min(scale, 2.0**-15) / 2
    added = next(node for node in integers.graph.node if node.op_type == "Add")
    assert integers.get_initializer(added.input[1]).any()


def test_a_bias_of_a_linear_layer_is_the_same_as_an_addition() -> None:
    results = []
    for inside in (False, True):
        draft = Draft(5)
        bias = draft.quant(draft.constant(np.float32([0.5, -0.3, 0.1])), 2.0**-8, 16, signed=1)
        output = draft.head(draft.stem(), bias="" if inside else bias)
        if inside:
            next(node for node in draft.nodes if node.op_type == "Gemm").input.append(bias)
        results.append(run(expect_equal(draft.model(output), 5), random_pixels(5)))
    assert np.array_equal(*results)


@pytest.mark.parametrize(
    ("values", "scale", "says"),
    [
        ([0.5, -0.3, 0.1], 0.3, "adds a bias of scale 0.3 to sums of scale 3.05176e-05, which FrameMean "),
        ([0.5], 0.5, "adds a constant of shape (1,); use one value per channel"),
    ],
)
def test_odd_biases_are_refused(values: list[float], scale: float, says: str) -> None:
    draft = Draft()
    bias = draft.quant(draft.constant(np.float32(values)), scale, 16, signed=1)
    assert says in draft.refusal(draft.head(draft.stem(), bias=bias))


def test_one_value_on_all_logits_is_rounded_to_a_step_and_told() -> None:
    draft = Draft(5)
    x = draft.head(draft.stem())
    x = draft.node(
        "Div", draft.node("Sub", x, draft.constant(np.float32([0.07]))), draft.constant(np.float32(0.3))
    )
    model, pixels = draft.model(draft.node("Add", x, draft.constant(np.float32(0)))), random_pixels(5)
    integers = integerize(model)
    assert metadata(integers)[EXACT] == "false"
    scale = float(metadata(integers)[LOGIT_SCALE])
    assert np.abs(run(integers, pixels) - run_qonnx(model, pixels) / scale).max() < 0.51
    assert "Add" in [node.op_type for node in integers.graph.node]


@pytest.mark.parametrize("quantized", [False, True])
def test_a_bias_per_channel_before_a_quantizer_ends_in_its_thresholds(quantized: bool) -> None:
    """Also one whose steps and those of the sums have no whole ratio."""
    draft = Draft(8)
    values = draft.random.uniform(-1, 1, (1, WIDTH, 1, 1))
    bias = draft.constant(np.float32(values))
    bias = draft.quant(bias, 0.3, 8, signed=1) if quantized else bias
    x = draft.quant(draft.node("Add", draft.conv(draft.stem()), bias), 0.5, 4, signed=1)
    integers = expect_equal(draft.model(draft.head(x)), 8)
    assert "Add" not in [node.op_type for node in integers.graph.node]
