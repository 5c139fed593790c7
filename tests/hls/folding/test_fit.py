# SPDX-License-Identifier: Apache-2.0
"""A design that does not fit: of what there is too little, what takes it, and what would fit."""

import re

import pytest
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.folding.fit import check_fit, has_room, total_cost
from framegate.hls.folding.fold import fold
from framegate.hls.targets import Target, load_target

from tests.dataflows import residual, two_rates


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target("ulx3s-85f")


@pytest.fixture(scope="module")
def large(target: Target) -> Dataflow:
    """Frame buffers, line buffers and weights in block RAM."""
    return fold(two_rates(size=64), target, 50, 1000)


def complaint(dataflow: Dataflow, target: Target, **less: int) -> str:
    with pytest.raises(UsageError) as caught:
        check_fit(dataflow, target.model_copy(update=less))
    return str(caught.value)


def test_what_fits_passes(large: Dataflow, target: Target) -> None:
    check_fit(large, target)
    assert has_room(total_cost(large), target)


def test_memory_is_told_by_use_and_kernel(large: Dataflow, target: Target) -> None:
    cost = total_cost(large)
    said = complaint(large, target, bram=cost.bram - 3)
    assert re.match(rf"hand-made: needs {cost.bram} BRAM of {cost.bram - 3} \(3 too many: ", said)
    uses = {
        use: int(blocks) for use, blocks in re.findall(r"(frame buffers|line buffers|weights) (\d+)", said)
    }
    assert sum(uses.values()) == cost.bram
    largest = max(large.kernels, key=lambda kernel: kernel.cost().bram)
    assert f"most of it in {largest.name} {largest.cost().bram}" in said
    assert "it fits kv260 and zcu102" in said
    assert "fewer frames/s" not in said  # they would not help


def test_of_all_that_is_short_each_is_told(large: Dataflow, target: Target) -> None:
    said = complaint(large, target, lut=10, dsp=1)
    assert "LUT of 10" in said
    assert "DSP of 1 " in said
    assert said.endswith("or ask for fewer frames/s, or use fewer channels or bits")


def test_where_nothing_is_large_enough_it_says_so(target: Target) -> None:
    huge = fold(residual(size=4, widths=(8, 1024)), target.model_copy(update={"bram": 10**6}), 50, 1)
    assert "no target has room for it" in complaint(huge, target)
