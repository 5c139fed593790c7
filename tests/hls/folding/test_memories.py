# SPDX-License-Identifier: Apache-2.0
"""The knapsack that frees block RAMs or multipliers, against trying every subset; where thresholds then are."""

from itertools import chain, combinations

import pytest
from framegate.hls.folding.fit import has_room, total_cost
from framegate.hls.folding.memories import cheapest_to_free, in_memories
from framegate.hls.kernels import Cost, Threshold
from framegate.hls.targets import load_target
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.dataflows import residual

WAYS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 6)), max_size=7)


@settings(FIXED_SEED, max_examples=150)
@given(ways=WAYS, excess=st.integers(1, 14))
def test_nothing_frees_as_much_for_less(ways: list[tuple[int, int]], excess: int) -> None:
    named = {f"k{place}": way for place, way in enumerate(ways)}
    chosen = cheapest_to_free(named, excess)
    assert len(set(chosen)) == len(chosen), "each is moved once"
    subsets = chain.from_iterable(combinations(named, size) for size in range(len(named) + 1))
    prices = [
        sum(named[name][0] for name in subset)
        for subset in subsets
        if sum(named[name][1] for name in subset) >= excess
    ]
    if not prices:
        assert chosen == tuple(named), "all, though they do not suffice"
        return
    assert sum(named[name][1] for name in chosen) >= excess
    assert sum(named[name][0] for name in chosen) == min(prices)


def test_where_there_is_room_nothing_moves() -> None:
    dataflow = residual()
    assert in_memories(dataflow, load_target("kv260")).kernels == dataflow.kernels


@pytest.mark.parametrize("blocks", range(3))
def test_what_is_held_back_counts(blocks: int) -> None:
    """A reserve of all blocks but a few leaves as many for thresholds and no more, if they can go at all."""
    target = load_target("ulx3s-85f")
    dataflow = residual(widths=(16, 16), size=8)
    needed = total_cost(dataflow).bram
    fixed = needed - sum(kernel.cost().bram for kernel in dataflow.kernels if isinstance(kernel, Threshold))
    moved = in_memories(dataflow, target, Cost(bram=target.bram - fixed - blocks))
    assert total_cost(moved).bram <= fixed + blocks
    assert [kernel.name for kernel in moved.kernels] == [kernel.name for kernel in dataflow.kernels]
    for before, after in zip(dataflow.kernels, moved.kernels, strict=True):
        assert before is after or isinstance(after, Threshold)
        assert before.inputs == after.inputs
    assert has_room(total_cost(moved), target)
