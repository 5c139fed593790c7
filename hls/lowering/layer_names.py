# SPDX-License-Identifier: Apache-2.0
"""Layer names from the shape of a network: stem, stage1_shift, stage1_conv1_act, block2_depthwise, head.

QONNX cleaning numbers the nodes by kind, so the names of the torch modules are lost. What a layer is to the
network can be read off the graph: every Add of two layers closes a residual stage, of which one branch is the
shortcut; every depthwise convolution opens a separable block; the last product is the head.
"""

from collections import Counter
from dataclasses import dataclass, field

from framegate.hls.lowering.graphs import rename
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import get_by_name

_KINDS = {
    "Add": "add",
    "ChannelMax": "temporal_pool",
    "Concat": "concat",
    "FrameMean": "clip_mean",
    "MaxPool": "pool",
    "ReduceSum": "spatial_mean",
    "Reshape": "flatten",
    "SumPool": "average_pool",
}


def name_layers(model: ModelWrapper) -> ModelWrapper:
    """Rename nodes, tensors and constants of an integer graph in place; return it. Its output is `logits`."""
    for number, node in enumerate(model.graph.node):  # no tensor may have a name that another one is to get
        rename(model, node.output[0], f"layer {number}")
    names = _Namer(model).names()
    for node, name in zip(list(model.graph.node), names, strict=True):
        node.name = name
        for constant in [tensor for tensor in node.input if model.get_initializer(tensor) is not None]:
            rename(model, constant, f"{name}_{constant.rsplit('_', 1)[1]}")
        rename(model, node.output[0], name)
    rename(model, model.graph.output[0].name, "logits")
    return model


@dataclass
class _Namer:
    model: ModelWrapper
    taken: Counter[str] = field(default_factory=Counter)
    name_of: dict[str, str] = field(default_factory=dict)  # by output tensor
    place_of: dict[str, str] = field(
        default_factory=dict
    )  # by output tensor: "", "stage1", "stage1_shortcut", "block1"
    products: list[str] = field(default_factory=list)  # output tensors of the layers behind the mean

    def names(self) -> list[str]:
        """One name per node, in order."""
        nodes = list(self.model.graph.node)
        self.place_of = _places(nodes) | _blocks(nodes)
        self.products = [node.output[0] for node in nodes if self._is_linear(node)]
        for node in self.model.graph.node:
            self.name_of[node.output[0]] = self._unique(self._name(node))
        return [self.name_of[node.output[0]] for node in self.model.graph.node]

    def _name(self, node: NodeProto) -> str:
        place = self.place_of[node.output[0]]
        if node.op_type == "MultiThreshold":
            before = self._through_reshapes(node.input[0])
            if before == self.model.graph.input[0].name:
                return "input_act"
            if self.place_of.get(before) == place and before in self.name_of:
                return f"{self.name_of[before].removesuffix('_add')}_act"
            return f"{place}_act".lstrip("_")
        if node.output[0] in self.products:
            number = self.products.index(node.output[0]) + 1
            return "head" if number == len(self.products) else f"hidden{number}"
        if node.op_type == "Conv":
            return f"{place}_depthwise" if _is_depthwise(node) else self._conv(place)
        if _is_bias(node):
            return f"{self.name_of[node.input[0]]}_bias"
        return f"{place}_{self._kind(node)}".lstrip("_")

    def _kind(self, node: NodeProto) -> str:
        """What a layer without weights is called."""
        if node.op_type != "FrameGather":
            return _KINDS[node.op_type]
        before, after = (self.model.get_tensor_shape(tensor) for tensor in (node.input[0], node.output[0]))
        return "shift" if before == after else "gather"

    def _through_reshapes(self, tensor: str) -> str:
        """The tensor that a chain of Reshapes starts from."""
        producer = self.model.find_producer(tensor)
        is_reshape = producer is not None and producer.op_type == "Reshape"
        return self._through_reshapes(producer.input[0]) if is_reshape else tensor

    def _is_linear(self, node: NodeProto) -> bool:
        """Whether a node is a product with a vector, or with all of a picture that was flattened for it."""
        readers = self.model.find_consumers(node.output[0])
        flattened = bool(readers) and all(reader.op_type == "Reshape" for reader in readers)
        return node.op_type == "MatMul" or (node.op_type == "Conv" and flattened)

    def _conv(self, place: str) -> str:
        if place.endswith(("_shortcut", "_expand")):
            return place
        if place.startswith("block"):
            return f"{place}_pointwise"
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
    joins = [node for node in nodes if node.op_type == "Add" and not _is_bias(node)]
    for stage, add in enumerate(joins, start=1):
        left, right = (above.get(tensor, set()) for tensor in add.input)
        main, shortcut = sorted((left - right, right - left), key=lambda side: -_convolutions(side, producer))
        places |= {tensor: f"stage{stage}" for tensor in main if not places[tensor]}
        places |= {tensor: f"stage{stage}_shortcut" for tensor in shortcut if not places[tensor]}
        places[add.output[0]] = f"stage{stage}"
    return _with_activation(nodes, places)


def _is_bias(node: NodeProto) -> bool:
    """Whether an Add adds a constant, which integerize calls `…_values`."""
    return node.op_type == "Add" and node.input[1].endswith("_values")


def _is_depthwise(node: NodeProto) -> bool:
    group = get_by_name(node.attribute, "group")
    return node.op_type == "Conv" and group is not None and group.i > 1


def _blocks(nodes: list[NodeProto]) -> dict[str, str]:
    """Output tensor -> the separable block: a depthwise convolution, what gathers its frames, the 1x1 convolution
    that alone reads it, and the one that widens its input, all with their activations.
    """
    places: dict[str, str] = {}
    maker = {node.output[0]: node for node in nodes}
    for number, depthwise in enumerate((node for node in nodes if _is_depthwise(node)), start=1):
        block, source = f"block{number}", depthwise.input[0]
        if (
            source in maker
            and maker[source].op_type == "FrameGather"
            and _readers(nodes, source) == [depthwise]
        ):
            places[source], source = block, maker[source].input[0]
        widening = _widening(nodes, maker, source)
        places |= {tensor: f"{block}_expand" for tensor in widening if tensor not in places}
        places |= dict.fromkeys([depthwise.output[0], *_behind(nodes, depthwise.output[0])], block)
    return places


def _readers(nodes: list[NodeProto], tensor: str) -> list[NodeProto]:
    return [node for node in nodes if tensor in node.input]


def _behind(nodes: list[NodeProto], tensor: str) -> list[str]:
    """What an activation, a convolution and its activation make of `tensor`, as far as each has one reader."""
    found: list[str] = []
    for kind in ("MultiThreshold", "Conv", "MultiThreshold"):
        readers = _readers(nodes, tensor)
        if len(readers) != 1 or readers[0].op_type != kind or _is_depthwise(readers[0]):
            break
        tensor = readers[0].output[0]
        found.append(tensor)
    return found


def _widening(nodes: list[NodeProto], maker: dict[str, NodeProto], tensor: str) -> list[str]:
    """What a 1x1 convolution and its activation make, if `tensor` is that and has one reader."""
    activation = maker.get(tensor)
    if activation is None or activation.op_type != "MultiThreshold" or len(_readers(nodes, tensor)) != 1:
        return []
    product = maker.get(activation.input[0])
    kernel = product and get_by_name(product.attribute, "kernel_shape")
    is_pixel = kernel is not None and set(kernel.ints) == {1}
    return [tensor, product.output[0]] if product and product.op_type == "Conv" and is_pixel else []


def _convolutions(tensors: set[str], producer: dict[str, NodeProto]) -> int:
    return sum(producer[tensor].op_type == "Conv" for tensor in tensors)


def _with_activation(nodes: list[NodeProto], places: dict[str, str]) -> dict[str, str]:
    """The activation behind a stage's Add belongs to the stage."""
    adds = {node.output[0] for node in nodes if node.op_type == "Add"}
    closing = [node for node in nodes if node.op_type == "MultiThreshold" and node.input[0] in adds]
    return places | {node.output[0]: places[node.input[0]] for node in closing if not places[node.output[0]]}
