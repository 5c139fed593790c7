# SPDX-License-Identifier: Apache-2.0
"""One wrong bit on any stream of a design is found, counted and named; streams that were cut off count as far."""

import numpy as np
import pytest
from framegate.hls.dataflow.graph import PIXELS
from framegate.hls.emission.emit import nets
from framegate.hls.stream import to_beats
from framegate.rtl_sim import reference
from framegate.rtl_sim.bench.simulator import Recording
from framegate.rtl_sim.compare import Difference, differences, differences_of_a_part, total

from tests.dataflows import folded_residual, random_pixels

DATAFLOW = folded_residual()
CLIPS = 2
VALUES = random_pixels(DATAFLOW, CLIPS)
NETS = {net.name: net for net in nets(DATAFLOW)}


def recording(words: list[int]) -> Recording:
    return Recording(np.arange(len(words)), words)


@pytest.fixture
def streams() -> dict[str, Recording]:
    """What a simulation without a fault would record."""
    made = dict([(PIXELS, VALUES), *reference.outputs(DATAFLOW, VALUES)])
    return {name: recording(to_beats(made[net.producer], net.stream)) for name, net in NETS.items()}


def test_a_right_simulation_has_no_difference(streams: dict[str, Recording]) -> None:
    found = list(differences(DATAFLOW, VALUES, streams))
    assert len(found) == len(NETS)
    assert total(found) == Difference(sum(one.values for one in found), 0, None)
    sizes = [net.stream.beats * net.stream.lanes * CLIPS for net in NETS.values()]
    assert sorted(one.values for one in found) == sorted(sizes)


@pytest.mark.parametrize("name", NETS)
def test_one_bit_on_one_stream_is_found(name: str, streams: dict[str, Recording]) -> None:
    rng = np.random.default_rng(len(name))
    words = list(streams[name].words)
    beat = int(rng.integers(len(words)))
    words[beat] ^= 1 << int(rng.integers(NETS[name].stream.beat_bits))
    found = total(differences(DATAFLOW, VALUES, streams | {name: recording(words)}))
    assert found.mismatches == 1
    assert found.first is not None
    assert found.first.startswith(f"{name}: clip {beat // NETS[name].stream.beats}, ")


def test_of_several_streams_the_first_in_the_design_is_named(streams: dict[str, Recording]) -> None:
    names = list(NETS)
    for name in (names[-1], names[3]):
        words = list(streams[name].words)
        words[0] ^= 1
        streams[name] = recording(words)
    found = total(differences(DATAFLOW, VALUES, streams))
    assert found.mismatches == 2
    assert str(found.first).startswith(f"{names[3]}: ")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_streams_that_were_cut_off_are_compared_as_far(share: float, streams: dict[str, Recording]) -> None:
    cut = {name: recording(one.words[: int(share * len(one.words))]) for name, one in streams.items()}
    found = total(differences_of_a_part(DATAFLOW, VALUES, cut))
    assert found.mismatches == 0
    assert found.values == sum(len(one.words) * NETS[name].stream.lanes for name, one in cut.items())
    name = next(name for name, one in cut.items() if one.words) if share else None
    if name is not None:
        cut[name].words[-1] ^= 1
        wrong = total(differences_of_a_part(DATAFLOW, VALUES, cut))
        assert wrong.mismatches == 1
        assert str(wrong.first).startswith(f"{name}: ")


def test_nothing_recorded_is_nothing_compared() -> None:
    assert total(differences(DATAFLOW, VALUES, {})) == Difference(0, 0, None)
