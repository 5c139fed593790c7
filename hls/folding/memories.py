# SPDX-License-Identifier: Apache-2.0
"""Which memories live in block RAM when there are fewer blocks than would be liked."""

from collections.abc import Mapping
from dataclasses import replace

from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.fit import NOTHING, total_cost
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.kernels import Cost, Threshold
from framegate.hls.targets import Target


def cheapest_to_free(ways: Mapping[str, tuple[int, int]], excess: int) -> tuple[str, ...]:
    """Of the ways (LUTs taken, multipliers or block RAMs freed) those that free `excess` for the fewest LUTs; all of
    them if they do not suffice.

    A knapsack, exact: per number freed the cheapest way to free so many or more.
    """
    free: list[tuple[int, tuple[str, ...]] | None] = [(0, ()), *([None] * excess)]  # LUTs, names
    for name, (more, frees) in ways.items():
        for freed in range(excess, -1, -1):
            if (way := free[freed]) is not None:
                reached = min(excess, freed + frees)
                better = free[reached]
                if reached > freed and (better is None or way[0] + more < better[0]):
                    free[reached] = (way[0] + more, (*way[1], name))
    found = free[excess]
    return found[1] if found else tuple(ways)


def in_memories(dataflow: Dataflow, target: Target, reserve: Cost = NOTHING) -> Dataflow:
    """The design with its memories where `target` has room for them."""
    return _within_block_rams(in_ultra_ram(dataflow, target, reserve), target, reserve)


def _within_block_rams(dataflow: Dataflow, target: Target, reserve: Cost) -> Dataflow:
    """The design with thresholds in LUTs instead of block RAMs, for the fewest LUTs, where those run out."""
    excess = total_cost(dataflow).bram + reserve.bram - target.bram
    if excess <= 0:
        return dataflow
    moves = {k.name: replace(k, in_luts=True) for k in dataflow.kernels if isinstance(k, Threshold)}
    ways = {}
    for name, move in moves.items():
        now, then = dataflow.kernel(name).cost(), move.cost()
        if now.bram:
            ways[name] = (then.lut - now.lut, now.bram)
    moved = cheapest_to_free(ways, excess)
    return replace(dataflow, kernels=tuple(moves[k.name] if k.name in moved else k for k in dataflow.kernels))
