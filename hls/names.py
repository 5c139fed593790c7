# SPDX-License-Identifier: Apache-2.0
"""Layer names from the shape of a network: stem, stage1_shift, stage1_conv1_act, stage2_shortcut, head.

QONNX cleaning numbers the nodes by kind, so the names of the torch modules are lost. What a layer is to the
network can be read off the graph: every Add closes a residual stage, of which one branch is the shortcut.
"""

from collections import Counter
from dataclasses import dataclass, field

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

_KINDS = {
    "FrameGather": "shift",
    "ReduceSum": "spatial_mean",
    "Reshape": "flatten",
    "MatMul": "head",
    "FrameMean": "clip_mean",
    "Add": "add",
}


def name_layers(model: ModelWrapper) -> ModelWrapper:
    """Rename nodes, tensors and constants of an integer graph in place; return it. Its output is `logits`."""
    for number, node in enumerate(model.graph.node):  # no tensor may have a name that another one is to get
        model.rename_tensor(node.output[0], f"layer {number}")
    names = _Namer(model).names()
    for node, name in zip(list(model.graph.node), names, strict=True):
        node.name = name
        for constant in [tensor for tensor in node.input if model.get_initializer(tensor) is not None]:
            model.rename_tensor(constant, f"{name}_{constant.rsplit('_', 1)[1]}")
        model.rename_tensor(node.output[0], name)
    model.rename_tensor(model.graph.output[0].name, "logits")
    return model


@dataclass
class _Namer:
    model: ModelWrapper
    taken: Counter[str] = field(default_factory=Counter)
    name_of: dict[str, str] = field(default_factory=dict)  # by output tensor
    place_of: dict[str, str] = field(
        default_factory=dict
    )  # by output tensor: "", "stage1", "stage1_shortcut"

    def names(self) -> list[str]:
        """One name per node, in order."""
        self.place_of = _places(list(self.model.graph.node))
        for node in self.model.graph.node:
            self.name_of[node.output[0]] = self._unique(self._name(node))
        return [self.name_of[node.output[0]] for node in self.model.graph.node]

    def _name(self, node: NodeProto) -> str:
        place = self.place_of[node.output[0]]
        if node.op_type == "MultiThreshold":
            before = node.input[0]
            if self.place_of.get(before) == place and before in self.name_of:
                return f"{self.name_of[before].removesuffix('_add')}_act"
            return f"{place}_act".lstrip("_")
        if node.op_type == "Conv":
            return self._conv(place)
        return f"{place}_{_KINDS[node.op_type]}".lstrip("_")

    def _conv(self, place: str) -> str:
        if place.endswith("_shortcut"):
            return place
        self.taken[f"convolutions of {place}"] += 1
        number = self.taken[f"convolutions of {place}"]
        if place:
            return f"{place}_conv{number}"
        return "stem" if number == 1 else f"conv{number}"

    def _unique(self, name: str) -> str:
        self.taken[name] += 1
        return name if self.taken[name] == 1 else f"{name}{self.taken[name]}"


def _places(nodes: list[NodeProto]) -> dict[str, str]:
    """Output tensor -> the stage (and branch) whose Add it leads to alone; "" on the trunk."""
    producer = {node.output[0]: node for node in nodes}
    above: dict[str, set[str]] = {}  # every tensor that leads to this one, itself included
    for node in nodes:
        sources = [above.get(tensor, set()) for tensor in node.input]
        above[node.output[0]] = {node.output[0]}.union(*sources)
    places: dict[str, str] = dict.fromkeys(producer, "")
    for stage, add in enumerate((node for node in nodes if node.op_type == "Add"), start=1):
        left, right = (above.get(tensor, set()) for tensor in add.input)
        main, shortcut = sorted((left - right, right - left), key=lambda side: -_convolutions(side, producer))
        places |= {tensor: f"stage{stage}" for tensor in main if not places[tensor]}
        places |= {tensor: f"stage{stage}_shortcut" for tensor in shortcut if not places[tensor]}
        places[add.output[0]] = f"stage{stage}"
    return _with_activation(nodes, places)


def _convolutions(tensors: set[str], producer: dict[str, NodeProto]) -> int:
    return sum(producer[tensor].op_type == "Conv" for tensor in tensors)


def _with_activation(nodes: list[NodeProto], places: dict[str, str]) -> dict[str, str]:
    """The activation behind a stage's Add belongs to the stage."""
    adds = {node.output[0] for node in nodes if node.op_type == "Add"}
    closing = [node for node in nodes if node.op_type == "MultiThreshold" and node.input[0] in adds]
    return places | {node.output[0]: places[node.input[0]] for node in closing if not places[node.output[0]]}
