# SPDX-License-Identifier: Apache-2.0
"""One primitive: 3-D layers are frame gathers and 2-D layers, to the last bit."""

from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.hls.lowering.graphs import EXACT, metadata, run, run_qonnx
from framegate.hls.lowering.integers.integerize import integerize
from framegate.hls.lowering.lower import LOWERING, clean
from framegate.hls.lowering.taps import Taps, flat_weights
from framegate.hls.operators.frame_gather import gather
from hypothesis import assume, given, settings
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes

from tests.drafts import GENERAL, Draft

SIZES = st.integers(1, 4)


@st.composite
def windows(draw: st.DrawFn) -> dict[str, tuple[int, int, int]]:
    """Kernel, stride, padding and dilation of a 3-D convolution, (time, height, width), and the size of its input."""
    shape = {
        "size": draw(st.tuples(st.integers(1, 7), st.integers(1, 6), st.integers(1, 6))),
        "kernel_size": draw(st.tuples(SIZES, st.integers(1, 3), st.integers(1, 3))),
        "stride": draw(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))),
        "padding": draw(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2))),
        "dilation": (draw(st.integers(1, 2)), 1, 1),
    }
    spans = np.multiply(shape["dilation"], np.subtract(shape["kernel_size"], 1)) + 1
    assume((np.add(shape["size"], np.multiply(2, shape["padding"])) >= spans).all())
    return shape


@settings(max_examples=200, deadline=None)
@given(windows(), SIZES, SIZES, st.booleans(), st.integers(0, 2**32 - 1))
def test_a_3d_convolution_is_a_frame_gather_and_a_2d_convolution(
    window: dict, channels: int, outputs: int, depthwise: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    outputs, groups = (channels, channels) if depthwise else (outputs, 1)
    size = window.pop("size")
    reference = torch.nn.Conv3d(channels, outputs, groups=groups, bias=False, dtype=torch.float64, **window)
    weights = torch.randint(-8, 8, reference.weight.shape, generator=generator).double()
    clip = torch.randint(-128, 128, (1, channels, *size), generator=generator).double()
    with torch.no_grad():
        reference.weight.copy_(weights)
        expected = reference(clip)[0].transpose(0, 1)

    (k_t, *_), (stride_t, *stride), (pad_t, *pad) = (window[k] for k in ("kernel_size", "stride", "padding"))
    taps = Taps(k_t, stride_t, window["dilation"][0], pad_t, pad_t)
    by_channel = depthwise and channels > 1  # with one channel both orders are the same
    order = taps.channel_major(channels) if by_channel else taps.frame_major(channels)
    frames = gather(
        clip[0].transpose(0, 1).numpy(), tuple(order), stride_t, axis=1, outputs=taps.outputs(size[0])
    )
    flat = torch.from_numpy(flat_weights(weights.numpy(), depthwise=by_channel).copy())
    result = torch.nn.functional.conv2d(
        torch.from_numpy(frames), flat, stride=stride, padding=pad, groups=groups
    )
    assert result.shape == expected.shape
    assert torch.equal(result, expected)


class Clips(Draft):
    """A network of 3-D layers."""

    def stem3d(self) -> str:
        """Pixels, a convolution over time, BatchNorm, ReLU, quantizer."""
        pixels = self.quant("x", 2**-8, 8, signed=0)
        return self.conv3d(pixels, inputs=3, kernel=(3, 3, 3), pads=(1, 1, 1))

    def conv3d(self, x: str, kernel: tuple[int, int, int], inputs: int = 0, **geometry) -> str:  # type: ignore[no-untyped-def]
        """With BatchNorm, ReLU and quantizer behind it."""
        group = geometry.pop("group", 1)
        scale = 2.0 ** self.random.integers(-4, -1, (self.channels, 1, 1, 1, 1))
        weights = self.weights(self.channels, (inputs or self.channels) // group, *kernel, scale=scale)
        attributes = {"kernel_shape": list(kernel), "group": group}
        attributes |= {name: list(value) * (2 if name == "pads" else 1) for name, value in geometry.items()}
        x = self.node("Conv", x, weights, **attributes)
        return self.quant(self.node("Relu", self.norm(x)), 0.5, 4, signed=0)

    def head3d(self, x: str) -> str:
        """Mean over pixels and frames, 3 logits."""
        axes = self.constant(np.array([-1, -2, -3]))
        x = self.node("Flatten", self.node("ReduceMean", x, axes, keepdims=1))
        x = self.quant(x, 2**-4, 8, signed=0)
        return self.node("Gemm", x, self.weights(3, self.channels, bits=8, scale=2**-7), transB=1)

    def network(self, output: str) -> ModelWrapper:
        """As exported, before any cleaning."""
        shape = [1, 3, self.frames, self.size, self.size]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "clips", [x], [y], initializer=constants)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(GENERAL, 2)]
        return ModelWrapper(helper.make_model(graph, opset_imports=opsets)).transform(InferShapes())


def demand(condition: bool) -> None:
    assert condition


def expect_same(draft: Clips, output: str, demand: Callable = demand) -> ModelWrapper:
    """The hardware graph, after every graph on the way has given the logits of the 3-D network.

    Those on the way are run on one clip: the last one tells what any of them does to a second.
    """
    model = draft.network(output)
    shape = (2, draft.frames, draft.size, draft.size, 3)
    pixels = draft.random.integers(0, 256, shape).astype(np.uint8)
    expected = run_qonnx(model, pixels)
    demand(len(np.unique(expected)) > 2)  # a network that says nothing proves nothing
    model = clean(model)
    assert np.array_equal(run_qonnx(model, pixels[:1]), expected[:1])
    for step in LOWERING[LOWERING.index(clean) + 1 :]:
        model = step(model)
        scale = np.float32(metadata(model)["framegate.logit_scale"])
        assert np.array_equal(run(model, pixels[:1]) * scale, expected[:1]), step.__name__
    assert np.array_equal(run(model, pixels) * scale, expected)
    assert metadata(model)[EXACT] == "true"
    return model


NETWORKS = given(windows(), st.booleans(), st.integers(0, 1000))


@settings(max_examples=15, deadline=None)
@NETWORKS
def test_networks_with_random_windows_are_rewritten_exactly(window: dict, depthwise: bool, seed: int) -> None:
    expect_rewritten(window, depthwise, seed)


@pytest.mark.slow  # of the same kind as above
@settings(max_examples=100, deadline=None)
@NETWORKS
def test_many_networks_with_random_windows_are_rewritten_exactly(
    window: dict, depthwise: bool, seed: int
) -> None:
    expect_rewritten(window, depthwise, seed)


def expect_rewritten(window: dict, depthwise: bool, seed: int) -> None:
    draft = Clips(seed, channels=4, frames=window["size"][0], size=6)
    draft.frames = max(draft.frames, window["kernel_size"][0] * 2)
    x = draft.conv3d(
        draft.stem3d(),
        window["kernel_size"],
        strides=window["stride"],
        pads=window["padding"],
        dilations=window["dilation"],
        group=4 if depthwise else 1,
    )
    expect_same(draft, draft.head3d(x), demand=assume)


@pytest.mark.parametrize("kernel", [(1, 2, 2), (2, 2, 2), (3, 1, 1), (3, 3, 2), (1, 1, 1)])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("padded", [False, True])
def test_3d_max_pools_are_2d_pools_and_the_largest_of_the_frames(
    kernel: tuple[int, int, int], strides: tuple[int, int, int], padded: bool
) -> None:
    draft = Clips(1, channels=4, frames=5)
    pads = [size // 2 if padded else 0 for size in kernel] * 2
    x = draft.node("MaxPool", draft.stem3d(), kernel_shape=list(kernel), strides=list(strides), pads=pads)
    expect_same(draft, draft.head3d(x))


def mean_of_pixels_then_frames(draft: Clips, x: str) -> str:
    x = draft.node("ReduceMean", x, draft.constant(np.array([3, 4])), keepdims=1)
    x = draft.quant(x, 2**-4, 8, signed=0)
    x = draft.node("ReduceMean", x, draft.constant(np.array([2])), keepdims=0)
    return draft.node("Flatten", x)


def mean_of_frames_then_pixels(draft: Clips, x: str) -> str:
    x = draft.node("ReduceMean", x, draft.constant(np.array([2])), keepdims=1)
    return draft.node("Flatten", draft.node("GlobalAveragePool", draft.quant(x, 2**-4, 8, signed=0)))


def mean_without_axes_left(draft: Clips, x: str) -> str:
    return draft.node("ReduceMean", x, draft.constant(np.array([2, 3, 4])), keepdims=0)


def average_pool(draft: Clips, x: str) -> str:
    x = draft.node("AveragePool", x, kernel_shape=[1, 3, 2], strides=[1, 3, 2])
    x = draft.quant(x, 2**-4, 8, signed=0)
    return draft.node("Flatten", draft.node("AveragePool", x, kernel_shape=[draft.frames, 2, 3]))


def flattened_clip(draft: Clips, x: str) -> str:
    return draft.node("Flatten", draft.node("MaxPool", x, kernel_shape=[2, 3, 3], strides=[2, 3, 3]))


def every_second_frame(draft: Clips, x: str) -> str:
    numbers = [draft.constant(np.array([number])) for number in (1, 9, 2, 2)]
    return draft.node("Flatten", draft.node("GlobalAveragePool", draft.node("Slice", x, *numbers)))


def two_branches(draft: Clips, x: str) -> str:
    left = draft.conv3d(x, (3, 1, 1), pads=(1, 0, 0))
    right = draft.conv3d(draft.node("Dropout", x), (1, 3, 3), pads=(0, 1, 1))
    x = draft.node("Concat", left, right, axis=-4)
    x = draft.conv3d(x, (1, 1, 1), inputs=2 * draft.channels)
    x = draft.quant(draft.node("Add", x, left), 0.5, 4, signed=0)
    return draft.node("Flatten", draft.node("GlobalAveragePool", x))


def constants_of_a_clip(draft: Clips, x: str) -> str:
    shift = np.arange(draft.channels, dtype=np.float32).reshape(1, -1, 1, 1, 1)
    scales = 2.0 ** -(1 + np.arange(draft.channels, dtype=np.float32) % 2).reshape(1, -1, 1, 1, 1)
    x = draft.quant(draft.node("Add", x, draft.constant(shift)), scales, 5, signed=0)
    x = draft.conv3d(x, (3, 1, 1), group=draft.channels)
    return draft.node("Flatten", draft.node("GlobalAveragePool", x))


@pytest.mark.parametrize(
    "tail",
    [
        mean_of_pixels_then_frames,
        mean_of_frames_then_pixels,
        mean_without_axes_left,
        average_pool,
        flattened_clip,
        every_second_frame,
        two_branches,
        constants_of_a_clip,
    ],
)
def test_what_stands_behind_3d_convolutions_is_rewritten_exactly(tail: Callable[[Clips, str], str]) -> None:
    draft = Clips(2, channels=4, frames=4)
    x = draft.quant(tail(draft, draft.stem3d()), 2**-4, 8, signed=0)
    features = draft.network(x).get_tensor_shape(x)[1]
    expect_same(draft, draft.node("Gemm", x, draft.weights(3, features, bits=8, scale=2**-7), transB=1))


def test_zeros_before_a_clip_make_a_convolution_causal() -> None:
    draft = Clips(3, channels=4, frames=4)
    pads = draft.constant(np.array([0, 0, 2, 0, 0, 0, 0, 0, 0, 0]))
    x = draft.node("Pad", draft.stem3d(), pads, mode="constant")
    model = expect_same(draft, draft.head3d(draft.conv3d(x, (3, 1, 1))))
    gather_node = model.get_nodes_by_op_type("FrameGather")[1]
    groups = next(entry.ints for entry in gather_node.attribute if entry.name == "groups")
    assert list(groups) == [0, 4, -2, 0, 4, -1, 0, 4, 0]


def transposed(draft: Clips) -> str:
    return draft.node("Transpose", draft.stem3d(), perm=[0, 2, 1, 3, 4])


def grouped(draft: Clips) -> str:
    return draft.conv3d(draft.stem3d(), (3, 1, 1), group=2)


def signed_pool(draft: Clips) -> str:
    x = draft.quant(draft.stem3d(), 0.5, 4, signed=1)
    return draft.node("MaxPool", x, kernel_shape=[3, 1, 1], pads=[1, 0, 0, 1, 0, 0])


def part_of_the_frames(draft: Clips) -> str:
    return draft.node("AveragePool", draft.stem3d(), kernel_shape=[2, 1, 1])


def constants_per_frame(draft: Clips) -> str:
    return draft.node("Mul", draft.stem3d(), draft.constant(np.ones((1, 1, 4, 1, 1), np.float32)))


def no_end(draft: Clips) -> str:
    return draft.stem3d()


def float_weights(draft: Clips) -> str:
    weights = draft.constant(np.ones((4, 4, 1, 1, 1), np.float32))
    return draft.head3d(draft.node("Conv", draft.stem3d(), weights))


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (
            transposed,
            "unsupported layer: Transpose 'n6' on (1, C, T, H, W); supported there are Abs, Add, Atan, AveragePool",
        ),
        (grouped, "Conv 'n7': group=2 of 4 channels to 4 cannot be built yet; use group=1, or a depthwise"),
        (
            signed_pool,
            "MaxPool 'n7': pads values that may be negative, where zeros would win; use an unsigned",
        ),
        (part_of_the_frames, "averages 2 of 4 frames; average within frames, (1, ky, kx), or the whole clip"),
        (constants_per_frame, "Mul 'n6': has its own constant for each frame; use one for all frames"),
        (
            float_weights,
            "Conv 'n6' at node 9 of 15: its weights are not quantized; use a layer of brevitas.nn",
        ),
        (no_end, "the network gives (1, C, T, H, W); let it end in one value per class"),
    ],
)
def test_what_has_no_form_with_frames_on_the_batch_axis_is_named(layer: Callable, says: str) -> None:
    draft = Clips(4, channels=4, frames=4)
    with pytest.raises(UsageError) as caught:
        integerize(clean(draft.network(layer(draft))))
    assert says in str(caught.value)
