# SPDX-License-Identifier: Apache-2.0
"""UltraRAM, which starts empty: for large buffers, and where block RAMs run out for weights and thresholds, which are
loaded then.
"""

from collections.abc import Iterable
from dataclasses import replace

from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.fit import NOTHING, total_cost
from framegate.hls.kernels import Buffer, Cost, MatVec, Threshold
from framegate.hls.targets import Target

_Movable = Buffer | MatVec | Threshold


def in_ultra_ram(dataflow: Dataflow, target: Target, reserve: Cost = NOTHING) -> Dataflow:
    """The design with every buffer in UltraRAM that takes a smaller share of those than of the block RAMs, and weights
    and thresholds as long as the block RAMs do not suffice (`reserve` left free), while there are any; those that save
    most first. No cycle changes.
    """
    whole = total_cost(dataflow)
    left, excess = target.uram - whole.uram, whole.bram + reserve.bram - target.bram
    moved: dict[str, _Movable] = {}
    for kernel in _by_saving(kernel for kernel in dataflow.kernels if isinstance(kernel, _Movable)):
        frees, takes = kernel.cost().bram, _moved(kernel).cost().uram
        wanted = frees * target.uram > takes * target.bram if isinstance(kernel, Buffer) else excess > 0
        if wanted and takes <= left:
            moved[kernel.name] = _moved(kernel)
            left, excess = left - takes, excess - frees
    return replace(dataflow, kernels=tuple(moved.get(kernel.name, kernel) for kernel in dataflow.kernels))


def _by_saving(kernels: Iterable[_Movable]) -> list[_Movable]:
    """Those that take block RAMs: buffers, then all that is loaded, those first that free most per UltraRAM."""
    taking = [kernel for kernel in kernels if kernel.cost().bram]
    return sorted(taking, key=lambda kernel: (not isinstance(kernel, Buffer), -_saves(kernel)))


def _saves(kernel: _Movable) -> float:
    """Block RAMs per UltraRAM."""
    return kernel.cost().bram / _moved(kernel).cost().uram


def _moved(kernel: _Movable) -> _Movable:
    return replace(kernel, ultra=True)
