# SPDX-License-Identifier: Apache-2.0
"""What libraries do again and again, though once is enough: from the import of this on it is done once in a process."""

import copy
import functools
from collections.abc import Callable

from _dependencies import classes, func, operation, value
from brevitas import inject
from torch._export import utils
from torch.onnx._internal.exporter._registration import ONNXRegistry

Parts = dict[str, tuple]  # of a quantizer: kind, maker, what it needs, how many of these have defaults


def _once_for_each_shape(seek: Callable[[Parts], None]) -> Callable[[Parts], None]:
    """Of parts that need each other in the same way as others before, nothing is sought."""
    sound = set()

    def sought(parts: Parts) -> None:
        shape = frozenset((name, kind, tuple(needs)) for name, (kind, _, needs, _) in parts.items())
        if shape not in sound:
            seek(parts)
            sound.add(shape)

    return sought


def _copies(make: Callable[..., ONNXRegistry]) -> Callable[..., ONNXRegistry]:
    """What was made is copied: its user adds to it."""

    def made(**opset: int) -> ONNXRegistry:
        fresh = copy.copy(make(**opset))
        fresh.functions = {target: list(found) for target, found in fresh.functions.items()}
        return fresh

    return made


@functools.cache
def _signature(*of: object) -> tuple[tuple[str, ...], int]:
    names, without_default = func._make_func_spec(*of)
    return tuple(names), without_default


def _of_signature(*of: object) -> tuple[list[str], int]:
    names, without_default = _signature(*of)
    return list(names), without_default


# Brevitas looks for circles in a quantizer's parts each time it takes one: 40 % of the time of a new layer.
inject._check_circles = _once_for_each_shape(inject._check_circles)
# It reads the signatures of the functions that make them as often.
for module in (classes, operation, value):
    module._make_func_spec = _of_signature
# Torch makes its table of ONNX operators, a second's work, for each export.
ONNXRegistry.from_torchlib = staticmethod(_copies(functools.cache(ONNXRegistry.from_torchlib)))
# It asks for all operators that are made of others in each of some fifty namespaces, and makes them all each time.
utils._materialize_cpp_cia_ops = functools.cache(utils._materialize_cpp_cia_ops)
