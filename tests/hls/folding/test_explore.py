# SPDX-License-Identifier: Apache-2.0
"""The Pareto front: every point is the cheapest of its rate, none is beaten, the slowest layer is told."""

from itertools import pairwise
from pathlib import Path

import pytest
from framegate.hls.folding.choices import choices_of
from framegate.hls.folding.explore import Measured, Point, draw, front
from framegate.hls.folding.fit import RESOURCES, total_cost
from framegate.hls.folding.fold import fold
from framegate.hls.targets import load_target

from tests.dataflows import residual

TARGET = load_target("ulx3s-85f")


@pytest.fixture(scope="module")
def points() -> list[Point]:
    return front(residual(), TARGET, 50)


def test_slower_takes_less(points: list[Point]) -> None:
    assert len(points) > 3
    for fast, slow in pairwise(points):
        assert fast.interval < slow.interval
        assert fast.share > slow.share
    for point in points:
        assert point.share == max(getattr(point, name) / getattr(TARGET, name) for name in RESOURCES)


def test_a_point_is_what_compiling_for_its_rate_gives(points: list[Point]) -> None:
    for point in points:
        folded = fold(residual(), TARGET, 50, point.frames_per_second * (1 - 1e-9))
        assert {name: getattr(point, name) for name in RESOURCES} == {
            name: getattr(total_cost(folded), name) for name in RESOURCES
        }


def test_the_first_point_is_as_fast_as_divisors_allow(points: list[Point]) -> None:
    assert points[0].interval == max(options.least for options in choices_of(residual(), TARGET).values())
    assert "nothing is faster" in points[0].why


def test_the_bottleneck_says_what_the_next_step_costs(points: list[Point]) -> None:
    slowest = points[-1]
    assert f"takes {slowest.interval:,} cycles; PE" in slowest.why
    assert "LUT" in slowest.why or "DSP" in slowest.why


def test_a_long_front_is_thinned(points: list[Point]) -> None:
    few = front(residual(), TARGET, 50, points=3)
    assert 2 <= len(few) <= 3
    assert few[0] == points[0]


def test_the_picture(points: list[Point], tmp_path: Path) -> None:
    path = draw(tmp_path / "front.png", points, [Measured("a build", 100.0, 0.3)], "residual")
    assert path.read_bytes().startswith(b"\x89PNG")
