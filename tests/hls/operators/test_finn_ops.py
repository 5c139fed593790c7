# SPDX-License-Identifier: Apache-2.0
"""The operators that we add to FINN: what they compute, and that FINN's builder finds their hardware."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from finn.util.fpgadataflow import is_fpgadataflow_node, is_rtl_node
from framegate.hls import finn_ops
from framegate.hls.lowering.graphs import run
from framegate.hls.operators.frame_gather import gather
from framegate.quant.networks.checkpoint import FrameGather
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

FRAMES = 5
GATHERS = {
    "bidirectional": (((0, 2, -1), (2, 4, 1), (4, 8, 0)), 1),
    "online": (((0, 2, -1), (2, 8, 0)), 1),
    "temporal convolution": (((0, 8, -1), (0, 8, 0), (0, 8, 1)), 1),
    "lateral": (((0, 8, -2), (4, 8, 2), (0, 1, 9)), 2),
}


def single(op: str, shape: list[int], domain: str = finn_ops.DOMAIN, **attributes) -> ModelWrapper:  # type: ignore[no-untyped-def]
    """A graph of one node on UINT4 input."""
    node = helper.make_node(op, ["x"], ["y"], name=op, domain=domain)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(domain, 1)]
    model = ModelWrapper(
        helper.make_model(helper.make_graph([node], "single", [x], [y]), opset_imports=opsets)
    )
    model.set_tensor_datatype("x", DataType["UINT4"])
    return model.transform(InferShapes()).transform(InferDataTypes())


def random_frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 16, shape).astype(np.float32)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("gather", GATHERS)
def test_a_gather_is_the_networks_gather(gather: str, layout: str) -> None:
    groups, stride_t = GATHERS[gather]
    x = random_frames(FRAMES, 8, 2, 3)
    expected = FrameGather(groups, FRAMES, stride_t)(torch.from_numpy(x)).numpy()
    flat = [number for group in groups for number in group]
    into, back = ((0, 1, 2, 3), (0, 1, 2, 3)) if layout == "NCHW" else ((0, 2, 3, 1), (0, 3, 1, 2))
    given = x.transpose(into)
    attributes = {"groups": flat, "frames": FRAMES, "stride_t": stride_t, "data_layout": layout}
    model = single("FrameGather", list(given.shape), **attributes)
    result = execute_onnx(model, {"x": given})["y"]
    assert list(result.shape) == model.get_tensor_shape("y")
    assert model.get_tensor_datatype("y") == DataType["UINT4"]
    assert np.array_equal(result.transpose(back), expected)


@pytest.mark.parametrize("outputs", [0, 1, 3, 7])
@pytest.mark.parametrize("stride_t", [1, 2, 3])
def test_the_number_of_gathered_frames_is_free(stride_t: int, outputs: int) -> None:
    attributes = {"groups": [0, 4, -1, 2, 4, 1], "frames": FRAMES, "stride_t": stride_t, "outputs": outputs}
    model, x = single("FrameGather", [FRAMES, 4, 2, 3], **attributes), random_frames(FRAMES, 4, 2, 3)
    count = outputs or -(-FRAMES // stride_t)
    assert model.get_tensor_shape("y") == [count, 6, 2, 3]
    result = execute_onnx(model, {"x": x})["y"]
    clip = np.concatenate([np.zeros((1, 4, 2, 3)), x, np.zeros((3 * stride_t * count, 4, 2, 3))])
    for frame in range(count):
        assert np.array_equal(result[frame, :4], clip[frame * stride_t])
        assert np.array_equal(result[frame, 4:], clip[frame * stride_t + 2, 2:])


def test_a_gather_tells_finn_how_many_frames_it_gives() -> None:
    model = single(
        "FrameGather",
        [FRAMES, 2, 3, 4],
        groups=[0, 4, 0, 0, 4, 1],
        frames=FRAMES,
        outputs=FRAMES - 1,
        data_layout="NHWC",
        ImgDim=[2, 3],
        NumChannels=4,
        inputDataType="UINT4",
    )
    op = getCustomOp(model.graph.node[0])
    assert op.get_normal_input_shape() == (FRAMES, 2, 3, 4)
    assert list(op.get_normal_output_shape()) == model.get_tensor_shape("y") == [FRAMES - 1, 2, 3, 8]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_the_largest_of_neighbouring_channels(layout: str) -> None:
    shape = [FRAMES, 6, 2, 3] if layout == "NCHW" else [FRAMES, 2, 3, 6]
    model, x = single("ChannelMax", shape, group=3, data_layout=layout), random_frames(*shape)
    result, axis = execute_onnx(model, {"x": x})["y"], 1 if layout == "NCHW" else 3
    assert list(result.shape) == model.get_tensor_shape("y")
    assert model.get_tensor_datatype("y") == DataType["UINT4"]
    for channel in range(2):
        taps = x.take(range(3 * channel, 3 * channel + 3), axis=axis).max(axis=axis)
        assert np.array_equal(result.take(channel, axis=axis), taps)


def test_a_sum_pool_is_an_average_pool_before_its_division() -> None:
    attributes = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
    model, x = single("SumPool", [FRAMES, 4, 5, 6], **attributes), random_frames(FRAMES, 4, 5, 6)
    padded = torch.nn.functional.pad(torch.from_numpy(x), (0, 1, 1, 1))
    expected = torch.nn.functional.avg_pool2d(padded, (3, 2), stride=(2, 1), divisor_override=1).numpy()
    result = execute_onnx(model, {"x": x})["y"]
    assert list(result.shape) == model.get_tensor_shape("y")
    assert np.array_equal(result, expected)
    assert model.get_tensor_datatype("y") == DataType["UINT7"]  # 6 * 15


@pytest.mark.parametrize("function", ["MaxPool", "AccPool"])
def test_finns_pool_takes_any_number_of_frames(function: str) -> None:
    x = random_frames(FRAMES, 4, 3, 6 * 5)
    model = single(
        "Pool",
        list(x.shape),
        "finn.custom_op.fpgadataflow",
        backend="fpgadataflow",
        PE=1,
        Channels=5,
        KernelSize=[3, 2],
        Function=function,
        OutImgDims=[4, 3],
        BatchSize=FRAMES,
        InputDataType="UINT4",
        OutputDataType="UINT4" if function == "MaxPool" else "UINT7",
    )
    taps = x.reshape(FRAMES, 4, 3, 6, 5)
    expected = taps.max(axis=3) if function == "MaxPool" else taps.sum(axis=3)
    assert np.array_equal(execute_onnx(model, {"x": x})["y"], expected)


def test_depthwise_products_take_taps_of_several_frames() -> None:
    """Patches (ky, kx, frame, channel), weights (channel, 1, ky, kx * frames)."""
    x, weights = random_frames(FRAMES, 4, 3, 2 * 2 * 3 * 5), random_frames(5, 1, 2, 2 * 3)
    context = {"x": x, "w": weights}
    node = helper.make_node("VVAU", ["x", "w"], ["y"], domain="finn.custom_op.fpgadataflow")
    getCustomOp(node).execute_node(context, None)
    taps = x.reshape(FRAMES, 4, 3, 12, 5)
    expected = np.einsum("fhwtc,ct->fhwc", taps, weights.reshape(5, 12))
    assert np.array_equal(context["y"], expected)


@pytest.mark.parametrize(("layout", "shape"), [("NC", [FRAMES, 3]), ("NHWC", [FRAMES, 1, 1, 3])])
def test_a_mean_is_the_sum_over_frames(layout: str, shape: list[int]) -> None:
    model, x = single("FrameMean", shape, frames=FRAMES, data_layout=layout), random_frames(*shape)
    assert model.get_tensor_shape("y") == [1, *shape[1:]]
    assert model.get_tensor_datatype("y") == DataType["UINT7"]  # 5 * 15
    assert np.array_equal(execute_onnx(model, {"x": x})["y"], x.sum(axis=0, keepdims=True))


@pytest.mark.parametrize("size", [(5, 6), (1, 6), (5, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_windows_of_many_frames_are_those_of_each_frame(size: tuple[int, int], stride: int) -> None:
    attributes = {
        "stride": [stride, 1],
        "kernel_size": [3, 2],
        "pad_amount": [1, 0, 1, 1],
        "input_shape": f"(1,{size[0]},{size[1]},4)",
    }
    x = random_frames(FRAMES, *size, 4)
    model = single("Im2Col", list(x.shape), "qonnx.custom_op.general", **attributes)
    result = execute_onnx(model, {"x": x})["y"]
    assert list(result.shape) == model.get_tensor_shape("y")
    weights = torch.randn(7, 4, 3, 2, generator=torch.manual_seed(1)).double()
    padded = torch.nn.functional.pad(torch.from_numpy(x).double().permute(0, 3, 1, 2), (0, 1, 1, 1))
    expected = torch.nn.functional.conv2d(padded, weights, stride=(stride, 1)).permute(0, 2, 3, 1)
    columns = weights.permute(2, 3, 1, 0).reshape(-1, 7).numpy()
    assert np.allclose(result @ columns, expected.numpy())


def test_the_type_holds_both_ends() -> None:
    ends = [(0, 1), (0, 255), (-8, 7), (-9, 7), (-1, 200)]
    names = ("UINT1", "UINT8", "INT4", "INT5", "INT9")
    assert [finn_ops.datatype(*pair) for pair in ends] == [DataType[name] for name in names]


def test_the_gather_speaks_finns_stream_interface(lowered: Callable) -> None:
    model = lowered("projections").model("hardware.onnx")
    node = model.get_nodes_by_op_type("FrameGather")[0]
    assert is_fpgadataflow_node(node)
    op = getCustomOp(node)
    assert op.get_normal_input_shape() == op.get_normal_output_shape() == (4, 8, 8, 8)
    assert op.get_folded_input_shape() == (4, 8, 8, 8, 1)
    assert (op.get_instream_width(), op.get_instream_width_padded(), op.get_number_output_values()) == (
        4,
        8,
        2048,
    )
    assert op.get_exp_cycles() == (4 + 1) * 8 * 8 * 8  # one frame of lookahead
    assert op.get_verilog_top_module_intf_names()["s_axis"] == [("in0_V", 8)]
    assert op.lut_estimation("") > 0


def test_finns_builder_gets_the_kernel_and_a_wrapper(lowered: Callable, tmp_path: Path) -> None:
    case = lowered("identity-8bit")
    model = case.model("hardware.onnx").transform(SpecializeLayers("xczu3eg-sbva484-1-e"))
    model = model.transform(finn_ops.SpecializeFrameGather())
    nodes = [node for node in model.graph.node if is_rtl_node(node) and node.op_type == "FrameGather_rtl"]
    assert len(nodes) == 2
    assert [node.op_type for node in model.graph.node if not is_fpgadataflow_node(node)] == ["FrameMean"]
    op = getCustomOp(nodes[0])
    op.set_nodeattr("code_gen_dir_ipgen", str(tmp_path))
    op.code_generation_ipgen(model, "xczu3eg-sbva484-1-e", 5.0)
    assert [Path(name).is_file() for name in op.get_rtl_file_list(abspath=True)] == [True] * 4
    assert op.get_rtl_file_list() == ["fg_shift.sv", "fg_ram.sv", "fg_stream_check.sv", f"{nodes[0].name}.v"]
    text = (tmp_path / f"{nodes[0].name}.v").read_text()
    for name, value in op.kernel().instance().parameters.items():
        assert f".{name}({value})" in text
    assert f"module {nodes[0].name} (" in text
    assert (
        op.code_generation_ipi()[-1]
        == f"create_bd_cell -type module -reference {nodes[0].name} {nodes[0].name}"
    )
    x = random_frames(*op.get_normal_input_shape())
    context = {nodes[0].input[0]: x}
    op.execute_node(context, model.graph)
    assert np.array_equal(context[nodes[0].output[0]], gather(x, op.groups, 1, axis=3))


def test_the_specialized_graph_still_computes_the_same(lowered: Callable) -> None:
    case = lowered("projections")
    model = case.model("hardware.onnx").transform(finn_ops.SpecializeFrameGather())
    assert np.array_equal(run(model, case.pixels), run(case.model("hardware.onnx"), case.pixels))
