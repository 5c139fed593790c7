# SPDX-License-Identifier: Apache-2.0
"""Frame gather against explicit loops over output frames and groups."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import FrameGather
from framegate.rtl_sim.bench.simulator import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

Groups = tuple[tuple[int, int, int], ...]


def gather(groups: Groups, frames: int = 4, lanes: int = 1, **options: int | bool) -> FrameGather:
    taken = stream(frames=frames, lanes=lanes, height=2, width=3)
    return FrameGather(name="g", input=taken, groups=groups, **options)


def taps(*offsets: int) -> Groups:
    """All channels at each offset."""
    return tuple((0, 4, offset) for offset in offsets)


CASES = {
    "most-frames-left-out": gather(taps(0), output_frames=1),
    "centred": gather(taps(-1, 0, 1), lanes=2),
    "causal": gather(taps(-2, -1, 0), lanes=4),
    "stride-2": gather(taps(-1, 0, 1), frames=5, stride_t=2),
    "every-fourth-frame": gather(taps(0), frames=8, stride_t=4, lanes=4),
    "lateral": gather(taps(-2, -1, 0, 1, 2), frames=8, stride_t=4, lanes=2),
    "no-padding": gather(taps(0, 1, 2), output_frames=2, lanes=2),
    "wide-padding": gather(taps(-2, -1, 0), output_frames=6, lanes=2),
    "depthwise": gather(taps(-1, 0, 1), lanes=2, depthwise=True),
    "depthwise-pairs": gather(taps(0, 1), stride_t=2, depthwise=True),
    "ranges": gather(((0, 4, 0), (0, 2, -1), (2, 4, 1)), lanes=2),
    "endless": gather(taps(-2, -1, 0), frames=1, lanes=2, endless=True),
    "endless-stride": gather(taps(-3, 0), frames=4, stride_t=2, lanes=2, endless=True),
    "endless-depthwise": gather(taps(-1, 0), frames=2, lanes=2, depthwise=True, endless=True),
    "paused": gather(taps(-1, 0, 1), lanes=2, pause=5),
    "paused-stride": gather(taps(-2, 0, 2), frames=6, stride_t=3, lanes=4, pause=1),
    "paused-endless": gather(taps(-1, 0), frames=2, stride_t=2, lanes=2, pause=9, endless=True),
    "further-than-the-clip": gather(taps(-5, 0, 5), frames=2, lanes=4),
}


@each(CASES)
def test_values_and_cycles(kernel: FrameGather, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["lateral"], tmp_path, simulator="verilator")


@each({name: kernel for name, kernel in CASES.items() if not kernel.depthwise})
def test_reference_follows_the_definition(kernel: FrameGather) -> None:
    values = random_clips(kernel.input, 3, 0)
    clips = values.reshape(1, -1, *values.shape[2:]) if kernel.endless else values
    count = kernel.frames_out * (3 if kernel.endless else 1)
    expected = np.zeros((len(clips), count, 2, 3, kernel.outputs[0].channels), dtype=values.dtype)
    for frame in range(count):
        column = 0
        for begin, end, offset in kernel.groups:
            source = frame * kernel.stride_t + offset
            if 0 <= source < clips.shape[1]:
                expected[:, frame, ..., column : column + end - begin] = clips[:, source, ..., begin:end]
            column += end - begin
    assert np.array_equal(kernel.reference(values), expected.reshape(3, kernel.frames_out, 2, 3, -1))


def test_depthwise_order_puts_the_taps_of_a_block_together() -> None:
    values = random_clips(CASES["depthwise"].input, 1, 0)
    plain = CASES["centred"].reference(values).reshape(4, 2, 3, 3, 2, 2)  # frame, y, x, tap, block, lane
    together = CASES["depthwise"].reference(values).reshape(4, 2, 3, 2, 3, 2)
    assert np.array_equal(together, plain.swapaxes(3, 4))


@st.composite
def gathers(draw: st.DrawFn) -> FrameGather:
    """Any small gather of all channels."""
    lanes, frames, stride = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    offsets = draw(st.lists(st.integers(-3, 3), min_size=1, max_size=4))
    options = {
        "depthwise": draw(st.booleans()),
        "output_frames": draw(st.integers(0, 4)),
        "pause": draw(st.sampled_from([0, 0, 1, 7])),
    }
    return gather(taps(*offsets), frames=frames, lanes=lanes, stride_t=stride, **options)


@settings(FIXED_SEED, max_examples=5)
@given(kernel=gathers())
def test_any_gather(kernel: FrameGather, icarus: Simulator) -> None:
    with tempfile.TemporaryDirectory() as work:
        check_kernel(kernel, Path(work), simulator=icarus)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"groups": ((0, 2, 0), (2, 4, 1)), "lanes": 4}, "4 lanes do not divide the groups"),
        ({"groups": ((0, 8, 0),)}, "1 lanes do not divide the groups"),
        ({"groups": ((0, 2, 0),)}, "gathers 2 of 4 channels"),
        ({"groups": ((0, 4, 0), (0, 2, 1)), "depthwise": True}, "every group must hold all 4 channels"),
        ({"groups": taps(0, 1), "endless": True}, "no group may look ahead"),
        ({"groups": taps(0), "stride_t": 3, "endless": True}, "stride 3 must divide the 4 frames of a step"),
    ],
)
def test_what_it_cannot_do_is_said(changes: dict, complaint: str) -> None:
    with pytest.raises(UsageError, match=f"^g: .*{complaint}"):
        gather(**changes)
