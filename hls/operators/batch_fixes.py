# SPDX-License-Identifier: Apache-2.0
"""QONNX’s Im2Col and FINN’s VVAU for several frames: qonnx 1.0.0 mixes them, finn-plus 1.6.1 takes one."""

import numpy as np
import qonnx.custom_op.general.im2col as stock
from finn.custom_op.fpgadataflow.vectorvectoractivation import VVAU as StockVVAU  # noqa: N811  FINN's name
from onnx import GraphProto, NodeProto
from qonnx.core.modelwrapper import ModelWrapper


class Im2Col(stock.Im2Col):
    """Channels-last sliding window, right for any batch; patches ordered (ky, kx, channel)."""

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape."""
        shape = model.get_tensor_shape(self.onnx_node.input[0])
        return self.make_const_shape_op(self._windows(np.zeros(shape, dtype=np.int8)).shape)

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on frames (N, H, W, C)."""
        context[self.onnx_node.output[0]] = self._windows(context[self.onnx_node.input[0]])

    def _windows(self, x: np.ndarray) -> np.ndarray:
        """(N, H, W, C) to (N, H', W', ky*kx*C)."""
        top, left, bottom, right = self.get_nodeattr("pad_amount")
        (kernel_h, kernel_w), (stride_h, stride_w) = (
            self.get_nodeattr("kernel_size"),
            self.get_nodeattr("stride"),
        )
        dilation_h, dilation_w = self.get_nodeattr("dilations")
        pads = ((0, 0), (top, bottom), (left, right), (0, 0))
        padded = np.pad(x, pads, constant_values=self.get_nodeattr("pad_value"))
        span = ((kernel_h - 1) * dilation_h + 1, (kernel_w - 1) * dilation_w + 1)
        views = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(1, 2))
        picked = views[:, ::stride_h, ::stride_w, :, ::dilation_h, ::dilation_w].transpose(0, 1, 2, 4, 5, 3)
        return picked.reshape(*picked.shape[:3], -1)


class VVAU(StockVVAU):
    """Depthwise product, right for any batch. FINN's hardware variants keep their own execution."""

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape."""
        *pixels, _ = model.get_tensor_shape(self.onnx_node.input[0])
        return self.make_const_shape_op([*pixels, self.get_nodeattr("Channels")])

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on frames of windows (N, H, W, ky*kx*C), patches ordered (ky, kx, channel)."""
        windows, weights = (context[name] for name in self.onnx_node.input[:2])
        taps = weights.reshape(len(weights), -1).T
        patches = windows.reshape(*windows.shape[:-1], *taps.shape)
        context[self.onnx_node.output[0]] = (patches * taps).sum(axis=-2, dtype=np.float32)
