# SPDX-License-Identifier: Apache-2.0
"""Random graphs folded at random: lanes meet, values stay, nothing is lost or doubled, and widths stand where due."""

import tempfile
from dataclasses import replace
from itertools import pairwise
from math import gcd, lcm
from pathlib import Path

import numpy as np
import pytest
from framegate.hls.dataflow.graph import PIXELS, Dataflow, load_dataflow
from framegate.hls.folding.choices import (
    Choices,
    Fold,
    _choices,
    choices_of,
    layers_of,
    of_luts,
    share,
    with_multipliers_of,
)
from framegate.hls.folding.wiring import _Wiring, connect
from framegate.hls.kernels import Cost, Depthwise, FrameGather, MatVec, Pool, Width
from framegate.hls.stream import Stream, divisors
from framegate.hls.targets import load_target
from framegate.rtl_sim import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.dataflows import Builder, folded, random_pixels, residual, separable, two_rates
from tests.random_graphs import graphs

TARGET = load_target("ulx3s-85f")


@settings(FIXED_SEED, max_examples=25)
@given(graphs())
def test_lanes_meet_and_every_output_is_read_once(dataflow: Dataflow) -> None:
    for link in dataflow.links:
        assert dataflow.stream(link) == dataflow.kernel(link.consumer).inputs[link.slot]
    read = [(link.producer, link.port) for link in dataflow.links]
    driven = [(kernel.name, port) for kernel in dataflow.kernels[:-1] for port in range(len(kernel.outputs))]
    assert sorted(read) == sorted([(PIXELS, 0), *driven])
    for kernel in dataflow.kernels:
        if isinstance(kernel, Width):
            assert kernel.lanes != kernel.input.lanes, "one that converts nothing is left out"
            few, many = sorted((kernel.lanes, kernel.input.lanes))
            assert many % few == 0


@settings(FIXED_SEED, max_examples=12)
@given(graphs())
def test_a_saved_graph_is_read_back(dataflow: Dataflow) -> None:
    """Also its values: dataflow.json says all that a simulation needs."""
    with tempfile.TemporaryDirectory() as folder:
        again = load_dataflow(dataflow.save(Path(folder) / "dataflow.json"))
    assert again.links == dataflow.links
    assert [kernel.instance().parameters for kernel in again.kernels] == [
        kernel.instance().parameters for kernel in dataflow.kernels
    ]
    pixels = random_pixels(dataflow, 2)
    assert np.array_equal(reference.logits(again, pixels), reference.logits(dataflow, pixels))


@pytest.mark.parametrize("make", [residual, separable, two_rates])
@pytest.mark.parametrize("seed", range(4))
def test_folding_at_random_changes_no_value(make: type, seed: int) -> None:
    dataflow: Dataflow = make()
    rng = np.random.default_rng(seed)
    folds = {}
    for name, choices in choices_of(dataflow, TARGET).items():
        fold = choices._folds[rng.integers(len(choices._folds))]
        folds[name] = of_luts(fold) if fold.in_luts is not None and rng.integers(2) else fold
    pixels = random_pixels(dataflow, 2, seed)
    connected = connect(dataflow, folds)
    assert np.array_equal(reference.logits(connected, pixels), reference.logits(dataflow, pixels))
    for kernel in connected.kernels:
        if isinstance(kernel, MatVec | Depthwise) and kernel.name in folds:
            assert kernel.multiply == folds[kernel.name].multiply


@pytest.mark.parametrize(
    ("channels", "lanes"), [(1, 1), (3, 3), (16, 16), (17, 1), (32, 16), (48, 16), (34, 2), (15, 15)]
)
def test_pixels_enter_on_as_many_lanes_as_there_are_pins(channels: int, lanes: int) -> None:
    stream = Stream(frames=1, height=4, width=4, channels=channels, bits=8, signed=False)
    net = Builder(stream, seed=0)
    net.conv("head", (PIXELS, 0), 2, 1, 1, 0)
    connected = folded(net.dataflow(("a", "b")), head=(1, 1))
    assert connected.pixels.lanes == lanes


@settings(FIXED_SEED, max_examples=60)
@given(offered=st.integers(1, 24), wanted=st.integers(1, 24), slow=st.booleans())
def test_steps_between_lanes_are_whole_ratios(offered: int, wanted: int, slow: bool) -> None:
    """Through few lanes, which is cheap, if the interval allows it; else through many."""
    channels = lcm(offered, wanted)
    stream = Stream(frames=1, height=2, width=2, channels=channels, bits=4, signed=False, lanes=offered)
    dataflow = replace(residual(), pixels=stream)
    wiring = _Wiring(dataflow, interval=1 if slow else 10**9)
    steps = wiring._steps(stream, wanted)
    lanes = [offered, *steps]
    assert lanes[-1] == wanted
    assert len(steps) <= 2
    for one, other in pairwise(lanes):
        assert max(one, other) % min(one, other) == 0
        assert one != other or len(steps) == 2
    if len(steps) == 2:
        assert steps[0] in (gcd(offered, wanted), lcm(offered, wanted))
        assert (steps[0] == lcm(offered, wanted)) == slow


@pytest.mark.parametrize("make", [residual, separable, two_rates])
def test_a_layer_is_what_must_have_the_same_lanes(make: type) -> None:
    dataflow: Dataflow = make()
    layers = list(layers_of(dataflow))
    names = [kernel.name for layer in layers for kernel in layer]
    assert len(set(names)) == len(names), "no kernel is in two layers"
    products = [k.name for k in dataflow.kernels if isinstance(k, MatVec | Depthwise | Pool)]
    assert {layer[-1].name for layer in layers} >= set(products)
    for layer in layers:
        for before, behind in pairwise(layer):
            assert dataflow.links_into(behind.name)[0].producer == before.name


@pytest.mark.parametrize("make", [residual, separable, two_rates])
def test_choices_are_those_that_no_other_beats(make: type) -> None:
    """A faster choice costs more."""
    dataflow: Dataflow = make()
    for choices in choices_of(dataflow, TARGET).values():
        folds = choices._folds
        assert [fold.cycles for fold in folds] == sorted({fold.cycles for fold in folds})
        shares = [share(fold.cost, TARGET) for fold in folds]
        assert shares == sorted(shares, reverse=True)
        assert choices.least == folds[0].cycles
        for place, fold in enumerate(folds):
            assert choices.within(fold.cycles) == fold
            assert choices.faster_than(fold.cycles) == (folds[place - 1] if place else None)
            assert choices.all_faster_than(fold.cycles) == folds[:place]
        assert choices.within(10**9) == folds[-1]


@pytest.mark.parametrize("make", [residual, separable, two_rates])
def test_a_choice_is_as_fast_as_it_says(make: type) -> None:
    dataflow: Dataflow = make()
    choices = choices_of(dataflow, TARGET)
    slow = {name: each.within(10**9) for name, each in choices.items()}
    products = [kernel.name for kernel in dataflow.kernels if isinstance(kernel, MatVec | Depthwise | Pool)]
    for name in products[::2]:
        for fold in choices[name]._folds[::3]:
            made = connect(dataflow, slow | {name: fold}).kernel(name)
            assert -(-made.cycles_per_clip // dataflow.pixels.frames) <= fold.cycles


def test_within_a_cheaper_choice_of_the_same_speed_wins() -> None:
    cheap, dear = Fold(1, 1, 100, Cost(lut=10)), Fold(2, 1, 100, Cost(lut=20))
    fast = Fold(4, 1, 50, Cost(lut=40))
    choices = Choices([dear, fast, cheap], TARGET)
    assert choices.within(100) == cheap
    assert choices.within(99) == fast
    assert choices.cycles == [50, 100]
    useless = Fold(8, 1, 200, Cost(lut=10))
    assert useless not in Choices([cheap, useless], TARGET)._folds, "slower and no cheaper"


@pytest.mark.parametrize("name", ["ulx3s-85f", "kv260"])
def test_products_are_those_of_the_device(name: str) -> None:
    target = load_target(name)
    for before, kernel in zip(
        residual().kernels, with_multipliers_of(target, residual()).kernels, strict=True
    ):
        if isinstance(kernel, MatVec):
            assert (kernel.factor_bits, kernel.cascade) == (target.factor_bits, target.cascade)
        else:
            assert type(kernel) is type(before)


def test_all_divisors_are_offered() -> None:
    """Of the head: its lanes times its rows, each a divisor."""
    dataflow = residual()
    head = next(list(layer) for layer in layers_of(dataflow) if layer[-1].name == "head")
    found = {(fold.lanes, fold.pe) for fold in _choices(dataflow, head)}
    product = head[-1]
    assert isinstance(product, MatVec)
    assert found == {
        (lanes, pe) for lanes in divisors(product.input.channels) for pe in divisors(product.rows)
    }


def test_a_gather_pauses_but_never_makes_its_reader_slower() -> None:
    for interval in (2_000, 20_000):
        folds = {n: c.within(max(interval, c.least)) for n, c in choices_of(two_rates(), TARGET).items()}
        made = connect(two_rates(), folds)
        gathers = [kernel for kernel in made.kernels if isinstance(kernel, FrameGather)]
        assert gathers
        slowest = max(kernel.cycles_per_clip for kernel in made.kernels)
        assert all(kernel.pause >= 0 for kernel in gathers)
        assert all(kernel.cycles_per_clip <= slowest for kernel in gathers)
