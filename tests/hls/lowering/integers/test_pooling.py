# SPDX-License-Identifier: Apache-2.0
"""Pools, concatenations, temporal and depthwise layers: the same logits from the network down to FINN's nodes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from framegate.hls.lowering.graphs import EXACT, LOGIT_SCALE, metadata, run, run_qonnx, save
from framegate.hls.lowering.integers.integerize import integerize
from framegate.hls.lowering.lower import LOWERING, lower
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from tests.drafts import FRAMES, OURS, SIZE, WIDTH, Draft, expect_equal, random_pixels

T = 5
OFFSETS = (-1, 0, 1)
BEHIND = ("output", "factor", "activation", "linear", "frames")  # a mean that was flattened
PER_CHANNEL = [(channel, channel + 1, offset) for channel in range(WIDTH) for offset in OFFSETS]


def activation(draft: Draft, x: str, bits: int = 4) -> str:
    return draft.quant(draft.node("Relu", draft.norm(x)), 0.5, bits, signed=0)


def hardware(draft: Draft, output: str, folder: Path) -> ModelWrapper:
    return ModelWrapper(str(lower(save(draft.model(output), folder / "model.onnx"), folder)))


@pytest.mark.parametrize("geometry", [{}, {"strides": [2, 2]}, {"pads": [1, 0, 1, 1], "strides": [2, 1]}])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pools_over_windows_are_exact(op: str, geometry: dict) -> None:
    draft = Draft(1)
    attributes = {"kernel_shape": [3, 2], **geometry}
    if op == "AveragePool":
        attributes["count_include_pad"] = 1
    x = draft.quant(draft.node(op, draft.stem(), **attributes), 2**-3, 6, signed=0)
    assert metadata(expect_equal(draft.model(draft.head(x)), 1))[EXACT] == "true"


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_a_pool_is_a_window_per_channel_and_finns_pool(op: str, tmp_path: Path) -> None:
    draft = Draft(1)
    x = draft.node(op, draft.stem(), kernel_shape=[3, 2], strides=[2, 2])
    model = hardware(draft, draft.head(draft.quant(x, 0.25, 4, signed=0)), tmp_path)
    (pool,) = model.get_nodes_by_op_type("Pool")
    window = model.find_producer(pool.input[0])
    assert getCustomOp(window).get_nodeattr("depthwise") == 1
    assert list(getCustomOp(pool).get_nodeattr("KernelSize")) == [3, 2]
    assert getCustomOp(pool).get_nodeattr("Function") == {"MaxPool": "MaxPool", "AveragePool": "AccPool"}[op]
    assert getCustomOp(pool).get_normal_output_shape() == tuple(model.get_tensor_shape(pool.output[0]))
    assert model.get_tensor_datatype(pool.output[0]) == getCustomOp(pool).get_output_datatype()


def test_a_mean_divides_once_and_rounds_as_the_network_does() -> None:
    """75 and 195 over 15, in quarters, are ties of halves: a scale of 0.25/15 would miss them by a bit."""
    draft = Draft(1)
    x = draft.node("AveragePool", draft.stem(), kernel_shape=[3, 5])
    integers = integerize(draft.model(draft.head(draft.quant(x, 0.5, 4, signed=0))))
    pool = integers.get_nodes_by_op_type("SumPool")[0]
    (activation,) = integers.find_consumers(pool.output[0])
    thresholds = integers.get_initializer(activation.input[1])[0]
    sums = np.arange(15 * 15 + 1, dtype=np.float32)
    expected = np.rint(sums * np.float32(0.25) / np.float32(15) / np.float32(0.5))
    assert np.array_equal((sums[:, None] >= thresholds).sum(axis=1), np.clip(expected, 0, 15))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("size", "exact"), [(4, "true"), (6, "false")])
def test_the_mean_of_all_pixels_is_a_scale(size: int, exact: str, flat: bool) -> None:
    """Exact in any order for 16 pixels; for 36, up to the last bits of a float."""
    draft = Draft(2, size=size)
    axes = draft.constant(np.array([2, 3]))
    x = draft.node("ReduceMean", draft.stem(), axes, keepdims=int(not flat))
    if not flat:
        x = draft.node("Flatten", x)
    x = draft.node("Gemm", x, draft.weights(3, WIDTH, bits=8, scale=2**-7), transB=1)
    model, pixels = draft.model(x), random_pixels(2, FRAMES, size)
    integers = integerize(model)
    assert metadata(integers)[EXACT] == exact
    scale = float(metadata(integers)[LOGIT_SCALE])
    assert run(integers, pixels) * scale == pytest.approx(run_qonnx(model, pixels), rel=1e-5, abs=1e-6)
    if exact == "true":
        expect_equal(model, 2)


@pytest.mark.parametrize("op", ["ReduceMean", "GlobalAveragePool"])
def test_a_quantizer_behind_a_mean_sees_the_division_itself(op: str) -> None:
    draft = Draft(3)
    inputs = [draft.constant(np.array([2, 3]))] if op == "ReduceMean" else []
    x = draft.node("Flatten", draft.node(op, draft.stem(), *inputs))  # 36 pixels
    x = draft.quant(x, 2**-3, 6, signed=0)
    x = draft.node("Gemm", x, draft.weights(3, WIDTH, bits=8, scale=2**-7), transB=1)
    assert metadata(expect_equal(draft.model(x), 3))[EXACT] == "true"


def test_channels_side_by_side_may_have_different_ranges(tmp_path: Path) -> None:
    draft = Draft(4)
    x = draft.stem()
    short = draft.quant(draft.norm(draft.conv(x)), 0.5, 3, signed=1)
    long = activation(draft, draft.conv(x), bits=5)
    both = draft.node("Concat", short, long, x_again(draft, x), axis=1)
    x = activation(draft, draft.conv(both, inputs=3 * WIDTH))
    output = draft.head(x)
    expect_equal(draft.model(output), 4)
    model = hardware(draft, output, tmp_path)
    (node,) = model.get_nodes_by_op_type("StreamingConcat")
    op = getCustomOp(node)
    assert op.get_nodeattr("ChannelsPerStream") == [WIDTH] * 3
    assert op.get_output_datatype() == model.get_tensor_datatype(node.output[0])
    assert op.get_normal_output_shape() == tuple(model.get_tensor_shape(node.output[0]))


def x_again(draft: Draft, x: str) -> str:
    """The same tensor in the scale of the others."""
    return draft.quant(x, 0.5, 4, signed=0)


@pytest.mark.parametrize(("stride_t", "outputs"), [(1, 0), (2, 0), (1, T - 2), (2, 2)])
def test_temporal_pools_are_exact(stride_t: int, outputs: int, tmp_path: Path) -> None:
    draft = Draft(5, frames=T)
    groups = [(channel, channel + 1, offset) for channel in range(WIDTH) for offset in (0, 1, 2)]
    x = draft.gather(draft.stem(), groups, stride_t, outputs)
    x = draft.node("ChannelMax", x, domain=OURS, group=3)
    draft.frames = outputs or -(-T // stride_t)
    output = draft.head(x)
    draft.frames = T
    expect_equal(draft.model(output), 5)
    model = hardware(draft, output, tmp_path)
    (node,) = model.get_nodes_by_op_type("Pool")
    gather = model.find_producer(node.input[0])
    assert getCustomOp(gather).groups == ((0, WIDTH, 0), (0, WIDTH, 1), (0, WIDTH, 2))
    assert list(getCustomOp(node).get_nodeattr("KernelSize")) == [3, 1]


@pytest.mark.parametrize("kernel", [(3, 3), (3, 2), (1, 1)])
def test_depthwise_convolutions_over_frames_are_exact(kernel: tuple[int, int], tmp_path: Path) -> None:
    draft = Draft(6, frames=T)
    scales = 2.0 ** draft.random.integers(-4, 0, (WIDTH, 1, 1, 1))
    weights = draft.weights(WIDTH, len(OFFSETS), *kernel, scale=scales)
    x = draft.gather(draft.stem(), PER_CHANNEL)
    x = draft.node("Conv", x, weights, kernel_shape=list(kernel), group=WIDTH)
    output = draft.head(activation(draft, x))
    expect_equal(draft.model(output), 6)
    model = hardware(draft, output, tmp_path)
    (node,) = model.get_nodes_by_op_type("VVAU")
    op = getCustomOp(node)
    assert list(op.get_nodeattr("Kernel")) == [kernel[0], kernel[1] * len(OFFSETS)]
    gather = model.get_nodes_by_op_type("FrameGather")[0]
    assert getCustomOp(gather).groups == tuple((0, WIDTH, offset) for offset in OFFSETS)


def test_a_shift_before_a_depthwise_convolution_keeps_its_groups(tmp_path: Path) -> None:
    draft = Draft(7, frames=T)
    groups = ((0, 2, -1), (2, 4, 1), (4, WIDTH, 0))
    x = activation(draft, draft.conv(draft.gather(draft.stem(), groups), group=WIDTH))
    output = draft.head(x)
    expect_equal(draft.model(output), 7)
    assert (
        getCustomOp(hardware(draft, output, tmp_path).get_nodes_by_op_type("FrameGather")[0]).groups == groups
    )


def test_a_depthwise_convolution_takes_a_scale_per_channel() -> None:
    draft = Draft(8)
    scales = 2.0 ** draft.random.integers(-3, 0, (1, WIDTH, 1, 1))
    x = draft.quant(draft.node("Relu", draft.norm(draft.conv(draft.stem()))), scales, 4, signed=0)
    x = draft.node("MaxPool", x, kernel_shape=[2, 2])
    x = activation(draft, draft.conv(x, group=WIDTH))
    assert metadata(expect_equal(draft.model(draft.head(x)), 8))[EXACT] == "true"


def test_a_flattened_picture_meets_a_linear_layer_as_a_convolution(tmp_path: Path) -> None:
    draft = Draft(9)
    x = draft.node("Flatten", draft.node("MaxPool", draft.stem(), kernel_shape=[2, 3], strides=[2, 3]))
    x = draft.quant(draft.node("Sub", x, draft.constant(np.float32(0.3))), 2**-2, 3, signed=1)
    x = draft.node("Gemm", x, draft.weights(WIDTH, WIDTH * 3 * 2, scale=0.25), transB=1)
    x = draft.quant(draft.node("Relu", draft.norm(x)), 0.5, 4, signed=0)
    output = draft.node("MatMul", x, draft.weights(WIDTH, 3, bits=8, scale=2**-7))
    expect_equal(draft.model(output), 9)
    names = [node.name for node in hardware(draft, output, tmp_path).graph.node]
    assert names[-4:] == ["hidden1_window", "hidden1", "hidden1_act", "head"]


def refusal_of_pool(draft: Draft) -> str:
    return draft.refusal(draft.node("MaxPool", draft.stem(), kernel_shape=[2, 2], ceil_mode=1))


def refusal_of_signed_padding(draft: Draft) -> str:
    x = draft.quant(draft.stem(), 0.25, 4, signed=1)
    return draft.refusal(draft.node("MaxPool", x, kernel_shape=[2, 2], pads=[1, 1, 0, 0]))


def refusal_of_border(draft: Draft) -> str:
    return draft.refusal(draft.node("AveragePool", draft.stem(), kernel_shape=[2, 2], pads=[1, 1, 0, 0]))


def refusal_of_scales(draft: Draft) -> str:
    x = draft.stem()
    return draft.refusal(draft.node("Concat", x, draft.quant(x, 0.5, 4, signed=0), axis=1))


def refusal_of_sums(draft: Draft) -> str:
    x = draft.stem()
    return draft.refusal(draft.node("Concat", x, draft.conv(x), axis=1))


def refusal_of_rows(draft: Draft) -> str:
    x = draft.stem()
    return draft.refusal(draft.node("Concat", x, x, axis=2))


def refusal_of_channel_scales(draft: Draft) -> str:
    scales = 2.0 ** (np.arange(WIDTH) % 3).reshape(1, -1, 1, 1)
    return draft.refusal(draft.conv(draft.quant(draft.stem(), scales, 4, signed=0)))


def refusal_of_pairs(draft: Draft) -> str:
    x = draft.node("Conv", draft.stem(), draft.weights(4, 2, 3, 3), group=4)
    return draft.refusal(x)


def refusal_of_max(draft: Draft) -> str:
    return draft.refusal(draft.node("ChannelMax", draft.stem(), domain=OURS, group=2))


def refusal_of_frames(draft: Draft) -> str:
    x = draft.stem()
    draft.frames = FRAMES + 1
    x = draft.gather(x, PER_CHANNEL)
    draft.frames = FRAMES
    return draft.refusal(x)


def refusal_of_features(draft: Draft) -> str:
    x = draft.node("Flatten", draft.stem())
    shift = draft.constant(np.ones(WIDTH * SIZE * SIZE, np.float32))
    return draft.refusal(draft.node("Add", x, shift))


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (refusal_of_pool, "MaxPool 'n6' at node 7 of 7: ceil_mode=1 cannot be built; use ceil_mode=0"),
        (
            refusal_of_signed_padding,
            "pads values that may be negative, where zeros would win; use an unsigned",
        ),
        (refusal_of_border, "divides by fewer values at the border; use count_include_pad=True or padding=0"),
        (refusal_of_scales, "puts integers of scales [0.25, 0.5] side by side; let all branches end in one"),
        (refusal_of_sums, "feeds Concat 'n8' at node 9 of 9 without a quantizer between them; insert a"),
        (refusal_of_rows, "axis=2; only channels (axis=1) can be put side by side"),
        (
            refusal_of_channel_scales,
            "reads a scale per channel, which only depthwise convolutions can; use one",
        ),
        (
            refusal_of_pairs,
            "2 inputs per channel must be frames of it, side by side as a FrameGather lays them",
        ),
        (refusal_of_max, "reads no FrameGather; let one lay the frames of each channel side by side"),
        (refusal_of_frames, "frames=3, but 2 arrive; export the network for one clip"),
        (
            refusal_of_features,
            "has 288 constants for flattened pictures of (8, 6, 6); put it before the flattening",
        ),
    ],
)
def test_what_cannot_be_built_is_named_with_the_way_out(refusal: Callable[[Draft], str], says: str) -> None:
    assert says in refusal(Draft())


@pytest.mark.parametrize(
    ("size", "flatten", "behind"),
    [
        *((6, flatten, behind) for flatten in ("Flatten", "Reshape", "Squeeze") for behind in BEHIND),
        *((size, "Flatten", behind) for size in (1, 3, 8) for behind in ("output", "activation")),
    ],
)
def test_the_mean_of_any_picture_may_be_flattened(size: int, flatten: str, behind: str) -> None:
    """Before the output, a factor, BatchNorm and a quantizer, a linear layer, or the mean of the frames."""
    draft = Draft(size, size=size)
    pixel = draft.node("Conv", draft.stem(), draft.weights(WIDTH, WIDTH, 1, 1), kernel_shape=[1, 1])
    if behind == "linear":
        pixel = draft.quant(pixel, 0.5, 4, signed=1)
    x = draft.node("GlobalAveragePool", pixel)
    shape = {"Reshape": [FRAMES, WIDTH], "Squeeze": [2, 3]}.get(flatten)
    x = draft.node(flatten, x, *([draft.constant(np.array(shape))] if shape else []))
    if behind == "factor":
        x = draft.node("Mul", x, draft.constant(np.float32(0.5)))
    if behind == "activation":
        x = draft.quant(draft.norm(x, abs(draft.random.normal(size=WIDTH))), 0.25, 6, signed=1)
    if behind == "linear":
        x = draft.node("Gemm", x, draft.weights(3, WIDTH, bits=8, scale=2**-7), transB=1)
    if behind == "frames":
        x = draft.node("FrameMean", x, domain=OURS, frames=FRAMES)
    model, pixels = draft.model(x), random_pixels(size, FRAMES, size)
    integers = integerize(model)
    scale = float(metadata(integers)[LOGIT_SCALE])
    found, expected = run(integers, pixels), run_qonnx(model, pixels) / scale
    assert len(np.unique(found)) > 3
    power_of_two = size & (size - 1) == 0
    assert metadata(integers)[EXACT] == str(power_of_two or behind == "activation").lower()
    assert np.array_equal(found, np.rint(expected))  # a sum over 36, times 36, may be a bit off
    for step in LOWERING[LOWERING.index(integerize) + 1 :]:
        integers = step(integers)
        assert np.array_equal(run(integers, pixels), found), step.__name__
