# SPDX-License-Identifier: Apache-2.0
"""Pooling operators of integer graphs that ONNX lacks; `finn_ops` offers them to QONNX as part of its domain."""

from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp


class ChannelMax(CustomOp):
    """The largest of `group` neighbouring channels: y[:, c] = max over k of x[:, c*group + k].

    Behind a FrameGather that puts the frames of a channel side by side it is the temporal max-pool.
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Attributes: (type, required, default, allowed values)."""
        return {"group": ("i", True, 0), "data_layout": ("s", False, "NCHW", {"NCHW", "NHWC"})}

    @property
    def axis(self) -> int:
        """Where the channels are."""
        return 1 if self.get_nodeattr("data_layout") == "NCHW" else 3

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape; the node itself while its input has no shape with channels."""
        known = model.get_tensor_shape(self.onnx_node.input[0])
        if known is None or len(known) <= self.axis:
            return self.onnx_node
        shape = list(known)
        shape[self.axis] //= self.get_nodeattr("group")
        return self.make_const_shape_op(shape)

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """The output has the input's type."""
        kind = model.get_tensor_datatype(self.onnx_node.input[0])
        model.set_tensor_datatype(self.onnx_node.output[0], kind)

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on frames, in either layout."""
        x, axis = context[self.onnx_node.input[0]], self.axis
        split = (*x.shape[:axis], -1, self.get_nodeattr("group"), *x.shape[axis + 1 :])
        context[self.onnx_node.output[0]] = x.reshape(split).max(axis=axis + 1)

    def verify_node(self) -> list[str]:
        """Nothing beyond the attribute types to verify."""
        return []


class SumPool(CustomOp):
    """The sum under a sliding window of each channel, frames (N, C, H, W): an average without its division."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Attributes: (type, required, default, allowed values)."""
        return {
            "kernel_shape": ("ints", True, []),
            "strides": ("ints", False, [1, 1]),
            "pads": ("ints", False, [0, 0, 0, 0]),  # top, left, bottom, right: zeros
        }

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape; the node itself while its input shape is unknown."""
        known = model.get_tensor_shape(self.onnx_node.input[0])
        if known is None:
            return self.onnx_node
        return self.make_const_shape_op(self._windows(np.zeros(known, np.int8)).shape[:4])

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Wide enough for every sum."""
        kind = model.get_tensor_datatype(self.onnx_node.input[0])
        if kind.is_integer():
            taps = int(np.prod(self.get_nodeattr("kernel_shape")))
            ends = int(kind.min()) * taps, int(kind.max()) * taps
            kind = DataType.get_smallest_possible(ends[1] if ends[0] == 0 else min(ends[0], -ends[1] - 1))
        model.set_tensor_datatype(self.onnx_node.output[0], kind)

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on frames (N, C, H, W)."""
        windows = self._windows(context[self.onnx_node.input[0]])
        context[self.onnx_node.output[0]] = windows.sum(axis=(4, 5), dtype=np.float32)

    def verify_node(self) -> list[str]:
        """Nothing beyond the attribute types to verify."""
        return []

    def _windows(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) to (N, C, H', W', ky, kx)."""
        top, left, bottom, right = self.get_nodeattr("pads")
        stride_h, stride_w = self.get_nodeattr("strides")
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        views = np.lib.stride_tricks.sliding_window_view(
            padded, tuple(self.get_nodeattr("kernel_shape")), axis=(2, 3)
        )
        return views[:, :, ::stride_h, ::stride_w]
