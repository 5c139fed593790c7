# SPDX-License-Identifier: Apache-2.0
"""Whatever is changed in a graph, it compiles or is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framegate.errors import UsageError
from onnx import GraphProto, ModelProto, helper, numpy_helper

from tests.hls.lowering.test_check_graph import compiled, network
from tests.slow import slow_if

MUTANTS = 400
EXTREMES = (0, -1, 2, 7, 10**9, 2**40)


class Mutation:
    """One change of a graph at random."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def pick(self, entries: Any) -> Any:
        return entries[int(self.random.integers(len(entries)))]

    def apply(self, model: ModelProto) -> str:
        """What was changed."""
        change = self.pick(
            [self.node, self.attribute, self.attribute, self.constant, self.constant, self.wire]
        )
        return f"{change.__name__}: {change(model.graph)}"

    def node(self, graph: GraphProto) -> str:
        """Dropped, doubled, or of another kind."""
        entry, other = self.pick(graph.node), self.pick(graph.node)
        how = self.pick(["drop", "double", "kind", "domain"])
        told = f"{how} {entry.name}"
        if how == "drop":
            graph.node.remove(entry)
        elif how == "double":
            graph.node.append(entry)
        elif how == "kind":
            told += f" {other.op_type}"
            entry.op_type, entry.domain = other.op_type, other.domain
        else:
            entry.domain = self.pick(["", "ai.onnx.ml", "nowhere", other.domain])
        return told

    def attribute(self, graph: GraphProto) -> str:
        """Dropped, of another value, length or type."""
        entry = self.pick([entry for entry in graph.node if entry.attribute])
        old = self.pick(entry.attribute)
        if entry.op_type == "Quant" and old.name != "rounding_mode":
            entry = next(other for other in graph.node if other.op_type == "FrameGather")
            old = self.pick(entry.attribute)
        value = helper.get_attribute_value(old)
        values = list(value) if isinstance(value, list) else [value]
        new = self.pick(
            [
                None,
                "odd",
                [int(self.pick(EXTREMES)) for _ in values],
                int(self.pick(EXTREMES)),
                values[:-1] if all(isinstance(one, int) for one in values[:-1]) and len(values) > 1 else 1,
                [*values, 1] if all(isinstance(one, int) for one in values) else 2,
                0.5,
            ]
        )
        entry.attribute.remove(old)
        if new is not None:
            entry.attribute.append(helper.make_attribute(old.name, new))
        return f"{entry.name}.{old.name} = {new}"

    def constant(self, graph: GraphProto) -> str:
        """Dropped, or of other values, another shape or type."""
        entry = self.pick(graph.initializer)
        values = numpy_helper.to_array(entry)
        how = self.pick(["drop", "value", "value", "shape", "dtype", "dims", "kind"])
        told = f"{how} {entry.name}"
        if how == "drop":
            graph.initializer.remove(entry)
        elif how == "value":
            value = self.pick([np.nan, np.inf, 0, -1, 3.3, 24, 1e9, 1e-30])
            changed = values.copy().reshape(-1)
            changed[: self.pick([1, len(changed)])] = (
                value if values.dtype.kind == "f" else int(self.pick(EXTREMES))
            )
            entry.CopyFrom(numpy_helper.from_array(changed.reshape(values.shape), entry.name))
            told += f" {value}"
        elif how == "shape":
            changed = self.pick(
                [values.reshape(-1), values.reshape(-1)[:1], values[None], np.repeat(values.reshape(-1), 2)]
            )
            entry.CopyFrom(numpy_helper.from_array(changed, entry.name))
        elif how == "dtype":
            changed = values.astype(self.pick([np.float64, np.int64, np.int8, np.float16, bool]))
            entry.CopyFrom(numpy_helper.from_array(changed, entry.name))
        elif how == "dims":
            entry.dims.append(int(self.pick(EXTREMES)))
        else:
            entry.data_type = int(self.pick([0, 8, 10, 16, 99]))
        return told

    def wire(self, graph: GraphProto) -> str:
        """An input or output taken from elsewhere, or away."""
        entry = self.pick(graph.node)
        names = [
            "",
            "x",
            "nothing",
            *(name for other in graph.node for name in (*other.input, *other.output)),
        ]
        ends = self.pick([entry.input, entry.input, entry.output])
        slot, how = int(self.random.integers(len(ends))), self.pick(["swap", "drop", "add"])
        if how == "swap":
            ends[slot] = self.pick(names)
        elif how == "drop":
            del ends[slot]
        else:
            ends.append(self.pick(names))
        return f"{how} {entry.name} {slot} {list(entry.input)} {list(entry.output)}"


@pytest.mark.parametrize("part", slow_if(lambda part: part > 1, range(4)))
def test_every_mutant_compiles_or_is_refused(part: int, tmp_path: Path) -> None:
    """Never another exception, and never a dead process."""
    refused, whole = 0, network()
    for seed in range(part, MUTANTS, 4):
        model = ModelProto.FromString(whole.SerializeToString())
        told = Mutation(seed).apply(model)
        try:
            compiled(model, tmp_path)
        except UsageError as error:
            refused += "; " in str(error)
        except Exception as error:
            raise AssertionError(f"mutant {seed}, {told}") from error
    assert MUTANTS // 8 < refused < MUTANTS // 4
