# SPDX-License-Identifier: Apache-2.0
"""Networks of others, as Brevitas alone exports them, down to FINN's hardware nodes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from brevitas import nn as qnn
from brevitas.quant import Int32Bias
from framegate.errors import UsageError
from framegate.hls.lowering.graphs import EXACT, LOGIT_SCALE, metadata, run, run_qonnx, save, set_pixel_scale
from framegate.hls.lowering.lower import load, lower
from torch import nn

from tests import foreign

CLIPS = 32
pytestmark = pytest.mark.usefixtures("one_export")


def fixed_mlp(path: Path) -> Path:
    return foreign.mlp(path, fixed_point=True)


def fixed_conv3d(path: Path) -> Path:
    return foreign.conv3d(path, fixed_point=True)


def compare(path: Path, pixel_scale: float) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Integer logits of FINN's nodes, float logits of the file in the same steps, what the graph says of itself."""
    model = load(path)
    set_pixel_scale(model, pixel_scale)
    hardware = load(lower(save(model, path.with_name("scaled.onnx")), path.parent))
    _, height, width, channels = hardware.get_tensor_shape(hardware.graph.input[0].name)
    frames = hardware.get_tensor_shape(hardware.graph.input[0].name)[0]
    pixels = (
        np.random.default_rng(0).integers(0, 256, (CLIPS, frames, height, width, channels)).astype(np.uint8)
    )
    facts = metadata(hardware)
    return run(hardware, pixels), run_qonnx(model, pixels) / float(facts[LOGIT_SCALE]), facts


@pytest.mark.parametrize("network", [fixed_mlp, fixed_conv3d])
def test_networks_with_scales_of_powers_of_two_are_equal(network: Callable, tmp_path: Path) -> None:
    result, expected, facts = compare(network(tmp_path / "model.onnx"), 1 / 256)
    assert facts[EXACT] == "true"
    assert len(np.unique(result)) > 20
    assert np.array_equal(result, expected)


@pytest.mark.parametrize(
    ("network", "steps"),
    [
        (foreign.mlp, 1e-3),
        pytest.param(foreign.conv3d, 1e-2, marks=pytest.mark.slow),
        pytest.param(foreign.mobilenet_4b, 1e-3, marks=pytest.mark.slow),
        # TensorNorm's shift is rounded to a step
        pytest.param(foreign.cnv_2w2a, 0.5, marks=pytest.mark.slow),
        (foreign.tfc_2w2a, 0.5),
    ],
)
def test_networks_with_float_scales_agree_to_the_last_bits(
    network: Callable, steps: float, tmp_path: Path
) -> None:
    """No step of an activation flipped in these networks; the decision is the same but where two classes are equal."""
    result, expected, facts = compare(network(tmp_path / "model.onnx"), foreign.PIXEL)
    assert facts[EXACT] == "false"
    assert len(np.unique(result)) > 10
    assert np.abs(result - expected).max() <= steps
    ordered = np.sort(result.reshape(-1, foreign.CLASSES), axis=1)
    clear = ordered[:, -1] > ordered[:, -2]
    winners = [logits.reshape(-1, foreign.CLASSES).argmax(axis=1)[clear] for logits in (result, expected)]
    assert clear.sum() > 10
    assert np.array_equal(*winners)


def last_layer(bias_quant: type | None, path: Path) -> Path:
    torch.manual_seed(6)
    network = nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantLinear(6, 3, bias=True, weight_bit_width=4, bias_quant=bias_quant),
    )
    return foreign.export(network, (2, 6), path)


def test_a_float_bias_of_the_logits_is_named_with_the_way_out(tmp_path: Path) -> None:
    says = r"^Add '.*_bias' at node .* feeds the output '.*' without a quantizer .*\(bias_quant=Int32Bias\)$"
    with pytest.raises(UsageError, match=says):
        compare(last_layer(None, tmp_path / "model.onnx"), foreign.PIXEL)
    result, expected, _ = compare(last_layer(Int32Bias, tmp_path / "model.onnx"), foreign.PIXEL)
    assert np.abs(result - expected).max() < 1e-3


def test_weights_in_a_second_file_are_read_and_missed(tmp_path: Path) -> None:
    path = tmp_path / "apart.onnx"
    whole = onnx.load(foreign.mlp(tmp_path / "model.onnx"))
    onnx.save(whole, path, save_as_external_data=True, location="apart.data", size_threshold=0)
    weights = path.with_name("apart.data")
    assert load(path).get_initializer(whole.graph.initializer[0].name) is not None
    weights.unlink()
    with pytest.raises(UsageError, match=r"apart.onnx: cannot be read \(.*apart.data.*\); give a QONNX file"):
        load(path)
