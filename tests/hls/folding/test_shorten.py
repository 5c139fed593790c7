# SPDX-License-Identifier: Apache-2.0
"""A shorter decision delay at no lower rate, from what is left of the device; exact and on time like any design."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.choices import Products
from framegate.hls.folding.fit import has_room, total_cost
from framegate.hls.folding.fold import fold
from framegate.hls.folding.shorten import Design, Shorter, shorten, shorten_to
from framegate.hls.kernels import Fifo
from framegate.hls.schedule.schedule import decision_delay, schedule
from framegate.hls.targets import Target, load_target
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify

from tests.dataflows import random_pixels, residual, separable

Searched = tuple[Dataflow, Design, Shorter]
CLOCK, RATE = 50, 20_000.0
TARGET = load_target("ulx3s-85f")


def both(dataflow: Dataflow, target: Target = TARGET, products: Products = "auto") -> tuple[Design, Shorter]:
    """The design for a rate, and the one of the least delay."""
    plain = schedule(fold(dataflow, target, CLOCK, RATE, products=products), CLOCK)
    return plain, shorten(dataflow, target, CLOCK, products, plain, lambda _: None)


@cache
def searched(make: Callable[..., Dataflow], size: int = 16, **options: tuple[int, int]) -> Searched:
    """A network, its design for a rate, and the one of the least delay; searched once."""
    dataflow = make(size=size, **options)
    return dataflow, *both(dataflow)


@pytest.mark.parametrize("make", [residual, separable])
def test_the_delay_shrinks_and_the_rate_does_not(make: Callable[..., Dataflow]) -> None:
    _, (plain, before), short = searched(make)
    assert short.times.after_last_pixel < 0.5 * before.after_last_pixel
    assert short.times.initiation_interval <= before.initiation_interval
    assert total_cost(short.complete).lut > total_cost(plain).lut
    assert has_room(total_cost(short.complete), TARGET)


def test_each_step_is_shorter_and_names_what_it_made_faster() -> None:
    _, _, short = searched(residual)
    delays = [step.delay for step in short.steps]
    assert delays == sorted(set(delays), reverse=True)
    assert [bool(step.faster) for step in short.steps] == [False] + [True] * (len(delays) - 1)


@pytest.mark.parametrize("part", [0.9, 0.5])
def test_a_goal_is_reached_for_less_area(part: float) -> None:
    dataflow, plain, least = searched(residual)
    goal = int(part * plain[1].after_last_pixel)
    found = shorten_to(goal, dataflow, TARGET, CLOCK, "auto", plain, lambda _: None)
    assert least.times.after_last_pixel < found.times.after_last_pixel <= goal
    assert total_cost(found.complete).lut < total_cost(least.complete).lut


def test_a_goal_that_is_reached_already_costs_nothing() -> None:
    dataflow, plain, _ = searched(residual)
    found = shorten_to(plain[1].after_last_pixel, dataflow, TARGET, CLOCK, "auto", plain, lambda _: None)
    assert found.complete is plain[0]


def test_a_goal_out_of_reach_is_refused_with_the_least_there_is() -> None:
    dataflow, plain, least = searched(separable, 4, widths=(8, 8))
    reaches = rf"{least.times.after_last_pixel:,} \({least.times.after_last_pixel / CLOCK / 1e3:.3g} ms\)"
    with pytest.raises(
        UsageError, match=rf"^.*: a decision delay of 1 cycles is out of reach on ulx3s-85f .* {reaches};"
    ):
        shorten_to(1, dataflow, TARGET, CLOCK, "auto", plain, lambda _: None)


@pytest.mark.parametrize("make", [residual, separable])
def test_clips_back_to_back_take_as_long_as_one_but_for_fifos(make: Callable[..., Dataflow]) -> None:
    folded = fold(make(size=16), TARGET, CLOCK, RATE)
    _, times = schedule(folded, CLOCK)
    assert 0 <= times.after_last_pixel - decision_delay(folded) <= Fifo.LATENCY * len(times.fifos)


def test_a_full_device_leaves_the_design_as_it_is() -> None:
    dataflow = residual(size=16)
    plain = schedule(fold(dataflow, TARGET, CLOCK, RATE), CLOCK)
    tight = TARGET.model_copy(update={"lut": int(total_cost(plain[0]).lut * 1.01)})
    assert shorten(dataflow, tight, CLOCK, "auto", plain, lambda _: None).complete is plain[0]


def test_the_hardware_keeps_the_shorter_delay(tmp_path: Path, quick: Simulator) -> None:
    _, (_, before), short = searched(separable, 4, widths=(8, 8))
    assert short.times.after_last_pixel < before.after_last_pixel
    rtl = emit(short.complete, short.times, tmp_path / "rtl")
    verdict = verify(
        short.complete, rtl, random_pixels(short.complete, 2), tmp_path / "sim", simulator=quick, probe=True
    )
    assert verdict.bit_exact
    assert verdict.on_time
    assert verdict.predicted == short.times.latency_cycles
