# SPDX-License-Identifier: Apache-2.0
"""A shorter latency at the same rate, from what is left of the device; exact and on time like any design."""

from pathlib import Path

import pytest
from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.folding.choices import Products
from framegate.hls.folding.fit import has_room, total_cost
from framegate.hls.folding.fold import fold
from framegate.hls.folding.shorten import shorten
from framegate.hls.schedule.schedule import Schedule, schedule
from framegate.hls.targets import Target, load_target
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify

from tests.dataflows import random_pixels, residual, separable

CLOCK, RATE = 50, 20_000.0
TARGET = load_target("ulx3s-85f")


def both(
    dataflow: Dataflow, target: Target = TARGET, products: Products = "auto"
) -> tuple[tuple[Dataflow, Schedule], tuple[Dataflow, Schedule]]:
    """The design for a rate, and the one of less latency."""
    plain = schedule(fold(dataflow, target, CLOCK, RATE, products=products), CLOCK)
    return plain, shorten(dataflow, target, CLOCK, products, plain, lambda _: None)


@pytest.mark.parametrize("make", [residual, separable])
def test_latency_shrinks_and_the_rate_does_not(make: type) -> None:
    (plain, before), (short, after) = both(make(size=16))
    assert after.latency_cycles < 0.9 * before.latency_cycles
    assert after.initiation_interval <= before.initiation_interval
    assert total_cost(short).lut > total_cost(plain).lut
    assert has_room(total_cost(short), TARGET)


def test_a_full_device_leaves_the_design_as_it_is() -> None:
    dataflow = residual(size=16)
    plain = schedule(fold(dataflow, TARGET, CLOCK, RATE), CLOCK)
    tight = TARGET.model_copy(update={"lut": int(total_cost(plain[0]).lut * 1.01)})
    assert shorten(dataflow, tight, CLOCK, "auto", plain, lambda _: None) is plain


def test_the_hardware_keeps_the_shorter_latency(tmp_path: Path, quick: Simulator) -> None:
    (_, before), (dataflow, times) = both(separable(size=4, widths=(8, 8)))
    assert times.latency_cycles < before.latency_cycles
    rtl = emit(dataflow, times, tmp_path / "rtl")
    verdict = verify(dataflow, rtl, random_pixels(dataflow, 2), tmp_path / "sim", simulator=quick, probe=True)
    assert verdict.bit_exact
    assert verdict.on_time
    assert verdict.predicted == times.latency_cycles
