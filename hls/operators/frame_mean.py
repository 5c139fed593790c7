# SPDX-License-Identifier: Apache-2.0
"""FrameMean: the mean over a clip's frames."""

from typing import Any

import numpy as np
from framegate.hls.operators.datatype import datatype
from onnx import GraphProto, NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.base import CustomOp


class FrameMean(CustomOp):
    """The sum over a clip's frames: (T, K) to (1, K), or (T, 1, 1, K) to (1, 1, 1, K).

    The division is a scale of the result. FINN's builder leaves it to the host, behind the hardware.
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Attributes: (type, required, default, allowed values)."""
        return {"frames": ("i", True, 0), "data_layout": ("s", False, "NC", {"NC", "NHWC"})}

    def make_shape_compatible_op(self, model: ModelWrapper) -> NodeProto:
        """A standard node with this one's output shape; the node itself while its input shape is unknown."""
        shape = model.get_tensor_shape(self.onnx_node.input[0])
        return self.onnx_node if shape is None else self.make_const_shape_op([1, *shape[1:]])

    def infer_node_datatype(self, model: ModelWrapper) -> None:
        """Wide enough for the sum of all frames."""
        kind, frames = model.get_tensor_datatype(self.onnx_node.input[0]), self.get_nodeattr("frames")
        total = datatype(int(kind.min()) * frames, int(kind.max()) * frames) if kind.is_integer() else kind
        model.set_tensor_datatype(self.onnx_node.output[0], total)

    def execute_node(self, context: dict[str, np.ndarray], graph: GraphProto) -> None:
        """Run on one clip."""
        x = context[self.onnx_node.input[0]]
        context[self.onnx_node.output[0]] = x.sum(axis=0, keepdims=True, dtype=np.float32)

    def verify_node(self) -> list[str]:
        """Nothing beyond the attribute types to verify."""
        return []
