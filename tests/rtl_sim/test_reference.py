# SPDX-License-Identifier: Apache-2.0
"""The integer reference against the same network written in torch, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.kernels import Decide, Depthwise, Fork, MatVec, Mean, Threshold, Window
from framegate.hls.stream import Stream
from framegate.rtl_sim import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from tests.conftest import FIXED_SEED
from tests.dataflows import Builder, random_pixels, residual, separable

Images = torch.Tensor  # (N*T, C, H, W), float64


class ByHand:
    """`tests.dataflows.residual` once more, on torch's layout and operators."""

    def __init__(self, dataflow: Dataflow, online: bool) -> None:
        self.dataflow, self.online = dataflow, online
        self.frames = dataflow.pixels.frames

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(pixels.astype(np.float64)).flatten(0, 1).permute(0, 3, 1, 2)
        x = self.act("stem_act", self.conv("stem", x, 3, 2, 1))
        for stage in range(1, 1 + sum(isinstance(kernel, Fork) for kernel in self.dataflow.kernels)):
            x = self.stage(f"stage{stage}", x)
        x = self.conv("head", x.sum(dim=(2, 3), keepdim=True), 1, 1, 0)
        return x.reshape(-1, self.frames, x.shape[1]).sum(dim=1).numpy()

    def stage(self, name: str, x: Images) -> Images:
        long = self.act(f"{name}_conv1_act", self.conv(f"{name}_conv1", self.shift(x), 3, 2, 1))
        long = self.act(f"{name}_conv2_act", self.conv(f"{name}_conv2", long, 3, 1, 1))
        short = self.act(f"{name}_short_act", self.conv(f"{name}_short", x, 1, 2, 0))
        return self.act(f"{name}_act", long + short)

    def shift(self, x: Images) -> Images:
        clips = x.unflatten(0, (-1, self.frames))
        shifted, eighth = clips.clone(), x.shape[1] // 8
        shifted[:, :, :eighth] = 0
        shifted[:, 1:, :eighth] = clips[:, :-1, :eighth]
        if not self.online:
            shifted[:, :, eighth : 2 * eighth] = 0
            shifted[:, :-1, eighth : 2 * eighth] = clips[:, 1:, eighth : 2 * eighth]
        return shifted.flatten(0, 1)

    def conv(self, name: str, x: Images, size: int, stride: int, padding: int) -> Images:
        kernel = self.dataflow.kernel(name)
        assert isinstance(kernel, MatVec)
        filters = kernel.weights.reshape(kernel.rows, size, size, x.shape[1]).transpose(0, 3, 1, 2)
        return conv2d(x, torch.from_numpy(filters.astype(np.float64)), stride=stride, padding=padding)

    def act(self, name: str, x: Images) -> Images:
        kernel = self.dataflow.kernel(name)
        assert isinstance(kernel, Threshold)
        steps = torch.from_numpy(kernel.thresholds.astype(np.float64))[None, :, None, None, :]
        return kernel.base + (x[..., None] >= steps).sum(dim=-1).double()


@pytest.mark.parametrize("online", [False, True])
@pytest.mark.parametrize("widths", [(8, 8), (8, 16, 24)])
def test_logits_are_those_of_the_network_by_hand(online: bool, widths: tuple[int, ...]) -> None:
    dataflow = residual(frames=4, size=16, widths=widths, online=online)
    pixels = random_pixels(dataflow, 5)
    found = reference.logits(dataflow, pixels)
    assert found.shape == (5, 3)
    assert np.array_equal(found, ByHand(dataflow, online).logits(pixels))
    assert len(np.unique(found, axis=0)) > 1  # the clips can be told apart, so the comparison says something


def test_the_fast_way_gives_what_kernel_by_kernel_gives() -> None:
    """With depthwise products, padding on two sides and a bias."""
    dataflow = separable(size=16)
    pixels = random_pixels(dataflow, 3)
    slow = dict(reference.outputs(dataflow, pixels))["segments"].reshape(3, -1)
    assert np.array_equal(reference.logits(dataflow, pixels), slow)
    assert len(np.unique(slow, axis=0)) > 1


@settings(FIXED_SEED, max_examples=60)
@given(
    weight_bits=st.integers(2, 14),
    bits=st.integers(1, 8),
    signed=st.booleans(),
    depthwise=st.booleans(),
    size=st.sampled_from([1, 3]),
    stride=st.integers(1, 2),
    seed=st.integers(0, 1000),
)
def test_any_widths_of_weights_and_activations(
    weight_bits: int, bits: int, signed: bool, depthwise: bool, size: int, stride: int, seed: int
) -> None:
    """Fast logits, kernel by kernel, and plain numpy, with weights and activations at both ends of their ranges."""
    random = np.random.default_rng(seed)
    net = Builder(Stream(frames=2, height=5, width=6, channels=3, bits=8, signed=False), seed)
    steps = (1 << bits) - 1
    thresholds = np.sort(random.integers(0, 257, (3, steps)), axis=1)
    base = -(1 << (bits - 1)) if signed else 0
    act = Threshold(name="act", input=net.stream((PIXELS, 0)), thresholds=thresholds, bits=bits, base=base)
    x = net.add(act, (PIXELS, 0))
    padding = (size // 2,) * 4
    if depthwise:
        x = net.depthwise("product", x, size, stride, padding)
    else:
        x = net.conv("product", x, 4, size, stride, padding[0])
    product = net.kernels[-1]
    assert isinstance(product, MatVec | Depthwise)
    end = 1 << (weight_bits - 1)
    weights = random.integers(-end, end, product.weights.shape)
    weights.flat[:: random.integers(1, 4)] = random.choice([-end, end - 1])
    net.kernels[-1] = replace(product, weights=weights)
    x = net.add(Mean(name="pixels_mean", input=net.stream(x), over="frame"), x)
    x = net.add(Mean(name="frames_mean", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x)), x)
    dataflow = net.dataflow(tuple("abcd"[: net.stream(x).channels]))

    pixels = random_pixels(dataflow, 3, seed)
    pixels.flat[::5], pixels.flat[::7] = 0, 255
    values = base + (pixels[..., None] >= thresholds).sum(axis=-1)
    padded = np.pad(values, ((0, 0), (0, 0), *((padding[0],) * 2,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].transpose(0, 1, 2, 3, 5, 6, 4)  # (…, ky, kx, channel)
    if depthwise:
        sums = np.einsum("nthwyxc,cyx->nthwc", windows, weights.reshape(3, size, size))
    else:
        sums = np.einsum("nthwyxc,ryxc->nthwr", windows, weights.reshape(4, size, size, 3))
    expected = sums.sum(axis=(1, 2, 3))
    *_, (_, decided) = reference.outputs(dataflow, pixels)
    assert np.array_equal(decided.reshape(3, -1)[:, :-1], expected)
    assert np.array_equal(reference.logits(dataflow, pixels), expected)


def test_clips_of_a_batch_do_not_touch_each_other() -> None:
    dataflow = residual()
    pixels = random_pixels(dataflow, 4)
    together = reference.logits(dataflow, pixels)
    alone = np.concatenate([reference.logits(dataflow, pixels[clip : clip + 1]) for clip in range(4)])
    assert np.array_equal(together, alone)


def test_outputs_come_in_the_order_of_the_kernels_with_their_shapes() -> None:
    dataflow = residual()
    found = list(reference.outputs(dataflow, random_pixels(dataflow, 2)))
    assert [name for name, _ in found] == [kernel.name for kernel in dataflow.kernels]
    for kernel, (_, values) in zip(dataflow.kernels, found, strict=True):
        out = kernel.outputs[0]
        assert values.shape == (2, *out.shape)
        if not isinstance(kernel, Decide):
            assert out.low <= values.min() <= values.max() <= out.high


def test_accumulators_beyond_32_bits_are_refused_by_name() -> None:
    dataflow = residual()
    stem = dataflow.kernel("stem")
    assert isinstance(stem, MatVec)
    wide = replace(stem, weights=np.full_like(stem.weights, 2**20))
    kernels = tuple(wide if kernel is stem else kernel for kernel in dataflow.kernels)
    with pytest.raises(
        UsageError, match=r"^stem: accumulators up to \d+ exceed 32 bits; use fewer bits or channels$"
    ):
        reference.logits(replace(dataflow, kernels=kernels), random_pixels(dataflow, 1))


def test_fast_logits_are_those_of_the_kernels_one_by_one() -> None:
    dataflow = residual()
    pixels = random_pixels(dataflow, 11)  # more than a batch, not a multiple of it
    *_, (_, decided) = reference.outputs(dataflow, pixels)
    assert (reference.logits(dataflow, pixels) == decided.reshape(11, -1)[:, :-1]).all()


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 0, 0, 1), (2, 1, 1, 2)])
def test_a_window_and_its_product_are_one_convolution(padding: tuple[int, int, int, int]) -> None:
    stream = Stream(frames=2, height=5, width=6, channels=4, bits=4, signed=False)
    window = Window(
        name="w", input=stream, kernel=(3, 3), stride=(2, 1), padding=padding, pad_value=5, repeat=3
    )
    weights = np.random.default_rng(0).integers(-7, 8, (3, 36))
    product = MatVec(name="m", input=window.outputs[0], weights=weights)
    values = np.random.default_rng(1).integers(0, 16, (2, *stream.shape), dtype=np.int32)
    expected = product.reference(window.reference(values))
    assert (reference._convolve(window, product, values) == expected).all()


def test_thresholds_behind_an_activation_are_those_of_the_kernel() -> None:
    """Its values come as bytes, which hold neither every threshold nor what lies below them."""
    stream = Stream(frames=2, height=3, width=3, channels=4, bits=8, signed=False)
    first = Threshold(name="a", input=stream, thresholds=np.array([[3, 90, 250]]), bits=2, base=0)
    second = Threshold(
        name="b",
        input=first.outputs[0],
        thresholds=np.array([[0, 2], [1, 9], [-5, 3], [4, 4]]),
        bits=2,
        base=0,
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, *stream.shape), dtype=np.int32)
    values = reference._steps(first, pixels)
    assert values.dtype == np.uint8
    assert (reference._steps(second, values) == second.reference(first.reference(pixels))).all()
