# SPDX-License-Identifier: Apache-2.0
"""Every graph between QONNX and FINN's hardware nodes says the same, to the last integer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.lowering.graphs import EXACT, metadata, run, run_qonnx
from framegate.hls.lowering.integers.integerize import integerize
from framegate.hls.lowering.layer_names import name_layers
from framegate.hls.lowering.lower import LOWERING, lower
from framegate.quant.networks.export import network_config
from onnx import ModelProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from tests.drafts import Draft

NAMES = ("projections", "identity-online-3bit", "identity-8bit", "no-shift-uneven", "separable")
STEPS = [f"steps/{number:02}_{step.__name__}.onnx" for number, step in enumerate(LOWERING, start=1)]


@pytest.mark.parametrize("name", NAMES)
def test_every_rung_gives_the_same_logits(lowered: Callable, name: str) -> None:
    case = lowered(name)
    expected = case.logits / case.logit_scale
    assert np.array_equal(expected, np.rint(expected)), "Brevitas' logits are no multiples of the logit scale"
    assert len(np.unique(expected)) > 3, "a network that says nothing proves nothing"
    assert np.array_equal(run_qonnx(ModelWrapper(str(case.qonnx)), case.pixels), case.logits)
    for graph in STEPS[1:]:  # on one clip: the last graph tells what any of them does to others
        assert np.array_equal(run(case.model(graph), case.pixels[:1]), expected[:1]), graph
    assert np.array_equal(run(case.model("hardware.onnx"), case.pixels), expected)


@pytest.mark.parametrize("name", NAMES)
def test_only_hardware_nodes_are_left_and_say_their_widths(lowered: Callable, name: str) -> None:
    model = lowered(name).model("hardware.onnx")
    assert metadata(model)[EXACT] == "true"
    for node in model.graph.node:
        assert node.domain in ("finn.custom_op.fpgadataflow", "framegate.hls.finn_ops")
        assert model.get_tensor_datatype(node.output[0]).is_integer()
        assert model.get_tensor_datatype(node.output[0]).bitwidth() < 24
        if node.op_type in ("MVAU", "VVAU", "Thresholding", "ConvolutionInputGenerator", "FrameGather"):
            op = getCustomOp(node)
            assert op.get_input_datatype() == model.get_tensor_datatype(node.input[0])
            assert op.get_output_datatype() == model.get_tensor_datatype(node.output[0])


def test_layers_have_the_names_that_an_engineer_would_give(lowered: Callable) -> None:
    names = [node.name for node in lowered("identity-online-3bit").model("hardware.onnx").graph.node]
    assert {name for name in names if name.startswith("stage1") and "_window" not in name} == {
        "stage1_shift",
        "stage1_conv1",
        "stage1_conv1_padding",
        "stage1_conv1_act",
        "stage1_conv2",
        "stage1_conv2_padding",
        "stage1_conv2_act",
        "stage1_shortcut_act",
        "stage1_add",
        "stage1_act",
        "stage1_act_fork",
    }
    assert {"stem", "stem_act", "stage2_shortcut", "spatial_mean", "head", "clip_mean"} <= set(names)
    assert len(set(names)) == len(names)


def test_blocks_and_the_layers_of_the_head_have_names(lowered: Callable) -> None:
    names = [node.name for node in lowered("separable").model("hardware.onnx").graph.node]
    blocks = [name for name in names if name.startswith("block") and "_window" not in name]
    assert blocks == [
        "block1_depthwise_padding",
        "block1_depthwise",
        "block1_depthwise_act",
        "block1_pointwise",
        "block1_pointwise_act",
        "block2_shift",
        "block2_depthwise_padding",
        "block2_depthwise",
        "block2_depthwise_act",
        "block2_pointwise",
        "block2_pointwise_act",
    ]
    assert names[-6:] == ["spatial_mean", "hidden1", "hidden1_act", "head", "head_bias", "clip_mean"]


def test_an_inverted_residual_block_is_one_block() -> None:
    draft = Draft(1)
    x = draft.stem()
    for _ in range(2):
        y = draft.quant(
            draft.norm(draft.node("Conv", x, draft.weights(8, 8, 1, 1), kernel_shape=[1, 1])), 1, 4, 0
        )
        y = draft.quant(draft.norm(draft.conv(draft.gather(y, ((0, 2, -1), (2, 8, 0))), group=8)), 1, 4, 0)
        y = draft.quant(draft.node("Conv", y, draft.weights(8, 8, 1, 1), kernel_shape=[1, 1]), 1, 4, 1)
        x = draft.quant(draft.node("Add", y, draft.quant(x, 1, 4, 1)), 1, 4, 0)
    names = [node.name for node in name_layers(integerize(draft.model(draft.head(x)))).graph.node]
    assert names[2:12] == [
        "block1_expand",
        "block1_expand_act",
        "block1_shift",
        "block1_depthwise",
        "block1_depthwise_act",
        "block1_pointwise",
        "block1_pointwise_act",
        "stage1_shortcut_act",
        "stage1_add",
        "stage1_act",
    ]
    assert [name.replace("2", "1") for name in names[12:22]] == names[2:12]


def test_the_networks_configuration_travels_along(lowered: Callable) -> None:
    case = lowered("projections")
    proto = ModelProto.FromString((case.build / "hardware.onnx").read_bytes())
    assert network_config(proto) == network_config(ModelProto.FromString(case.qonnx.read_bytes()))


def test_the_same_network_gives_the_same_bytes(lowered: Callable, tmp_path: Path) -> None:
    case, steps = lowered("projections"), []
    again = lower(case.qonnx, tmp_path, steps.append)
    assert steps == [step.__name__ for step in LOWERING]
    assert again.read_bytes() == (case.build / "hardware.onnx").read_bytes()


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x01"])
def test_a_file_that_is_no_network_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(
        UsageError, match=r"model.onnx: (not an ONNX file|a graph without layers); give a QONNX file"
    ):
        lower(path, tmp_path / "build")
    assert not (tmp_path / "build" / "hardware.onnx").exists()


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent.onnx: cannot be read \(No such file or directory\)"):
        lower(tmp_path / "absent.onnx", tmp_path)
