# SPDX-License-Identifier: Apache-2.0
"""Temporal shift against explicit loops over frames and channels."""

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Shift
from framegate.rtl_sim.bench.simulator import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

Groups = tuple[tuple[int, int, int], ...]


def gather(groups: Groups, **changes: int | bool) -> Shift:
    return Shift(name="g", input=stream(**{"channels": 8, "frames": 3, "lanes": 1, **changes}), groups=groups)


CASES = {
    "bidirectional": gather(((0, 1, -1), (1, 2, 1), (2, 8, 0))),
    "online": gather(((0, 1, -1), (1, 8, 0))),
    "two-frames-back": gather(((0, 2, -2), (2, 8, 0)), frames=4, lanes=2),
    "all-late": gather(((0, 8, -1),), lanes=8),
    "all-early": gather(((0, 8, 1),), lanes=4),
    "nothing-moves": gather(((0, 8, 0),), lanes=8),
    "two-frames-ahead": gather(((0, 4, 2), (4, 6, 0), (6, 8, -1)), frames=5, lanes=2),
    "present-in-the-middle": gather(((0, 4, 0), (4, 8, 1)), lanes=4, signed=True),
    "one-pixel": gather(((0, 2, -1), (2, 4, 1), (4, 8, 0)), height=1, width=1, lanes=2),
    "one-frame": gather(((0, 2, -1), (2, 4, 1), (4, 8, 0)), frames=1, lanes=2),
    "endless": replace(gather(((0, 2, -2), (2, 4, -1), (4, 8, 0)), lanes=2), endless=True),
    "endless-one-frame-steps": replace(gather(((0, 2, -3), (2, 8, 0)), frames=1, lanes=2), endless=True),
    "groups-inside-a-beat": gather(((0, 1, -1), (1, 2, 1), (2, 8, 0)), lanes=8),
    "groups-across-beats": gather(((0, 3, -1), (3, 5, 1), (5, 8, -2)), lanes=4, signed=True),
    "a-group-of-two-ends-and-a-middle": gather(((0, 1, 0), (1, 11, -1), (11, 12, 1)), channels=12, lanes=3),
    "further-than-the-clip": gather(((0, 2, -4), (2, 4, 4), (4, 8, 0)), frames=3, lanes=2),
}


@each(CASES)
def test_values_and_cycles(kernel: Shift, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["bidirectional"], tmp_path, simulator="verilator")


@each(CASES)
def test_reference_follows_the_definition(kernel: Shift) -> None:
    values = random_clips(kernel.input, 2, 0)
    clips = values.reshape(1, -1, *values.shape[2:]) if kernel.endless else values
    expected = np.zeros_like(clips)
    for begin, end, offset in kernel.groups:
        for frame in range(clips.shape[1]):
            if 0 <= frame + offset < clips.shape[1]:
                expected[:, frame, ..., begin:end] = clips[:, frame + offset, ..., begin:end]
    assert np.array_equal(kernel.reference(values), expected.reshape(values.shape))


@st.composite
def gathers(draw: st.DrawFn) -> Shift:
    """Any small gather: groups with offsets from -2 to 2, wherever they begin and end in a beat."""
    lanes, beats = draw(st.sampled_from([1, 2, 3, 5])), draw(st.integers(1, 5))
    channels = beats * lanes
    cuts = sorted(draw(st.sets(st.integers(1, channels - 1), max_size=4))) if channels > 1 else []
    groups = tuple((*ends, draw(st.integers(-2, 2))) for ends in pairwise([0, *cuts, channels]))
    sizes = {name: draw(st.integers(1, 4)) for name in ("frames", "height", "width")}
    return gather(groups, channels=channels, lanes=lanes, **sizes)


@settings(FIXED_SEED, max_examples=5)
@given(kernel=gathers())
def test_any_gather(kernel: Shift, icarus: Simulator) -> None:
    with tempfile.TemporaryDirectory() as work:
        check_kernel(kernel, Path(work), simulator=icarus)


def test_lanes_for_is_the_widest_beat_inside_the_groups() -> None:
    kernel = gather(((0, 2, -1), (2, 4, 1), (4, 16, 0)), channels=16)
    assert [kernel.lanes_for(offered) for offered in (1, 2, 4, 16)] == [1, 2, 2, 2]


def test_a_wide_beat_keeps_no_more_than_a_narrow_one() -> None:
    groups = ((0, 2, -1), (2, 4, 1), (4, 16, 0))
    narrow, wide = (gather(groups, channels=16, lanes=lanes, height=32, width=32) for lanes in (2, 16))
    assert 0 < wide.cost().bram <= narrow.cost().bram


@pytest.mark.parametrize(
    "groups", [((0, 4, -1), (5, 8, 0)), ((0, 4, -1), (4, 6, 0)), ((1, 8, 0),), ((4, 8, 0), (0, 4, 1))]
)
def test_groups_that_do_not_tile_are_refused(groups: Groups) -> None:
    with pytest.raises(
        UsageError,
        match=r"^g: groups \(.*\) do not tile 8 channels in order; use a FrameGather$",
    ):
        gather(groups)
