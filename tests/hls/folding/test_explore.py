# SPDX-License-Identifier: Apache-2.0
"""The Pareto front: every point is the cheapest of its rate, none is beaten, the slowest layer is told."""

from itertools import pairwise
from pathlib import Path

import pytest
from framegate.hls.folding.choices import choices_of
from framegate.hls.folding.explore import Mark, Point, delays, draw, front
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


def test_shorter_delays_are_those_that_compiling_finds() -> None:
    found = delays(residual(size=16), TARGET, 50)
    cycles = [one.decision_delay_cycles for one in found]
    assert len(found) > 5
    assert cycles == sorted(set(cycles), reverse=True)
    assert cycles[-1] < cycles[0] / 20
    shares = [one.share for one in found]
    assert shares == sorted(set(shares)), "a shorter delay takes more, or the longer one is not worth it"
    assert all(one.faster for one in found[1:])
    few = delays(residual(size=16), TARGET, 50, points=4)
    assert (few[0], few[-1], len(few)) == (found[0], found[-1], 4)


def test_the_picture(points: list[Point], tmp_path: Path) -> None:
    marks = [Mark(point.share, point.clips_per_second, point.fits) for point in points]
    path = draw(tmp_path / "front.png", marks, [Mark(0.3, 100.0)], "clips/s", "residual")
    assert path.read_bytes().startswith(b"\x89PNG")
