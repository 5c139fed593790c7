# SPDX-License-Identifier: Apache-2.0
"""Writing and running the ONNX graphs between the network and the dataflow."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from framegate.files import whole
from framegate.hls import finn_ops
from framegate.hls.lowering.shapes import describe_constants
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.datatype import BaseDataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.basic import qonnx_make_model

GENERAL = "qonnx.custom_op.general"
HARDWARE = "finn.custom_op.fpgadataflow"
LOGIT_SCALE = "framegate.logit_scale"  # metadata: value of one integer logit step, as repr of a float
EXACT = "framegate.exact_by_construction"  # metadata: "true" when every scale is a power of two
NETWORK = "framegate.network"  # metadata that the export leaves: the network's configuration as JSON
PIXEL_SCALE = "framegate.pixel_scale"  # metadata: value of one step of an input pixel, as repr of a float

_LAYOUTS = {2: ["N", "C"]}


@dataclass
class GraphWriter:
    """An integer graph in the making: float32 tensors that hold integers, with their QONNX types."""

    layout: str  # of the four-dimensional tensors, "NCHW" or "NHWC"
    opset: int
    nodes: list[Any] = field(default_factory=list)
    tensors: dict[str, tuple[tuple[int, ...], BaseDataType | None]] = field(default_factory=dict)
    constants: dict[str, tuple[np.ndarray, BaseDataType | None]] = field(default_factory=dict)

    def tensor(self, name: str, shape: tuple[int, ...], kind: BaseDataType) -> str:
        """Declare a tensor; return its name."""
        self.tensors[name] = (tuple(int(size) for size in shape), kind)
        return name

    def constant(self, name: str, values: np.ndarray, kind: BaseDataType | None = None) -> str:
        """Add an initializer (int64 when it has no QONNX type); return its name."""
        self.constants[name] = (values, kind)
        return name

    def node(
        self, op: str, inputs: list[str], output: str, domain: str = "", label: str = "", **attributes: Any
    ) -> None:
        """Append a node, named `label` or like its output tensor."""
        node = helper.make_node(op, inputs, [output], name=label or output, domain=domain)
        for name, value in sorted(attributes.items()):  # not by make_node, which has its own `outputs`
            node.attribute.append(helper.make_attribute(name, value))
        self.nodes.append(node)

    def model(self, inputs: str, outputs: str, metadata: dict[str, str]) -> ModelWrapper:
        """The finished graph."""
        infos = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, (shape, _) in self.tensors.items()
        }
        inner = [info for name, info in infos.items() if name not in (inputs, outputs)]
        constants = [
            numpy_helper.from_array(values.astype(np.int64 if kind is None else np.float32), name)
            for name, (values, kind) in self.constants.items()
        ]
        graph = helper.make_graph(
            self.nodes, "framegate", [infos[inputs]], [infos[outputs]], constants, value_info=inner
        )
        describe_constants(graph)
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(name, 1) for name in (GENERAL, HARDWARE, finn_ops.DOMAIN)]
        model = ModelWrapper(
            qonnx_make_model(graph, opset_imports=opsets), fix_missing_initializer_valueinfo=False
        )
        for name, kind in self._kinds().items():
            model.set_tensor_datatype(name, kind)
        for name, (shape, _) in self.tensors.items():
            model.set_tensor_layout(name, _LAYOUTS.get(len(shape), list(self.layout)))
        helper.set_model_props(model.model, metadata)
        return model

    def _kinds(self) -> dict[str, BaseDataType]:
        declared = {name: kind for name, (_, kind) in (self.tensors | self.constants).items()}
        return {name: kind for name, kind in declared.items() if kind is not None}


def metadata(model: ModelWrapper) -> dict[str, str]:
    """The key-value pairs that travel with a graph."""
    return {entry.key: entry.value for entry in model.model.metadata_props}


def pixel_scale(model: ModelWrapper) -> float:
    """The value of one step of an input pixel: what the graph says, or 1/256."""
    return float(metadata(model).get(PIXEL_SCALE, 2.0**-8))


def set_pixel_scale(model: ModelWrapper, scale: float) -> None:
    """Say that the network takes pixel * `scale`."""
    helper.set_model_props(model.model, metadata(model) | {PIXEL_SCALE: repr(float(scale))})


def rename(model: ModelWrapper, old: str, new: str) -> None:
    """Call a tensor `new` wherever it stands. QONNX's own way renames the first input of a node that reads it twice."""
    model.rename_tensor(old, new)
    for node in model.graph.node:
        for slot, tensor in enumerate(node.input):
            if tensor == old:
                node.input[slot] = new


def save(model: ModelWrapper, target: Path) -> Path:
    """Write an ONNX file, whole; return `target`."""
    with whole(target) as draft:
        model.save(str(draft))
    return target


def run(model: ModelWrapper, pixels: np.ndarray) -> np.ndarray:
    """The integer logits (clips, K) of an integer or hardware graph for pixels (clips, T, H, W, C), uint8.

    Per-frame networks give (clips, T, K).
    """
    return _run(model, pixels.astype(np.float32), channels_last=_takes_channels_last(model))


def run_qonnx(model: ModelWrapper, pixels: np.ndarray) -> np.ndarray:
    """The float32 logits (clips, K) of a QONNX graph for pixels (clips, T, H, W, C), uint8.

    The network sees pixel * pixel_scale(model): as (T, C, H, W), as (1, C, T, H, W), or as (T, C) when its frames
    are vectors. Per-frame networks give (clips, T, K).
    """
    return _run(model, pixels.astype(np.float32) * np.float32(pixel_scale(model)), channels_last=False)


def _takes_channels_last(model: ModelWrapper) -> bool:
    return model.get_tensor_layout(model.graph.input[0].name) == ["N", "H", "W", "C"]


def _run(model: ModelWrapper, values: np.ndarray, channels_last: bool) -> np.ndarray:
    source, result = model.graph.input[0].name, model.graph.output[0].name
    shape = model.get_tensor_shape(source)
    axes = (0, 1, 2, 3, 4) if channels_last else (0, 4, 1, 2, 3) if len(shape) == 5 else (0, 1, 4, 2, 3)
    clips = np.ascontiguousarray(values.transpose(axes))
    logits = [execute_onnx(model, {source: clip.reshape(shape)})[result] for clip in clips]
    flat = np.stack([frames.reshape(len(frames), -1) for frames in logits])
    return flat[:, 0] if flat.shape[1] == 1 else flat
