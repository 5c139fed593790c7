# SPDX-License-Identifier: Apache-2.0
"""A convolution layer that our hardware and a peer's are compared on, and the top that either side stands in."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from framegate.hls.kernels import MatVec, Threshold, Window
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target
from jinja2 import Environment, StrictUndefined

TOP = "framegate"
WEIGHT_BITS, OUT_BITS = 4, 4
_FRAMES = 3


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A square convolution and its 4-bit activation, folded: weights, thresholds and pixels follow from a seed."""

    kernel: int
    channels: int
    filters: int
    size: int  # height and width of a frame
    pe: int
    simd: int
    stride: int = 1
    padding: int = 0
    in_bits: int = 4
    target: str = "ulx3s-85f"  # whose multipliers our hardware uses

    @property
    def title(self) -> str:
        """The layer in a few words."""
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        return (
            f"conv {self.kernel}x{self.kernel}{stride} {self.channels}->{self.filters}, "
            f"{self.size}x{self.size}, PE {self.pe} x SIMD {self.simd}"
        )

    @property
    def input(self) -> Stream:
        """The stream that it takes: frames back to back."""
        return Stream(
            frames=_FRAMES,
            height=self.size,
            width=self.size,
            channels=self.channels,
            bits=self.in_bits,
            signed=False,
            lanes=self.simd,
        )

    @cached_property
    def pixels(self) -> np.ndarray:
        """One clip."""
        return np.random.default_rng(1).integers(
            0, self.input.high + 1, (1, *self.input.shape), dtype=np.int32
        )

    @cached_property
    def kernels(self) -> tuple[Window, MatVec, Threshold]:
        """Our hardware of the layer."""
        window = Window(
            name="window",
            input=self.input,
            kernel=(self.kernel, self.kernel),
            stride=(self.stride, self.stride),
            padding=(self.padding,) * 4,
            repeat=self.filters // self.pe,
        )
        half = 1 << (WEIGHT_BITS - 1)
        weights = np.random.default_rng(0).integers(-half, half, (self.filters, window.outputs[0].channels))
        device = load_target(self.target)
        product = MatVec(
            name="product",
            input=window.outputs[0],
            weights=weights,
            pe=self.pe,
            factor_bits=device.factor_bits,
            cascade=device.cascade,
        )
        sums = product.reference(window.reference(self.pixels)).reshape(-1, self.filters)
        steps = np.arange(1, 1 << OUT_BITS) / (1 << OUT_BITS)
        # Quantiles, so that every output is as frequent.
        thresholds = np.floor(np.quantile(sums, steps, axis=0)).astype(np.int64).T
        summed = product.outputs[0]
        activation = Threshold(name="activation", input=summed, thresholds=thresholds, bits=OUT_BITS, base=0)
        return window, product, activation


@dataclass(frozen=True)
class Part:
    """A module of a top: what it is made of, and the net of each of its pins."""

    module: str
    parameters: Mapping[str, int | str]
    pins: Mapping[str, str]


_TEMPLATE = """\
module framegate (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [{{ in_bits - 1 }}:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [{{ out_bits - 1 }}:0] out_data
);
{% for name, bits in nets.items() %}
    wire {{ name }}_valid, {{ name }}_ready;
    wire [{{ bits - 1 }}:0] {{ name }}_data;
{% endfor %}
{% for part in parts %}
    {{ part.module }}{{ bound(part.parameters, "#") }} u_{{ part.module }}{{ bound(part.pins) }};
{% endfor %}
endmodule
"""


def _bound(values: Mapping[str, int | str], mark: str = "") -> str:
    """Parameters or pins as an instance takes them; nothing for none."""
    return f" {mark}({', '.join(f'.{name}({value})' for name, value in values.items())})" if values else ""


def render_top(layer: Layer, nets: Mapping[str, int], parts: list[Part]) -> str:
    """The text of a top with the ports of the layer; `nets`: the streams inside, with their bits."""
    return (
        Environment(undefined=StrictUndefined, trim_blocks=True)
        .from_string(_TEMPLATE)
        .render(
            in_bits=layer.input.beat_bits,
            out_bits=layer.kernels[-1].outputs[0].beat_bits,
            nets=nets,
            parts=parts,
            bound=_bound,
        )
    )
