# SPDX-License-Identifier: Apache-2.0
"""Integers instead of floats: exact, at ties too, and a sentence for what cannot become integers."""

from pathlib import Path

import numpy as np
import pytest
from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
from finn.transformation.streamline import Streamline
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from framegate.hls.dataflow.graph import PIXELS
from framegate.hls.lowering.graphs import EXACT, LOGIT_SCALE, metadata, run, run_qonnx, save, set_pixel_scale
from framegate.hls.lowering.integers.integerize import HANDLERS, integerize
from framegate.hls.lowering.integers.staircase import FloatChain, staircase
from framegate.hls.lowering.layer_names import name_layers
from framegate.hls.lowering.lower import lower
from framegate.hls.lowering.read_off import read_dataflow
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from tests.drafts import GENERAL, SIZE, WIDTH, Draft, expect_equal, random_pixels


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_residual_networks_are_equal_to_the_last_bit(seed: int, bits: int) -> None:
    draft = Draft(seed)
    x = draft.stem(bits)
    shift = [(0, 2, -1), (2, 4, 1), (4, WIDTH, 0)] if seed % 2 else [(0, 2, -1), (2, WIDTH, 0)]
    branch = draft.conv(draft.gather(x, shift))
    branch = draft.quant(draft.norm(branch), 0.5, bits, signed=1)
    shortcut = draft.quant(x, 0.5, bits, signed=1)
    x = draft.quant(draft.node("Relu", draft.node("Add", branch, shortcut)), 0.5, bits, signed=0)
    integers = expect_equal(draft.model(draft.head(x)), seed)
    assert metadata(integers)[EXACT] == "true"
    assert [node.op_type for node in integers.graph.node].count("MultiThreshold") == 4


def test_every_accumulator_of_a_layer_lands_on_the_level_that_the_float_operations_give() -> None:
    draft = Draft(3)
    y = draft.quant(draft.node("Relu", draft.norm("t")), 0.25, 4, signed=0)
    nodes, low = draft.nodes, np.full(WIDTH, -900)
    model, every = _layer(draft, y, 1801), np.arange(-900, 901)[:, None] * np.ones(WIDTH, dtype=np.int64)
    chain = FloatChain(model, "t", nodes[:-1], nodes[-1], rank=4)
    found = staircase(chain, np.array([2**-6], np.float32), low, -low)
    (expected,) = execute_onnx(
        model, {"t": (every * np.float32(2**-6)).reshape(-1, WIDTH, 1, 1).astype(np.float32)}
    ).values()
    assert {-1, 1} == set(found.sign)
    assert np.array_equal(found.count(every * found.sign), expected.reshape(-1, WIDTH) / 0.25)


def test_ties_go_where_round_half_even_sends_them() -> None:
    draft = Draft(channels=1)
    y = draft.quant("t", 1.0, 2, signed=0)
    chain = FloatChain(_layer(draft, y, 1), "t", [], draft.nodes[-1], rank=4)
    found = staircase(chain, np.array([0.5], np.float32), np.array([-20]), np.array([20]))
    assert found.thresholds.tolist() == [[2, 3, 6]]  # 0.5 rounds to 0, 1.5 to 2, 2.5 to 2


def test_a_constant_channel_is_always_or_never() -> None:
    draft = Draft(channels=2)
    inputs = [draft.constant(np.float32(value)) for value in ([0, 0], [9, -9], [0, 0], [1, 1])]
    y = draft.quant(draft.node("BatchNormalization", "t", *inputs), 1.0, 2, signed=0)
    chain = FloatChain(_layer(draft, y, 1), "t", draft.nodes[:-1], draft.nodes[-1], rank=4)
    found = staircase(chain, np.array([1], np.float32), np.array([-5, -5]), np.array([7, 7]))
    assert found.thresholds.tolist() == [[-5] * 3, [8] * 3]


def _layer(draft: Draft, output: str, levels: int) -> ModelWrapper:
    """The draft's nodes on a tensor t of (levels, channels, 1, 1)."""
    shape = [levels, draft.channels, 1, 1]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("t", output)]
    constants = [numpy_helper.from_array(value, name) for name, value in draft.constants.items()]
    inner = [
        helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, shape) for node in draft.nodes[:-1]
    ]
    graph = helper.make_graph(
        draft.nodes, "layer", ends[:1], ends[1:], initializer=constants, value_info=inner
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(GENERAL, 2)]
    return ModelWrapper(helper.make_model(graph, opset_imports=opsets))


def test_thresholds_agree_with_those_of_finn_where_no_tie_is() -> None:
    draft = Draft(5)
    x = draft.conv(draft.quant("x", 2**-8, 8, signed=0), inputs=3, bits=8, scale=2**-5)
    x = draft.quant(draft.node("Relu", draft.norm(x)), 2**-2, 4, signed=0)
    model = draft.model(x)
    ours = next(
        node for node in integerize(draft.model(draft.head(x))).graph.node if node.op_type == "MultiThreshold"
    )
    found = integerize(draft.model(draft.head(x))).get_initializer(ours.input[1])
    finn = model.transform(ConvertQONNXtoFINN()).transform(Streamline()).transform(RoundAndClipThresholds())
    node = finn.get_nodes_by_op_type("MultiThreshold")[-1]
    theirs = finn.get_initializer(node.input[1])
    assert theirs.shape == found.shape
    assert np.array_equal(theirs, found)


def test_uneven_geometry_arrives_in_the_dataflow(tmp_path: Path) -> None:
    draft = Draft(6)
    weights = draft.weights(WIDTH, WIDTH, 3, 2)
    geometry = {"kernel_shape": [3, 2], "pads": [2, 1, 0, 0], "strides": [1, 2]}
    x = draft.quant(draft.norm(draft.node("Conv", draft.stem(), weights, **geometry)), 0.5, 4, signed=1)
    model, pixels = draft.model(draft.head(x)), random_pixels(6)
    expected = run(integerize(model), pixels)
    hardware = lower(save(model, tmp_path / "model.onnx"), tmp_path)
    assert np.array_equal(run(ModelWrapper(str(hardware)), pixels), expected)
    dataflow = read_dataflow(hardware)
    assert dataflow.kernel("conv2_window").padding == (2, 1, 0, 0)  # type: ignore[attr-defined]
    values = {PIXELS: pixels.astype(np.int32)}
    for kernel in dataflow.kernels:
        values[kernel.name] = kernel.reference(
            *(values[link.producer] for link in dataflow.links_into(kernel.name))
        )
    assert np.array_equal(values["decide"].reshape(2, -1)[:, :-1], expected)


def test_power_of_two_factors_move_into_the_scale_and_others_into_thresholds() -> None:
    draft = Draft(1)
    x = draft.node("Mul", draft.stem(), draft.constant(np.float32(4)))
    x = draft.node("Div", x, draft.constant(np.float32(2)))
    x = draft.node("Sub", draft.conv(x), draft.constant(np.float32(np.arange(WIDTH)).reshape(1, WIDTH, 1, 1)))
    x = draft.quant(draft.node("Mul", x, draft.constant(np.float32(0.3))), 0.5, 4, signed=1)
    expect_equal(draft.model(draft.head(x)), 1)


def test_scales_per_weight_channel_are_exact() -> None:
    draft = Draft(2)
    scales = 2.0 ** draft.random.integers(-4, 0, (WIDTH, 1, 1, 1))
    x = draft.quant(draft.norm(draft.conv(draft.stem(), scale=scales)), 0.5, 4, signed=1)
    assert metadata(expect_equal(draft.model(draft.head(x)), 2))[EXACT] == "true"


def test_a_scale_that_is_no_power_of_two_is_lowered_and_told() -> None:
    draft = Draft(2)
    x = draft.quant(draft.norm(draft.conv(draft.stem(), scale=0.3)), 0.7, 4, signed=1)
    model = draft.model(draft.head(x))
    integers, pixels = integerize(model), random_pixels(2)
    assert metadata(integers)[EXACT] == "false"
    assert run(integers, pixels) * float(metadata(integers)[LOGIT_SCALE]) == pytest.approx(
        run_qonnx(model, pixels), abs=0.05
    )


def test_an_activation_may_be_clipped_or_dropped_out() -> None:
    draft = Draft(6)
    x = draft.node("Clip", draft.norm(draft.conv(draft.stem())), draft.constant(np.float32(0)), "")
    x = draft.node("Clip", draft.node("Dropout", x), "", draft.constant(np.float32(1.3)))
    expect_equal(draft.model(draft.head(draft.quant(x, 2**-3, 4, signed=0))), 6)


@pytest.mark.parametrize(("scale", "exact"), [(2**-7, "true"), (1 / 255, "false")])
def test_pixels_may_have_any_scale_and_no_quantizer(scale: float, exact: str) -> None:
    draft = Draft(6)
    x = draft.conv("x", inputs=3, bits=8, scale=2**-5)
    x = draft.quant(draft.node("Relu", draft.norm(x)), 2**-2, 4, signed=0)
    model, pixels = draft.model(draft.head(x)), random_pixels(6)
    set_pixel_scale(model, scale)
    integers = integerize(model)
    assert metadata(integers)[EXACT] == exact
    if exact == "true":
        expect_equal(model, 6)
    logits = run(integers, pixels) * float(metadata(integers)[LOGIT_SCALE])
    assert logits == pytest.approx(run_qonnx(model, pixels), abs=0.01)


def test_a_quantizer_of_pixels_sees_every_operation_before_it() -> None:
    """Of a scale that is no power of two nothing is left behind the thresholds."""
    draft = Draft(7)
    x = draft.node(
        "Sub", draft.node("Mul", "x", draft.constant(np.float32(2))), draft.constant(np.float32([1]))
    )
    x = draft.conv(draft.quant(x, 2**-5, 6, signed=1), inputs=3)
    model = draft.model(draft.head(draft.quant(draft.norm(x), 2**-2, 4, signed=1)))
    set_pixel_scale(model, 1 / 255)
    assert metadata(expect_equal(model, 7))[EXACT] == "true"


def test_a_factor_that_no_quantizer_takes_in_is_part_of_the_scale() -> None:
    draft = Draft(5)
    model = draft.model(draft.node("Mul", draft.head(draft.stem()), draft.constant(np.float32(0.3))))
    integers, pixels = integerize(model), random_pixels(5)
    assert metadata(integers)[EXACT] == "false"
    expected = run_qonnx(model, pixels)
    assert run(integers, pixels) * float(metadata(integers)[LOGIT_SCALE]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_depthwise_convolutions_with_a_scale_per_channel_are_exact(seed: int) -> None:
    draft = Draft(seed)
    scales = 2.0 ** draft.random.integers(-4, 0, (WIDTH, 1, 1, 1))
    geometry = {"group": WIDTH, "pads": [0, 0, 1, 1], "strides": [2, 2]}
    x = draft.conv(draft.stem(), scale=scales, **geometry)
    x = draft.quant(draft.node("Relu", draft.norm(x)), 0.25, 4, signed=0)
    model = expect_equal(draft.model(draft.head(x)), seed)
    assert metadata(model)[EXACT] == "true"


def test_zeros_around_a_picture_are_padding_of_the_convolution() -> None:
    results = []
    for apart in (False, True):
        draft = Draft(3)
        x = draft.stem()
        if apart:
            x = draft.node("Pad", x, draft.constant(np.array([0, 0, 0, 1, 0, 0, 1, 0])), mode="constant")
        pads = [0, 0, 0, 1] if apart else [0, 1, 1, 1]
        x = draft.conv(x, pads=pads, strides=[2, 2])
        results.append(
            run(expect_equal(draft.model(draft.head(draft.quant(x, 1.0, 4, signed=1))), 3), random_pixels(3))
        )
    assert np.array_equal(*results)


@pytest.mark.parametrize(
    ("pads", "mode"), [([0, 1, 0, 0, 0, 0, 0, 0], "constant"), ([0, 0, 1, 1, 0, 0, 1, 1], "reflect")]
)
def test_padding_that_is_not_zeros_around_a_picture_is_named(pads: list[int], mode: str) -> None:
    draft = Draft()
    x = draft.node("Pad", draft.stem(), draft.constant(np.array(pads)), mode=mode)
    assert "unsupported layer: Pad" in draft.refusal(draft.conv(x))


def test_names_never_collide_with_those_of_the_network() -> None:
    draft = Draft(1)
    x = draft.stem()
    model = draft.model(draft.head(draft.quant(draft.norm(draft.conv(x)), 0.5, 4, signed=1)))
    integers = integerize(model)
    integers.rename_tensor(integers.graph.node[2].output[0], "stem")
    names = [node.name for node in name_layers(integers).graph.node]
    assert names == ["stem", "stem_act", "conv2", "conv2_act", "spatial_mean", "flatten", "head", "clip_mean"]
    assert np.array_equal(run(integers, random_pixels(1)), run(integerize(model), random_pixels(1)))


def test_an_unsupported_layer_is_named_with_its_place_and_the_way_out() -> None:
    draft = Draft()
    assert draft.refusal(draft.node("GlobalMaxPool", draft.stem())) == (
        f"unsupported layer: GlobalMaxPool 'n6' at node 7 of 7; supported are {', '.join(sorted(HANDLERS))}; "
        f"replace it in the network and export again"
    )


def test_a_convolution_without_quantizer_is_named() -> None:
    draft = Draft()
    first = draft.conv(draft.stem())
    assert draft.refusal(draft.conv(first)) == (
        "Conv 'n7' at node 8 of 10 feeds Conv 'n9' at node 10 of 10 without a quantizer between them; "
        "insert a QuantReLU or QuantIdentity"
    )
    draft = Draft()
    assert draft.refusal(draft.conv(draft.norm(draft.conv(draft.stem())))) == (
        "BatchNormalization 'n8' at node 9 of 11 feeds Conv 'n10' at node 11 of 11 without a quantizer "
        "between them; insert a QuantReLU or QuantIdentity behind it"
    )
    draft = Draft()
    assert "feeds the output 't8' without a quantizer" in draft.refusal(draft.norm(draft.conv(draft.stem())))


def test_branches_must_share_a_quantizer() -> None:
    draft = Draft()
    x = draft.stem()
    y = draft.node("Add", draft.quant(x, 0.5, 4, signed=1), draft.quant(x, 0.25, 4, signed=1))
    assert draft.refusal(y).endswith(
        "adds integers of scales 0.5 and 0.25; let both branches end in one shared quantizer"
    )


def test_a_falling_channel_behind_an_addition_cannot_be_built() -> None:
    draft = Draft()
    x = draft.stem()
    y = draft.norm(
        draft.node("Add", draft.quant(x, 0.5, 4, signed=1), draft.quant(x, 0.5, 4, signed=1)), -np.ones(WIDTH)
    )
    assert "channels [0, 1, 2, 3, 4, 5, 6, 7] fall with their input" in draft.refusal(
        draft.quant(y, 1, 4, signed=1)
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_one_sum_may_feed_two_quantizers_unless_it_falls(sign: int) -> None:
    draft = Draft(7)
    y = draft.norm(draft.conv(draft.stem()), sign * np.ones(WIDTH))
    x = draft.node(
        "Add", draft.quant(y, 0.5, 4, signed=1), draft.quant(draft.node("Relu", y), 0.5, 3, signed=0)
    )
    x = draft.quant(x, 0.5, 4, signed=1)
    if sign > 0:
        expect_equal(draft.model(draft.head(x)), 7)
    else:
        assert "the sign cannot move into weights that nothing else reads" in draft.refusal(x)


def test_an_activation_that_rises_and_falls_cannot_be_built() -> None:
    draft = Draft()
    y = draft.node("Div", draft.constant(np.float32(1)), draft.conv(draft.stem()))
    assert "rises and falls with its input" in draft.refusal(draft.quant(y, 0.25, 4, signed=1))


def test_sums_that_float32_cannot_hold_are_refused() -> None:
    draft = Draft(channels=WIDTH)
    x = draft.quant(draft.norm(draft.conv("x", inputs=3)), 1, 8, signed=0)
    assert "Conv 'n5' at node 6 of 6: sums from -" in (said := draft.refusal(draft.conv(x, bits=16)))
    assert said.endswith("are not exact in float32 (2^24); use fewer channels or bits")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bits": 3.5}, "bit width 3.5; use a whole number from 1 to 32"),
        ({"bits": np.nan}, "bit width nan; use a whole number from 1 to 32"),
        ({"bits": 33}, "bit width 33.0; use a whole number from 1 to 32"),
        ({"scale": 0.0}, "has a scale of 0.0; a scale is a number above 0, train again"),
        ({"scale": -0.5}, "has a scale of -0.5; a scale is a number above 0, train again"),
        ({"scale": np.nan}, "has a scale of nan; a scale is a number above 0, train again"),
        ({"scale": np.inf}, "has a scale of inf; a scale is a number above 0, train again"),
        (
            {"rounding": "DPU"},
            "rounding_mode=DPU, which QONNX does not define; use one of ROUND, HALF_EVEN, CEIL, FLOOR, UP, ",
        ),
        ({"zero": 2.0}, "scale, zero point and bit width must be constants, the zero point 0; "),
        (
            {"scale": np.full((1, 1, SIZE, 1), 0.5)},
            "scales of shape (1, 1, 6, 1); use one per tensor, or one per",
        ),
    ],
)
def test_odd_quantizers_are_refused(options: dict, says: str) -> None:
    draft = Draft()
    x = draft.conv(draft.stem())
    assert says in draft.refusal(draft.quant(x, **{"scale": 0.5, "bits": 4, "signed": 1, **options}))


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        (
            {"group": 2},
            "group=2 of 8 channels to 8 cannot be built yet; use group=1, or a depthwise convolution (a group "
            "and an output per channel)",
        ),
        ({"dilations": [2, 2]}, "dilations=[2, 2] cannot be built yet; use 1"),
        ({"auto_pad": "SAME_UPPER"}, "auto_pad=SAME_UPPER; export explicit padding"),
    ],
)
def test_odd_convolutions_are_refused(geometry: dict, says: str) -> None:
    draft = Draft()
    assert draft.refusal(draft.conv(draft.stem(), **geometry)).endswith(says)


def test_odd_heads_are_refused() -> None:
    draft = Draft()
    assert "use a linear layer on flattened features" in draft.refusal(draft.head(draft.stem(), alpha=2.0))
    draft = Draft()
    x = draft.node("Reshape", draft.stem(), draft.constant(np.array([1, -1])))
    assert "only (frames, channels, height, width) can be flattened, frame by frame" in draft.refusal(x)
    draft = Draft()
    x = draft.node("ReduceSum", draft.stem(), draft.constant(np.array([1])), keepdims=1)
    assert "use sum((2, 3))" in draft.refusal(x)
    draft = Draft()
    assert "its weights are not quantized; use a layer of brevitas.nn" in draft.refusal(
        draft.node("Conv", draft.stem(), draft.constant(np.ones((2, WIDTH, 1, 1), np.float32)))
    )
