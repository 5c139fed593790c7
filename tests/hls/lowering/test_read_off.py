# SPDX-License-Identifier: Apache-2.0
"""The dataflow computes what FINN's hardware graph computes, and refuses what our kernels cannot do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow, load_dataflow
from framegate.hls.kernels import (
    Concat,
    Decide,
    Depthwise,
    Fork,
    FrameGather,
    MatVec,
    Pool,
    Threshold,
    Window,
)
from framegate.hls.lowering.graphs import LOGIT_SCALE, metadata, run, save
from framegate.hls.lowering.lower import lower
from framegate.hls.lowering.read_off import read_dataflow
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from tests.networks import exported
from tests.quant.families import small

NAMES = ("projections", "identity-online-3bit", "identity-8bit", "no-shift-uneven", "separable")


def execute(dataflow: Dataflow, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """What each kernel drives, (clips, T, H, W, C)."""
    values: dict[str, np.ndarray] = {PIXELS: pixels.astype(np.int32)}
    for kernel in dataflow.kernels:
        inputs = [values[link.producer] for link in dataflow.links_into(kernel.name)]
        values[kernel.name] = kernel.reference(*inputs)
    return values


@pytest.mark.parametrize("name", NAMES)
def test_the_dataflow_gives_the_logits_of_the_hardware_graph(lowered: Callable, name: str) -> None:
    case = lowered(name)
    dataflow = read_dataflow(case.build / "hardware.onnx")
    result = execute(dataflow, case.pixels)["decide"].reshape(len(case.pixels), -1)
    expected = run(case.model("hardware.onnx"), case.pixels)
    assert np.array_equal(result[:, :-1], expected)
    assert np.array_equal(result[:, -1] & 0x7F, expected.argmax(axis=1))
    assert np.array_equal(expected * np.float32(dataflow.logit_scale), case.logits)


@pytest.mark.parametrize("name", NAMES)
def test_every_stream_holds_what_travels_on_it(lowered: Callable, name: str) -> None:
    case = lowered(name)
    dataflow = read_dataflow(case.build / "hardware.onnx")
    values = execute(dataflow, case.pixels)
    for kernel in dataflow.kernels:
        for stream in kernel.outputs:
            assert values[kernel.name].shape == (len(case.pixels), *stream.shape), kernel.name
            assert stream.low <= values[kernel.name].min() <= values[kernel.name].max() <= stream.high, (
                kernel.name
            )
            assert stream.lanes == 1 or isinstance(kernel, Decide)


def test_kernels_and_facts_of_a_network(lowered: Callable) -> None:
    case = lowered("identity-online-3bit")
    dataflow = read_dataflow(case.build / "hardware.onnx")
    assert (dataflow.model, dataflow.classes, dataflow.network["positive"]) == (
        "tsm-lite",
        ("a", "b", "c"),
        "c",
    )
    assert dataflow.kernels[-1].positive == 2  # type: ignore[attr-defined]
    window = dataflow.kernel("stage1_conv1_window")
    assert isinstance(window, Window)
    assert (window.kernel, window.stride, window.padding, window.repeat) == ((3, 3), (1, 1), (1, 1, 1, 1), 8)
    matrix, activation = dataflow.kernel("stem"), dataflow.kernel("stem_act")
    assert isinstance(matrix, MatVec)
    assert matrix.weights.shape == (8, 27)
    assert isinstance(activation, Threshold)
    assert (activation.bits, activation.base, activation.thresholds.shape) == (3, 0, (8, 7))
    assert dataflow.kernel("stage1_shift").groups == ((0, 1, -1), (1, 8, 0))  # type: ignore[attr-defined]
    head = dataflow.kernel("head_window")
    assert isinstance(head, Window)
    assert (head.kernel, head.repeat) == ((1, 1), 3)


def test_depthwise_products_and_biases_of_a_network(lowered: Callable) -> None:
    dataflow = read_dataflow(lowered("separable").build / "hardware.onnx")
    window, product = dataflow.kernel("block2_depthwise_window"), dataflow.kernel("block2_depthwise")
    assert isinstance(window, Window)
    assert (window.kernel, window.stride, window.padding) == ((3, 3), (2, 2), (0, 0, 1, 1))
    assert (window.depthwise, window.repeat) == (True, 1)
    assert isinstance(product, Depthwise)
    assert product.weights.shape == (8, 9)
    head, hidden = dataflow.kernel("head"), dataflow.kernel("hidden1")
    assert isinstance(head, MatVec)
    assert head.bias is not None
    assert head.bias.any()
    assert hidden.bias is None, "it is inside the thresholds"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["projections", "separable"])
def test_the_dataflow_survives_its_file(name: str, lowered: Callable, tmp_path: Path) -> None:
    case = lowered(name)
    dataflow = read_dataflow(case.build / "hardware.onnx")
    again = load_dataflow(dataflow.save(tmp_path / "dataflow.json")).check("reading back")
    results = [execute(graph, case.pixels)["decide"] for graph in (dataflow, again)]
    assert np.array_equal(*results)


def test_more_than_two_readers_get_a_chain_of_forks(lowered: Callable, tmp_path: Path) -> None:
    model = lowered("projections").model("hardware.onnx")
    fork = model.get_nodes_by_op_type("DuplicateStreams")[0]
    position = list(model.graph.node).index(fork)
    shape, kind = model.get_tensor_shape(fork.output[1]), model.get_tensor_datatype(fork.output[1])
    doubled = helper.make_node("ElementwiseAdd", ["extra", "extra2"], [fork.output[1]], name="doubled")
    fork.output[1] = "extra"
    fork.output.append("extra2")
    model.graph.node.insert(position + 1, doubled)
    for tensor in ("extra", "extra2"):
        model.set_tensor_shape(tensor, shape)
        model.set_tensor_datatype(tensor, kind)
    dataflow = read_dataflow(save(model, tmp_path / "hardware.onnx"))
    forks = [kernel for kernel in dataflow.kernels if isinstance(kernel, Fork)]
    assert [kernel.name for kernel in forks][:2] == ["stem_act_fork", "stem_act_fork2"]
    assert [str(link) for link in dataflow.links_from("stem_act_fork")] == [
        "stem_act_fork.0 -> stage1_shift.0",
        "stem_act_fork.1 -> stem_act_fork2.0",
    ]


@pytest.fixture(scope="module")
def hardware(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """hardware.onnx of a small network of a family, by name."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        lower(exported(small(name), 1, tmp_path_factory).qonnx, folder)
        return folder / "hardware.onnx"

    return make


@pytest.mark.slow  # to export it takes half a minute
def test_the_pathways_of_slowfast_are_gathers_pools_and_concatenations(hardware: Callable) -> None:
    dataflow = read_dataflow(hardware("slowfast-lite"))
    gathers = [kernel for kernel in dataflow.kernels if isinstance(kernel, FrameGather)]
    assert {gather.stride_t for gather in gathers} == {1, 2}
    assert {len(gather.groups) for gather in gathers} == {1, 3, 5}
    rates = {stream.frames for kernel in dataflow.kernels for stream in kernel.outputs}
    assert rates == {4, 2, 1}  # fast, slow, a clip
    assert sum(isinstance(kernel, Concat) for kernel in dataflow.kernels) == 4  # three laterals, the head
    assert [kernel.of for kernel in dataflow.kernels if isinstance(kernel, Pool)] == ["max", "max"]


def test_a_depthwise_convolution_over_frames_gathers_the_taps_of_a_channel(hardware: Callable) -> None:
    dataflow = read_dataflow(hardware("x3d-lite"))
    gathers = [kernel for kernel in dataflow.kernels if isinstance(kernel, FrameGather)]
    assert gathers
    assert all(gather.depthwise for gather in gathers)
    assert {k.taps for k in dataflow.kernels if isinstance(k, Depthwise)} == {5, 27}


def _dilated(model: ModelWrapper) -> None:
    getCustomOp(model.get_nodes_by_op_type("ConvolutionInputGenerator")[0]).set_nodeattr("Dilation", [2, 2])


def _depthwise(model: ModelWrapper) -> None:
    getCustomOp(model.get_nodes_by_op_type("ConvolutionInputGenerator")[0]).set_nodeattr("depthwise", 1)


def _densified(model: ModelWrapper) -> None:
    window = next(node for node in model.graph.node if node.name == "block1_depthwise_window")
    getCustomOp(window).set_nodeattr("depthwise", 0)


def _fused_depthwise(model: ModelWrapper) -> None:
    getCustomOp(model.get_nodes_by_op_type("VVAU")[0]).set_nodeattr("noActivation", 0)


def _bias_elsewhere(model: ModelWrapper) -> None:
    bias = model.get_nodes_by_op_type("ElementwiseAdd")[0]
    act = next(node for node in model.graph.node if node.name == "hidden1_act")
    bias.input[0] = act.output[0]


def _fused(model: ModelWrapper) -> None:
    getCustomOp(model.get_nodes_by_op_type("MVAU")[0]).set_nodeattr("noActivation", 0)


def _foreign(model: ModelWrapper) -> None:
    model.get_nodes_by_op_type("GlobalAccPool")[0].op_type = "LabelSelect"


def _without_scale(model: ModelWrapper) -> None:
    facts = metadata(model)
    del facts[LOGIT_SCALE]
    helper.set_model_props(model.model, facts)


def _other_classes(model: ModelWrapper) -> None:
    helper.set_model_props(model.model, metadata(model) | {"framegate.network": '{"classes": ["a", "b"]}'})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_densified, r"^'block1_depthwise_window': a window must feed one MVAU, not \['VVAU'\]$"),
        (_fused_depthwise, "^'block1_depthwise': thresholds inside a VVAU cannot be read; "),
        (_bias_elsewhere, "^'head_bias': adds a constant to what is no layer's sums alone; "),
    ],
)
def test_what_the_kernels_cannot_do_in_a_separable_network_is_named(
    lowered: Callable, tmp_path: Path, damage: Callable, says: str
) -> None:
    model = lowered("separable").model("hardware.onnx")
    damage(model)
    with pytest.raises(UsageError, match=says):
        read_dataflow(save(model, tmp_path / "hardware.onnx"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            _dilated,
            "^'stem_window': dilated windows cannot be built yet; use plain convolutions$",
        ),
        (_depthwise, r"^'stem_window': a depthwise window must feed one VVAU or Pool, not \['MVAU'\]$"),
        (_fused, "^'stem': thresholds inside an MVAU cannot be read; keep them as a node$"),
        (
            _foreign,
            "^unsupported hardware node: LabelSelect 'spatial_mean'; supported are Conv.*VVAU$",
        ),
        (_without_scale, "was not written by framegate; run `framegate compile` on its QONNX$"),
        (_other_classes, "^the network names 2 classes but gives 3 logits$"),
    ],
)
def test_what_the_kernels_cannot_do_is_named(
    lowered: Callable, tmp_path: Path, damage: Callable, says: str
) -> None:
    model = lowered("projections").model("hardware.onnx")
    damage(model)
    with pytest.raises(UsageError, match=says):
        read_dataflow(save(model, tmp_path / "hardware.onnx"))
