# SPDX-License-Identifier: Apache-2.0
"""UltraRAM, which starts empty: for large buffers, and where block RAMs run out for weights, which are loaded then."""

from collections.abc import Iterable
from dataclasses import replace

from framegate.hls.dataflow import Dataflow
from framegate.hls.fit import NOTHING, total_cost
from framegate.hls.kernels import Buffer, Cost, MatVec
from framegate.hls.targets import Target


def in_ultra_ram(dataflow: Dataflow, target: Target, reserve: Cost = NOTHING) -> Dataflow:
    """The design with every buffer in UltraRAM that takes a smaller share of those than of the block RAMs, and weights
    as long as the block RAMs do not suffice (`reserve` left free), while there are any; those that save most first. No
    cycle changes.
    """
    whole = total_cost(dataflow)
    left, excess = target.uram - whole.uram, whole.bram + reserve.bram - target.bram
    moved: dict[str, Buffer | MatVec] = {}
    for kernel in _by_saving(kernel for kernel in dataflow.kernels if isinstance(kernel, Buffer | MatVec)):
        frees, takes = kernel.cost().bram, _moved(kernel).cost().uram
        wanted = frees * target.uram > takes * target.bram if isinstance(kernel, Buffer) else excess > 0
        if wanted and takes <= left:
            moved[kernel.name] = _moved(kernel)
            left, excess = left - takes, excess - frees
    return replace(dataflow, kernels=tuple(moved.get(kernel.name, kernel) for kernel in dataflow.kernels))


def _by_saving(kernels: Iterable[Buffer | MatVec]) -> list[Buffer | MatVec]:
    """Those that take block RAMs: buffers, then weights, those first that free most per UltraRAM."""
    taking = [kernel for kernel in kernels if kernel.cost().bram]
    return sorted(taking, key=lambda kernel: (isinstance(kernel, MatVec), -_saves(kernel)))


def _saves(kernel: Buffer | MatVec) -> float:
    """Block RAMs per UltraRAM."""
    return kernel.cost().bram / _moved(kernel).cost().uram


def _moved(kernel: Buffer | MatVec) -> Buffer | MatVec:
    return replace(kernel, ultra=True)
