# SPDX-License-Identifier: Apache-2.0
"""A node that reads one tensor several times: every slot is a stream of its own."""

from pathlib import Path

import numpy as np
import pytest
from framegate.hls.dataflow.dead_channels import without_dead_channels
from framegate.hls.lowering.graphs import LOGIT_SCALE, metadata, run, save
from framegate.hls.lowering.lower import lower
from framegate.hls.lowering.read_off import read_dataflow
from framegate.rtl_sim import reference
from qonnx.core.modelwrapper import ModelWrapper

from tests.drafts import Draft, expect_equal, random_pixels


def joined(draft: Draft, x: str, kind: str) -> str:
    """`x` with itself, and perhaps with another tensor."""
    if kind == "sum":
        return draft.node("Add", x, x)
    between = [draft.quant(draft.conv(x), 0.25, 4, signed=0)] if kind == "around" else []
    return draft.node("Concat", x, *between, *([x] if kind == "three" else []), x, axis=1)


def network(seed: int, kind: str, *, early: bool) -> ModelWrapper:
    """The join behind the pixels themselves or behind a layer; what comes out is quantized and convolved."""
    draft = Draft(seed)
    first = draft.quant("x", 2**-8, 8, signed=0)
    x = first if early else draft.quant(draft.conv(first, inputs=3, bits=8, scale=2**-5), 0.25, 4, signed=0)
    y = joined(draft, x, kind)
    width = {"sum": 1, "pair": 2, "three": 3, "around": 3}[kind] * (3 if early else 8)
    x = draft.quant(draft.conv(draft.quant(y, 0.25, 4, signed=0), inputs=width), 0.5, 4, signed=1)
    return draft.model(draft.head(x))


@pytest.mark.parametrize(
    ("kind", "early"),
    [(kind, early) for kind in ("sum", "pair", "three") for early in (False, True)] + [("around", False)],
)
def test_a_tensor_may_be_read_twice_by_one_node(kind: str, early: bool, tmp_path: Path) -> None:
    model, pixels = network(len(kind), kind, early=early), random_pixels(1)
    integers = expect_equal(model, 1)
    dataflow = read_dataflow(lower(save(model, tmp_path / "model.onnx"), tmp_path))
    expected = run(integers, pixels)
    for found in (dataflow, without_dead_channels(dataflow)):
        assert np.array_equal(reference.logits(found, pixels), expected)


def test_x_and_x_is_twice_x() -> None:
    results = []
    for twice in (False, True):
        draft = Draft(2)
        x = draft.stem()
        x = draft.node("Mul", x, draft.constant(np.float32(2))) if twice else draft.node("Add", x, x)
        integers = expect_equal(draft.model(draft.head(x)), 2)
        results.append(run(integers, random_pixels(2)) * float(metadata(integers)[LOGIT_SCALE]))
    assert np.array_equal(*results)


@pytest.mark.parametrize("op", ["Sub", "Div"])
def test_other_operations_of_a_tensor_and_itself_are_refused_by_name(op: str) -> None:
    draft = Draft()
    x = draft.stem()
    said = draft.refusal(draft.head(draft.quant(draft.node(op, x, x), 0.5, 4, signed=1)))
    assert said.startswith(f"{op} 'n")
    assert said.endswith("combines two tensors; only Add does that so far")


def test_sums_without_a_quantizer_are_named_when_added_to_themselves() -> None:
    draft = Draft()
    x = draft.conv(draft.stem())
    said = draft.refusal(draft.head(draft.quant(draft.node("Add", x, x), 0.5, 4, signed=1)))
    assert "feeds Add 'n" in said
    assert said.endswith("without a quantizer between them; insert a QuantReLU or QuantIdentity")
