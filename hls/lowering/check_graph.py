# SPDX-License-Identifier: Apache-2.0
"""Whether a user's ONNX file is a network at all, before anything else reads it.

ONNX's own checker and strict shape inference see a copy in which large constants are inputs and QONNX's operators are
standard ones of the same shape. What those do not check, or crash on, is checked here and, layer by layer, in
`check_layers`.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from framegate.hls import finn_ops
from framegate.hls.lowering import check_layers
from framegate.hls.lowering.check_layers import MOST_VALUES, OURS, Checked
from framegate.hls.lowering.graphs import GENERAL, NETWORK, PIXEL_SCALE, metadata
from framegate.hls.lowering.shapes import QUANTIZERS, infer_shapes, standard_graph, without_weights
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.checker import ValidationError
from onnx.defs import SchemaError
from onnx.shape_inference import InferenceError
from qonnx.core.modelwrapper import ModelWrapper

AGAIN = "export the network again"
QUANTIZER_DOMAINS = (GENERAL, "onnx.brevitas", "finn.custom_op.general")  # the latter two of older exporters
OLDEST = 7  # opset: since then operators broadcast as NumPy does
_BOUNDED = ("Clip", "Max", "Min", "Pad")  # may have constants that are infinite


def check_graph(model: ModelWrapper, file: Path | str) -> None:
    """Refuse a graph that contradicts itself, or holds what no network can; drop what leads to no output, in place.

    Raises UsageError that names `file`, the node and the way out.
    """
    seen = Checked(str(file), model)
    _check_opsets(seen)
    _check_names(seen)
    _check_order(seen)
    _drop_unread(model.graph)
    _check_operators(seen)
    _check_ends(seen)
    _check_metadata(seen)
    _check_constants(seen)
    check_layers.check_attributes(seen)
    light = _light(model)
    known = _with_shapes(seen, light)
    check_layers.check_shapes(seen, known)
    _check_by_onnx(seen, light, known)


def _check_opsets(seen: Checked) -> None:
    """A graph must say in which version of ONNX it is written, and one that is known here."""
    for entry in (*seen.model.model.opset_import, *seen.model.graph.node):
        entry.domain = "" if entry.domain == "ai.onnx" else entry.domain  # two names of one thing
    version, newest = _opset(seen), onnx.defs.onnx_opset_version()
    if version is None or not OLDEST <= version <= newest:
        seen.refuse(
            f"ONNX's opset is {version or 'missing'}", f"export it for an opset of {OLDEST} to {newest}"
        )


def _opset(seen: Checked) -> int | None:
    return next((entry.version for entry in seen.model.model.opset_import if not entry.domain), None)


def _check_names(seen: Checked) -> None:
    """Every tensor comes from one place."""
    graph = seen.model.graph
    constants = Counter(entry.name for entry in graph.initializer)
    for name, count in constants.items():
        if count > 1:
            seen.refuse(f"{count} constants are named '{name}'", AGAIN)
    ends = {entry.name for entry in (*graph.input, *graph.output)}
    for entry in [entry for entry in graph.value_info if entry.name in ends]:
        graph.value_info.remove(entry)  # an end says its own shape
    described = Counter(entry.name for entry in (*graph.input, *graph.output, *graph.value_info))
    if twice := [name for name, count in described.items() if count > 1]:
        seen.refuse(f"'{twice[0]}' is described twice", AGAIN)
    taken = {entry.name: "an input" for entry in graph.input} | dict.fromkeys(constants, "a constant")
    for place, node in enumerate(graph.node, start=1):
        for name in filter(None, node.output):
            maker = f"{node.op_type} '{node.name}' at node {place}"
            if name in taken:
                seen.refuse(
                    f"{maker} gives '{name}', as {taken[name]} does", f"{AGAIN}, with one maker of each"
                )
            taken[name] = maker


def _check_order(seen: Checked) -> None:
    """A layer reads what is there before it."""
    graph = seen.model.graph
    known = {"", *(entry.name for entry in (*graph.input, *graph.initializer))}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            if name in known:
                continue
            if name not in makers:
                seen.refuse(f"reads '{name}', which no input, constant or layer gives", AGAIN, node)
            if _leads_to(makers, node, name):
                seen.refuse(
                    f"reads '{name}', which is made from its own result: a cycle",
                    "unroll it over the frames",
                    node,
                )
            seen.refuse(
                f"reads '{name}', which a later layer makes", "sort the nodes in execution order", node
            )
        known.update(node.output)
    for entry in graph.output:
        if entry.name not in makers:
            seen.refuse(f"the output '{entry.name}' is made by no layer", AGAIN)


def _leads_to(makers: dict[str, NodeProto], node: NodeProto, tensor: str) -> bool:
    """Whether `tensor` is made from an output of `node`."""
    found, open_ = {tensor}, [tensor]
    while open_:
        maker = makers.get(open_.pop())
        new = set(maker.input) - found if maker is not None else set()
        found |= new
        open_ += new
    return not found.isdisjoint(set(node.output) - {""})


def _drop_unread(graph: GraphProto) -> None:
    """Without the nodes that lead to no output, and the constants and descriptions that are theirs."""
    read, kept = {entry.name for entry in graph.output}, []
    for node in reversed(graph.node):
        if not read.isdisjoint(set(node.output) - {""}):
            read.update(node.input)
            kept.append(node)
    if len(kept) < len(graph.node):
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
        del graph.node[:]
        graph.node.extend(nodes)
    constants = {entry.name for entry in graph.initializer}
    alive = read | {name for node in graph.node for name in node.output}
    for entries in (graph.initializer, graph.value_info):
        for entry in [entry for entry in entries if entry.name not in alive]:
            entries.remove(entry)
    for entry in [entry for entry in graph.input if entry.name in constants and entry.name not in read]:
        graph.input.remove(entry)


def _check_operators(seen: Checked) -> None:
    """Each node's operator is one of ONNX's, a quantizer of QONNX, or one of ours."""
    version = _opset(seen)
    for node in seen.model.graph.node:
        if any(entry.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for entry in node.attribute):
            seen.refuse(
                "holds a graph of its own, which cannot be built", "export without control flow", node
            )
        if not node.domain:
            _check_schema(seen, node, version)
        elif node.op_type in QUANTIZERS and node.domain in QUANTIZER_DOMAINS:
            node.domain = GENERAL
        elif node.op_type not in OURS or node.domain != finn_ops.DOMAIN:
            known = f"{', '.join(QUANTIZERS)} of '{GENERAL}' and {', '.join(OURS)} of '{finn_ops.DOMAIN}'"
            seen.refuse(f"is of domain '{node.domain}'", f"beside ONNX's own operators use {known}", node)


def _check_schema(seen: Checked, node: NodeProto, version: int | None) -> None:
    """A standard operator exists, and has as many inputs and outputs as it may."""
    try:
        schema = onnx.defs.get_schema(node.op_type, version or OLDEST)
    except SchemaError:
        seen.refuse(f"is no operator of ONNX's opset {version}", AGAIN, node)
    counts = len(node.input), len(node.output)
    fits = (
        schema.min_input <= counts[0] <= schema.max_input,
        schema.min_output <= counts[1] <= schema.max_output,
    )
    if not all(fits) or any(not name for name in node.input[: schema.min_input]):
        seen.refuse(
            f"takes {counts[0]} tensors and gives {counts[1]}, which {node.op_type} does not", AGAIN, node
        )


def _check_ends(seen: Checked) -> None:
    """One float tensor of a fixed shape in; constants that are listed as inputs do not count."""
    graph = seen.model.graph
    constants = {entry.name for entry in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        counts = f"takes {len(inputs)} tensors and gives {len(graph.output)}"
        seen.refuse(f"the network {counts}", "export one that takes one and gives one")
    tensor = inputs[0].type.tensor_type
    shape = [entry.dim_value for entry in tensor.shape.dim]
    if tensor.elem_type != TensorProto.FLOAT or len(shape) not in (2, 4, 5) or min(shape) < 1:
        kind = TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in _KINDS else "no type"
        seen.refuse(
            f"the input '{inputs[0].name}' is of {kind} and shape {shape}",
            "export for float32 of a fixed shape, (frames, channels, height, width), (1, channels, frames, height, "
            "width) or (frames, features)",
        )
    if math.prod(shape) >= MOST_VALUES:
        seen.refuse(f"the input '{inputs[0].name}' has shape {shape}", "export for a smaller one")


_KINDS = set(TensorProto.DataType.values())


def _check_metadata(seen: Checked) -> None:
    """What framegate notes in a graph, if it is there, can be read."""
    facts = metadata(seen.model)
    if PIXEL_SCALE in facts:
        try:
            scale = float(facts[PIXEL_SCALE])
        except ValueError:
            scale = math.nan
        if not 0 < scale < math.inf:
            seen.refuse(f"its metadata say {PIXEL_SCALE} = {facts[PIXEL_SCALE]!r}", "give --pixel-scale")
    try:
        network = json.loads(facts.get(NETWORK, "{}"))
    except ValueError:
        network = None
    if not isinstance(network, dict):
        seen.refuse(f"its metadata {NETWORK} are no JSON object", f"{AGAIN}, or without them")


def _check_constants(seen: Checked) -> None:
    """Constants that are read have as many values as their shape says, all of them numbers."""
    readers = {name: node for node in seen.model.graph.node for name in node.input}
    for name, tensor, node in _constants(seen.model.graph, readers):
        try:
            values = numpy_helper.to_array(tensor)
        except (KeyError, TypeError, ValueError):
            seen.refuse(
                f"the constant '{name}' does not hold the values of its shape {list(tensor.dims)}", AGAIN
            )
        bounded = node is not None and node.op_type in _BOUNDED
        if values.dtype.kind == "f" and not (~np.isnan(values) if bounded else np.isfinite(values)).all():
            odd = values[np.isnan(values) if bounded else ~np.isfinite(values)].flat[0]
            reader = "" if node is None else f", which {seen.where(node)} reads,"
            seen.refuse(
                f"the constant '{name}'{reader} holds {odd}", "train again; only numbers become hardware"
            )


def _constants(
    graph: GraphProto, readers: dict[str, NodeProto]
) -> Iterator[tuple[str, TensorProto, NodeProto | None]]:
    """Name, values and a reader of the initializers and of what Constant nodes hold."""
    for tensor in graph.initializer:
        yield tensor.name, tensor, readers.get(tensor.name)
    for node in graph.node:
        if node.op_type == "Constant":
            for entry in node.attribute:
                if entry.type == AttributeProto.TENSOR:
                    yield node.output[0], entry.t, readers.get(node.output[0])


def _light(model: ModelWrapper) -> ModelWrapper:
    """A copy whose large constants are inputs; each node has a name."""
    graph = without_weights(model)
    for number, node in enumerate(graph.node, start=1):
        node.name = node.name or f"{node.op_type}_{number}"
    light = helper.make_model(graph, opset_imports=model.model.opset_import)
    light.ir_version = model.model.ir_version
    return ModelWrapper(light, fix_missing_initializer_valueinfo=False)


def _with_shapes(seen: Checked, light: ModelWrapper) -> ModelWrapper:
    """A copy of `light` with shapes as the layers tell them; where they do not, as the file does."""
    model = ModelWrapper(light.model, make_deepcopy=True, fix_missing_initializer_valueinfo=False)
    del model.graph.value_info[:]
    try:
        infer_shapes(model)
        found = {entry.name for entry in model.graph.value_info}
        told = [entry for entry in light.graph.value_info if entry.name not in found]
        model.graph.value_info.extend(told)
        return infer_shapes(model) if told else model
    except (InferenceError, ValidationError) as error:
        seen.refuse(_one_line(error), AGAIN)


def _check_by_onnx(seen: Checked, light: ModelWrapper, known: ModelWrapper) -> None:
    """ONNX's strict shape inference and its checker, on standard operators alone."""
    graph = standard_graph(known)
    del graph.value_info[:]
    graph.value_info.extend(light.graph.value_info)
    model = helper.make_model(graph, opset_imports=light.model.opset_import)
    model.ir_version = light.model.ir_version
    try:
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model)
    except (InferenceError, ValidationError) as error:
        seen.refuse(_one_line(error), AGAIN)


def _one_line(error: Exception) -> str:
    """What ONNX says, without its own line breaks and repetitions."""
    words = " ".join(str(error).split()).removesuffix(".")
    for noise in ("[ShapeInferenceError] ", "[TypeInferenceError] ", "Inference error(s): "):
        words = words.replace(noise, "")
    return f"ONNX refuses it: {words}"
