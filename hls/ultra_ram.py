# SPDX-License-Identifier: Apache-2.0
"""UltraRAM for large buffers, which leaves block RAM to weights: those start with contents, UltraRAM starts empty."""

from dataclasses import replace

from framegate.hls.dataflow import Dataflow
from framegate.hls.kernels import Buffer
from framegate.hls.targets import Target


def in_ultra_ram(dataflow: Dataflow, target: Target) -> Dataflow:
    """The design with every buffer in UltraRAM that takes a smaller share of those than of the block RAMs, while there
    are any; those that save most first. No cycle changes.
    """
    buffers = [kernel for kernel in dataflow.kernels if isinstance(kernel, Buffer) and not kernel.ultra]
    left = target.uram - sum(kernel.cost().uram for kernel in dataflow.kernels)
    moved: dict[str, Buffer] = {}
    for kernel in sorted(buffers, key=lambda kernel: -_saves(kernel)):
        takes = _moved(kernel).cost().uram
        if takes <= left and kernel.cost().bram * target.uram > takes * target.bram:
            moved[kernel.name] = _moved(kernel)
            left -= takes
    return replace(dataflow, kernels=tuple(moved.get(kernel.name, kernel) for kernel in dataflow.kernels))


def _saves(kernel: Buffer) -> float:
    """Block RAMs per UltraRAM."""
    return kernel.cost().bram / _moved(kernel).cost().uram


def _moved(kernel: Buffer) -> Buffer:
    return replace(kernel, ultra=True)
