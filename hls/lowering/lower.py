# SPDX-License-Identifier: Apache-2.0
"""From QONNX to FINN's hardware nodes, in named steps, each of which leaves its graph behind."""

import math
from collections.abc import Callable
from pathlib import Path

import onnx
from framegate.errors import UsageError
from framegate.hls.lowering.canonicalize import clean
from framegate.hls.lowering.channels_last import lower_convolutions
from framegate.hls.lowering.check_graph import check_graph
from framegate.hls.lowering.dialect import in_qonnx_words
from framegate.hls.lowering.finn_nodes import to_hardware
from framegate.hls.lowering.graphs import save
from framegate.hls.lowering.integers.integerize import integerize
from framegate.hls.lowering.layer_names import name_layers
from framegate.hls.lowering.shapes import describe_constants
from google.protobuf.message import DecodeError
from onnx.checker import ValidationError
from qonnx.core.modelwrapper import ModelWrapper

Step = Callable[[ModelWrapper], ModelWrapper]
KEPT = 2**24  # constants of a network whose every step is kept: 64 MiB a file

LOWERING: tuple[Step, ...] = (
    clean,
    integerize,  # before FINN sees the graph: its thresholds then are integers already
    name_layers,
    lower_convolutions,
    to_hardware,
)


def lower(qonnx_path: Path, build: Path, progress: Callable[[str], None] = lambda step: None) -> Path:
    """Write BUILD/hardware.onnx from a QONNX network; return its path.

    `progress` is called with the name of each step; what the step made is kept as BUILD/steps/NN_name.onnx, unless
    the network has more than KEPT weights.
    Raises UsageError when the file is no ONNX graph, or has a layer that cannot become hardware.
    """
    model = load(qonnx_path)
    weights = sum(math.prod(entry.dims) for entry in model.graph.initializer)
    for number, step in enumerate(LOWERING, start=1):
        progress(step.__name__)
        model = step(model)
        if weights <= KEPT:
            save(model, build / "steps" / f"{number:02}_{step.__name__}.onnx")
    return save(model, build / "hardware.onnx")


def load(path: Path) -> ModelWrapper:
    """Read an ONNX file, in QONNX's words and with a shape for every tensor. Raises UsageError when it is none."""
    return in_qonnx_words(_read(path))


def _read(path: Path) -> ModelWrapper:
    """An ONNX file as it is."""
    remedy = "give a QONNX file, as `framegate train` or Brevitas exports it"
    try:
        model = ModelWrapper(onnx.load(path), fix_missing_initializer_valueinfo=False)
    except (OSError, ValidationError) as error:  # the latter when a file of weights beside it is missing
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot be read ({reason}); {remedy}") from None
    except DecodeError:
        raise UsageError(f"{path}: not an ONNX file; {remedy}") from None
    if not model.graph.node:
        raise UsageError(f"{path}: a graph without layers; {remedy}")
    describe_constants(model.graph)
    return model


def load_network(path: Path) -> ModelWrapper:
    """Read a network that somebody else wrote, without what leads to no output.

    Raises UsageError naming the file, the layer and the way out when it is none, or contradicts itself.
    """
    model = _read(path)
    check_graph(model, path)
    return in_qonnx_words(model)
