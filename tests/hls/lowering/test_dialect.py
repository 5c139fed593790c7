# SPDX-License-Identifier: Apache-2.0
"""Files of other exporters: what they leave out or call by other names, in random networks, equal on every graph."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from framegate.errors import UsageError
from framegate.hls.lowering.dialect import ROUNDINGS
from framegate.hls.lowering.graphs import LOGIT_SCALE, metadata, run, run_qonnx
from framegate.hls.lowering.lower import load, lower
from framegate.hls.lowering.read_off import read_dataflow
from framegate.rtl_sim import reference
from onnx import ModelProto, helper

from tests.drafts import GENERAL, WIDTH, Draft, expect_equal, random_pixels

NEAREST = ("ROUND", "HALF_EVEN")


def random_network(seed: int, rounding: str = "ROUND") -> ModelProto:
    """Convolutions and activations of random widths, rounded by `rounding`: one full of ties, one behind BatchNorm and
    a factor that only folding makes one constant.
    """
    draft = Draft(seed)
    factor = draft.node("Mul", draft.constant(np.float32(0.5)), draft.constant(np.float32(0.75)))
    bits, (scale, fine) = draft.random.integers(3, 6, 2).tolist(), 2.0 ** draft.random.integers(-3, 1, 2)
    x = draft.conv(draft.stem(int(draft.random.integers(2, 6))))
    x = draft.conv(draft.quant(x, scale, bits[0], signed=1, rounding=rounding))
    y = draft.node("Mul", draft.norm(x), factor)
    x = draft.quant(y, fine, bits[1], int(draft.random.integers(2)), rounding=rounding)
    return draft.proto(draft.head(x))


def logits(model: ModelProto, folder: Path) -> np.ndarray:
    """The logits of a file, after QONNX, FINN's nodes and the integer reference have agreed on them."""
    folder.mkdir()
    onnx.save(model, file := folder / "model.onnx")
    hardware = load(lower(file, folder))
    network, pixels = load(file), random_pixels(0)
    expected = run_qonnx(network, pixels)
    assert len(np.unique(expected)) > 3
    integers = run(hardware, pixels)
    assert np.array_equal(integers * np.float32(metadata(hardware)[LOGIT_SCALE]), expected)
    assert np.array_equal(
        reference.logits(read_dataflow(folder / "hardware.onnx"), pixels).reshape(integers.shape), integers
    )
    return expected


def constants_as_inputs(model: ModelProto) -> None:
    """As exporters write it whose files are of an older form, or as Brevitas' QCDQ export does."""
    model.graph.input.extend(
        helper.make_tensor_value_info(entry.name, entry.data_type, entry.dims)
        for entry in model.graph.initializer
    )


def older_constants_as_inputs(model: ModelProto) -> None:
    constants_as_inputs(model)
    model.ir_version = 3  # which wants it so


def no_rounding_mode(model: ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Quant":
            node.attribute.remove(next(entry for entry in node.attribute if entry.name == "rounding_mode"))


def no_attributes(model: ModelProto) -> None:
    """The defaults are signed, not narrow, to the nearest: only the quantizers that say just that lose them."""
    usual = {"signed": 1, "narrow": 0, "rounding_mode": b"ROUND"}
    for node in model.graph.node:
        said = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        if node.op_type == "Quant" and said == usual:
            del node.attribute[:]


def other_domain(model: ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Quant":
            node.domain = "onnx.brevitas"


def int_quant(model: ModelProto) -> None:
    for node in model.graph.node:
        node.op_type = {"Quant": "IntQuant"}.get(node.op_type, node.op_type)


@pytest.mark.parametrize(
    "written",
    [
        constants_as_inputs,
        older_constants_as_inputs,
        no_rounding_mode,
        no_attributes,
        other_domain,
        int_quant,
    ],
)
def test_the_same_network_written_otherwise_gives_the_same_logits(
    written: Callable[[ModelProto], None], tmp_path: Path
) -> None:
    model = random_network(1)
    expected = logits(model, tmp_path / "plain")
    before = model.SerializeToString()
    written(model)
    assert model.SerializeToString() != before
    assert np.array_equal(logits(model, tmp_path / "otherwise"), expected)


def test_shapes_between_the_layers_are_found_when_a_file_is_read(tmp_path: Path) -> None:
    onnx.save(model := random_network(3), tmp_path / "model.onnx")
    assert not model.graph.value_info
    read = load(tmp_path / "model.onnx")
    tensors = [tensor for node in read.graph.node for tensor in node.output]
    assert all(read.get_tensor_shape(tensor) is not None for tensor in tensors)


@pytest.mark.parametrize("rounding", [*ROUNDINGS, "floor"])
def test_every_rounding_mode_is_exact(rounding: str, tmp_path: Path) -> None:
    found = logits(random_network(4, rounding), tmp_path / "build")
    onnx.save(random_network(4), tmp_path / "nearest.onnx")
    nearest = run_qonnx(load(tmp_path / "nearest.onnx"), random_pixels(0))
    assert np.array_equal(found, nearest) == (rounding in NEAREST)


@pytest.mark.parametrize("rounding", ["ROUND_TO_ZERO", "round_to_zero"])
def test_brevitas_rounding_to_zero_is_qonnx_down(rounding: str, tmp_path: Path) -> None:
    found = logits(random_network(5, rounding), tmp_path / "brevitas")
    assert np.array_equal(found, logits(random_network(5, "DOWN"), tmp_path / "qonnx"))


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_weights_are_rounded_as_their_quantizer_says(rounding: str) -> None:
    draft = Draft(6)
    values = draft.constant(np.float32(draft.random.uniform(-2, 2, (WIDTH, WIDTH, 1, 1))))
    weights = draft.quant(values, 0.25, 4, signed=1, narrow=1, rounding=rounding)
    x = draft.node("Conv", draft.stem(), weights, kernel_shape=[1, 1])
    expect_equal(draft.model(draft.head(draft.quant(draft.norm(x), 0.5, 4, signed=1))), 6)


def bipolar(draft: Draft, x: str, scale: float | np.ndarray) -> str:
    return draft.node("BipolarQuant", x, draft.constant(np.float32(scale)), domain=GENERAL)


@pytest.mark.parametrize("seed", range(4))
def test_bipolar_weights_and_activations_are_two_levels(seed: int, tmp_path: Path) -> None:
    """One scale or one per row, full or depthwise; activations too, padded by the 0 between their levels."""
    draft = Draft(seed)
    group = WIDTH if seed % 2 else 1
    values = draft.constant(np.float32(draft.random.normal(size=(WIDTH, WIDTH // group, 3, 3))))
    scale = 2.0 ** draft.random.integers(-3, 1, (WIDTH, 1, 1, 1)) if seed > 1 else 0.25
    weights = bipolar(draft, values, scale)
    x = bipolar(draft, draft.norm(draft.conv(draft.stem())), 0.5)
    x = draft.node("Conv", x, weights, kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=group)
    x = draft.quant(draft.norm(x), 0.25, 4, signed=1)
    logits(draft.proto(draft.head(x)), tmp_path / "build")


@pytest.mark.parametrize("bits", [1, 2])
def test_one_signed_bit_is_bipolar(bits: int, tmp_path: Path) -> None:
    draft = Draft(7)
    x = draft.quant(draft.norm(draft.conv(draft.stem())), 0.5, bits, signed=1)
    logits(draft.proto(draft.head(draft.quant(draft.norm(draft.conv(x)), 0.5, 4, signed=1))), tmp_path / "b")


def test_a_bipolar_scale_is_a_number_above_zero() -> None:
    draft = Draft()
    x = bipolar(draft, draft.stem(), -0.5)
    with pytest.raises(UsageError, match=r"^BipolarQuant 'n\d+': its scale must be a constant above 0$"):
        draft.model(draft.head(x))
