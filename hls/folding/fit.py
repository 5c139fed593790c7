# SPDX-License-Identifier: Apache-2.0
"""Whether a design fits its target; where not, what takes the room and what would fit."""

from collections.abc import Iterable

from framegate.errors import UsageError
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.kernels import Cost, Depthwise, Fifo, FrameGather, Kernel, MatVec, Shift, Slide, Window
from framegate.hls.targets import Target, load_target, target_names

NOTHING = Cost()
RESOURCES = ("lut", "ff", "dsp", "bram")

# What the block RAMs of a kernel hold.
_HOLDS: dict[str, tuple[type[Kernel], ...]] = {
    "weights": (MatVec, Depthwise),
    "frame buffers": (FrameGather, Shift),
    "line buffers": (Window, Slide),
    "FIFOs": (Fifo,),
}


def total_cost(dataflow: Dataflow) -> Cost:
    """The sum of the kernels' cost models."""
    return total(dataflow.kernels)


def total(kernels: Iterable[Kernel]) -> Cost:
    """What some kernels take together."""
    return sum((kernel.cost() for kernel in kernels), Cost())


def has_room(cost: Cost, target: Target) -> bool:
    """Whether `target` has that much of everything."""
    return not _over(cost, target)


def check_fit(dataflow: Dataflow, target: Target, reserve: Cost = NOTHING) -> None:
    """Raise UsageError when the dataflow does not fit `target`, `reserve` left free.

    The message says of what there is too little, by how much, which kernels take it, and what would fit.
    """
    cost = total_cost(dataflow) + reserve
    over = _over(cost, target)
    if not over:
        return
    needs = "; ".join(
        f"{getattr(cost, name):,} {name.upper()} of {getattr(target, name):,} "
        f"({getattr(cost, name) - getattr(target, name):,} too many: {_largest(dataflow, name)})"
        for name in over
    )
    raise UsageError(
        f"{dataflow.model}: needs {needs} on {target.name}; {_remedy(dataflow, cost, target, over)}"
    )


def _over(cost: Cost, target: Target) -> list[str]:
    """The resources of which `target` has too little."""
    return [name for name in RESOURCES if getattr(cost, name) > getattr(target, name)]


def _largest(dataflow: Dataflow, name: str) -> str:
    """The kernels that take most of a resource; of block RAM, first what it is for."""
    takes = {kernel.name: getattr(kernel.cost(), name) for kernel in dataflow.kernels}
    top = sorted(takes, key=lambda kernel: -takes[kernel])[:3]
    largest = ", ".join(f"{kernel} {takes[kernel]:,}" for kernel in top)
    if name != "bram":
        return f"most of it in {largest}"
    uses = ", ".join(f"{use} {blocks:,}" for use, blocks in memory(dataflow).items() if blocks)
    return f"{uses}; most of it in {largest}"


def memory(dataflow: Dataflow) -> dict[str, int]:
    """Block RAMs by what they hold."""
    return {
        use: sum(kernel.cost().bram for kernel in dataflow.kernels if isinstance(kernel, kinds))
        for use, kinds in _HOLDS.items()
    }


def _remedy(dataflow: Dataflow, cost: Cost, target: Target, over: list[str]) -> str:
    larger = [name for name in target_names() if name != target.name and has_room(cost, load_target(name))]
    ways = [f"it fits {' and '.join(larger)}"] if larger else ["no target has room for it"]
    if "bram" in over and (bits := _weight_bits_that_fit(dataflow, cost, target)):
        ways.append(f"weights of {bits} bits would fit")
    if over != ["bram"]:
        ways.append("ask for fewer frames/s")
    return ", or ".join([*ways, "use fewer channels or bits"])


def _weight_bits_that_fit(dataflow: Dataflow, cost: Cost, target: Target) -> int:
    """The most bits per weight at which the block RAMs would do, if 2 or more and fewer than now; else 0."""
    weights = memory(dataflow)["weights"]
    products = [kernel for kernel in dataflow.kernels if isinstance(kernel, MatVec | Depthwise)]
    now = max(products, key=lambda kernel: kernel.cost().bram).weight_bits if products else 0
    left = target.bram - (cost.bram - weights)
    fitting = now * left // weights if weights and left > 0 else 0
    return fitting if 2 <= fitting < now else 0
